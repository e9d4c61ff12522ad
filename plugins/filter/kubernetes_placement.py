# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_placement
version_added: 0.3.0
short_description: Say which machines of a cluster may carry a boot server
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Compares node selector, affinity and tolerations of a boot server with the Nodes of the cluster, as the scheduler does.
  - It is an error when no Node fits, or when only machines fit that boot from this boot server, since none of them would start after a power cut.
  - A Node that is cordoned or not ready still fits.

positional: cluster, nodes
extends_documentation_fragment: serverfarm.ltsp.boot_server
options:
  cluster:
    description: The Node objects of the cluster.
    type: list
    elements: dict
    required: true
  nodes:
    description: Descriptions of all nodes of the farm, as the filter P(serverfarm.ltsp.ltsp_nodes#filter) makes them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
# The settings are those of the filter serverfarm.ltsp.kubernetes_boot_server.
- name: Show which machines of the cluster may carry the boot server
  ansible.builtin.debug:
    msg: "{{ settings | serverfarm.ltsp.kubernetes_placement(cluster.resources, nodes) }}"
  vars:
    cluster: "{{ {'resources': query('kubernetes.core.k8s', kind='Node')} }}"
    nodes: "{{ hostvars | serverfarm.ltsp.ltsp_nodes(groups) }}"
"""

RETURN = r"""
_value:
  description: Names of the Nodes.
  type: list
  elements: str
  sample: [machine1, machine2]
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.placement import placement
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import ServerError, read_settings


def kubernetes_placement(settings: t.Any, cluster: t.Any, nodes: t.Any) -> list[str]:
    """Say which machines of a cluster may carry a boot server."""
    try:
        return placement(read_settings(settings), cluster, nodes)
    except ServerError as error:
        raise AnsibleFilterError(f"kubernetes_placement: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_placement": kubernetes_placement}
