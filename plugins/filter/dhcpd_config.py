# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: dhcpd_config
version_added: 0.1.0
short_description: Check what dhcpd.conf is to say
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Turns the variables of the role P(serverfarm.ltsp.isc_dhcp#role) and the descriptions of the nodes into checked data in which every
    value stands as ISC dhcpd wants it, for the role's template.
  - Subnets or ranges that overlap, a range outside of its subnet, and a fixed address that is in no subnet, in a range or taken already
    are errors that name the machine or the place.
positional: nodes
options:
  _input:
    description: The variables of the role without the prefix C(isc_dhcp_).
    type: dict
    required: true
  nodes:
    description: Nodes as P(serverfarm.ltsp.ltsp_nodes#filter) describes them.
    type: list
    elements: dict
    required: true
seealso:
  - plugin: serverfarm.ltsp.ltsp_nodes
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the host declarations that dhcpd gets
  ansible.builtin.debug:
    msg: "{{ (settings | serverfarm.ltsp.dhcpd_config(nodes)).hosts }}"
  vars:
    nodes: "{{ hostvars | serverfarm.ltsp.ltsp_nodes(groups) }}"
    settings:
      ignore_client_uids: true
      option_definitions: {}
      shared_networks: []
      subnets:
        - subnet: 10.77.0.0/24
          options: {routers: 10.77.0.254}
      hosts: []
"""

RETURN = r"""
_value:
  description:
    - C(definitions), C(authoritative), C(parameters), C(options), C(filenames), C(extra), C(ignore_client_uids), C(shared_networks),
      C(subnets) and C(hosts). Each level has the same keys for what can be said there.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils import _dhcp


def dhcpd_config(settings: t.Any, nodes: t.Any) -> dict[str, t.Any]:
    """Check what dhcpd.conf is to say."""
    try:
        return _dhcp.dhcpd_config(settings, nodes)
    except _dhcp.DhcpError as error:
        raise AnsibleFilterError(f"dhcpd_config: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"dhcpd_config": dhcpd_config}
