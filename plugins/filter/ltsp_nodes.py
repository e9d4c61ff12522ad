# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_nodes
version_added: 0.1.0
short_description: Describe the nodes of the farm from the inventory
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Reads the C(ltsp_node_*) variables of the nodes, checks them and returns one description per node.
    The roles that write leases, boot loader files and lts.conf all start from this list.
  - Every value may also be the text that a survey makes of it. A list is then JSON or separated by commas
    (C(ltsp_node_kernel_args) by blanks, because a comma is part of such arguments), a dictionary is JSON.
    An empty text counts as not set.
  - Everything that is wrong is reported at once, with host, variable and value.
  - "C(ltsp_node_macs) (required): MAC addresses of all network cards that may ask for a boot, in any usual spelling.
    Put them into quotes, YAML reads some of them as numbers."
  - "C(ltsp_node_ip): IPv4 address of the node. Default is C(ansible_host)."
  - "C(ltsp_node_image): name of the image. Default is V(node)."
  - "C(ltsp_node_image_version): version of the image that the node stays on. By default it follows the current one."
  - "C(ltsp_node_server): inventory name of the node's boot server. By default nodes are spread over all boot servers,
    and a server that comes or goes moves no node but its own."
  - "C(ltsp_node_transports): transports in the order in which they are tried. O(serverfarm.ltsp.ltsp_boot_nodes#module:nodes[].transports) has their names
    and the default."
  - "C(ltsp_node_ram): whether the image is copied to memory before it is used. Default is V(true)."
  - "C(ltsp_node_overlay): size of the writable layer in memory, in percent or as in V(2G). Default is V(50%)."
  - "C(ltsp_node_kernel_args): further arguments of the kernel. Only characters that every boot loader can hand over,
    so no quotes, blanks, backslashes or dollar signs."
  - "C(ltsp_node_lts_conf): dictionary of lts.conf parameters of this node."
  - "C(ltsp_node_kubernetes_labels): dictionary of labels of the Kubernetes Node. Values are text. Since serverfarm.ltsp 0.2.0."
  - "C(ltsp_node_kubernetes_taints): list of taints of the Kubernetes Node, as V(key=value:NoSchedule) or V(key:NoExecute).
    Since serverfarm.ltsp 0.2.0."
  - "C(ltsp_node_kubelet_args): dictionary of command line arguments of the kubelet, without the two hyphens before their names,
    as V({max-pods: 250}). Since serverfarm.ltsp 0.2.0."
  - "C(ltsp_server_address): IPv4 address at which the nodes reach a boot server. Default is the server's C(ansible_host)."
positional: nodes, servers, control_plane
options:
  _input:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
  nodes:
    description:
      - Groups of the inventory, C(groups), of which C(ltsp_nodes) holds the nodes and C(ltsp_servers) the boot servers. Since serverfarm.ltsp 0.4.0.
      - A list holds the inventory names of the nodes themselves. The inventory name of a node is its host name.
    type: raw
    required: true
  servers:
    description: Inventory names of the boot servers, beside a list of nodes.
    type: list
    elements: str
    default: []
  control_plane:
    description: Inventory names of the machines of the Kubernetes control plane. A node that has the host name of one of them is an error.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Show the descriptions of the nodes
  ansible.builtin.debug:
    msg: "{{ hostvars | serverfarm.ltsp.ltsp_nodes(groups) }}"

# - name: node1
#   macs: ["52:54:00:77:00:01"]
#   ip: 10.77.0.11
#   image: node
#   image_version: null
#   server: ltsp-1
#   server_address: 10.77.0.1
#   transports: [http]
#   ram: true
#   overlay: 50%
#   kernel_args: ["console=ttyS0,115200n8"]
#   lts_conf: {RCFILE_20_HELLO: "echo hello"}
#   kubernetes_name: node1
#   kubernetes_labels: {example.org/rack: r1}
#   kubernetes_taints: [{key: example.org/gpu, value: "", effect: NoSchedule}]
#   kubelet_args: {max-pods: "250"}
"""

RETURN = r"""
_value:
  description:
    - One dictionary per node, sorted by name, with the keys C(name), C(macs), C(ip), C(image), C(image_version), C(server),
      C(server_address), C(transports), C(ram), C(overlay), C(kernel_args), C(lts_conf),
      C(kubernetes_name), C(kubernetes_labels), C(kubernetes_taints) and C(kubelet_args).
    - Two nodes that share a host name, an IP address or a MAC address are an error.
  type: list
  elements: dict
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._farm import hosts_for
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._nodes import Node, describe_nodes
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._variables import InventoryError


def ltsp_nodes(hostvars: t.Any, nodes: t.Any, servers: t.Any = (), control_plane: t.Any = ()) -> list[Node]:
    """Describe the nodes of the farm from the inventory."""
    if isinstance(nodes, Mapping):
        nodes, servers = hosts_for("nodes", nodes), hosts_for("servers", nodes)
    try:
        return describe_nodes(hostvars, nodes, servers, control_plane)
    except InventoryError as error:
        raise AnsibleFilterError(f"ltsp_nodes: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"ltsp_nodes": ltsp_nodes}
