# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_server_addresses
version_added: 0.4.0
short_description: Give the addresses of boot servers
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Returns the address at which nodes reach each boot server, its C(ltsp_server_address) or else its C(ansible_host).
positional: hosts
options:
  _input:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
  hosts:
    description: Inventory names of the boot servers.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the addresses of the boot servers on Kubernetes
  ansible.builtin.debug:
    msg: "{{ hostvars | serverfarm.ltsp.kubernetes_server_addresses(groups['ltsp_kubernetes_servers']) }}"
"""

RETURN = r"""
_value:
  description: A dictionary of the hosts to their addresses, which are empty where the inventory has none.
  type: dict
"""

import typing as t

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import server_addresses


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_server_addresses": server_addresses}
