# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_hosts
version_added: 0.4.0
short_description: Name the hosts that have a duty in the farm
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Derives from the groups of the inventory which hosts do what. The playbooks of this collection choose their hosts with it.
options:
  _input:
    description: Groups of the inventory, C(groups). A group may be missing.
    type: dict
    required: true
  duty:
    description:
      - What the hosts do.
      - "V(builders): build images. They are C(ltsp_builders), or else the first boot server that does not run on Kubernetes. The first one builds the
        container image."
      - "V(servers): are boot servers, C(ltsp_servers)."
      - "V(managed_servers): are boot servers to which Ansible logs in, those that do not run on Kubernetes."
      - "V(kubernetes_servers): are boot servers that run on Kubernetes, C(ltsp_kubernetes_servers)."
      - "V(kubernetes_sources): have what boot servers on Kubernetes are made of. They are the first builder and the first host that lets nodes join."
      - "V(reference_servers): is the boot server whose variables hold for the container image, the first one on Kubernetes, or else the first one."
      - "V(join_servers): let nodes join Kubernetes. They are V(managed_servers), or else V(builders)."
      - "V(active_join_servers): are V(join_servers) when C(kube_control_plane) has hosts."
      - "V(control_plane): are the control plane, C(kube_control_plane)."
      - "V(nodes): boot over the network, C(ltsp_nodes)."
    type: str
    required: true
    choices:
      - builders
      - servers
      - managed_servers
      - kubernetes_servers
      - kubernetes_sources
      - reference_servers
      - join_servers
      - active_join_servers
      - control_plane
      - nodes
"""

EXAMPLES = r"""
- name: Prepare the hosts that build images
  # Ansible refuses an empty list. This pattern matches no host.
  hosts: "{{ groups | serverfarm.ltsp.ltsp_hosts('builders') or 'all:!all' }}"
  tasks: []
"""

RETURN = r"""
_value:
  description: Inventory names of the hosts, in the order of the inventory.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._farm import hosts_for


def ltsp_hosts(groups: t.Any, duty: str) -> list[str]:
    """Name the hosts that have a duty in the farm."""
    try:
        return hosts_for(duty, groups)
    except ValueError as error:
        raise AnsibleFilterError(f"ltsp_hosts: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"ltsp_hosts": ltsp_hosts}
