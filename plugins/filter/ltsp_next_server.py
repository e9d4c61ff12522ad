# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_next_server
version_added: 0.4.0
short_description: Name the boot server of unknown machines
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Returns the address of the first host of C(ltsp_servers). That is its C(ltsp_server_address), or else its C(ansible_host), or else its inventory name.
options:
  _input:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
  groups:
    description: Groups of the inventory, C(groups). A group may be missing.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the server that DHCP gives to unknown machines
  ansible.builtin.debug:
    msg: "{{ hostvars | serverfarm.ltsp.ltsp_next_server(groups) }}"
"""

RETURN = r"""
_value:
  description: Address or name of the boot server, empty when C(ltsp_servers) has no host.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._farm import next_server
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._variables import InventoryError


def ltsp_next_server(hostvars: t.Any, groups: t.Any) -> str:
    """Name the boot server of unknown machines."""
    try:
        return next_server(hostvars, groups)
    except InventoryError as error:
        raise AnsibleFilterError(f"ltsp_next_server: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"ltsp_next_server": ltsp_next_server}
