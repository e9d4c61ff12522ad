# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: dhcp_config
version_added: 0.4.0
short_description: Write the configuration of a DHCP server
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Checks the C(dhcp_*) variables and the descriptions of the nodes, and writes them in the syntax of a DHCP server.
  - Subnets or ranges that overlap, a range outside of its subnet, and a fixed address that is in no subnet, in a range or taken already
    are errors that name the machine or the place.
positional: nodes, server
options:
  _input:
    description:
      - The variables of the role P(serverfarm.ltsp.isc_dhcp#role), those that begin with C(dhcp_) without this prefix.
    type: dict
    required: true
  nodes:
    description: Nodes as P(serverfarm.ltsp.ltsp_nodes#filter) describes them.
    type: list
    elements: dict
    required: true
  server:
    description: The DHCP server, V(isc) for ISC dhcpd.
    type: str
    choices: [isc]
    required: true
seealso:
  - plugin: serverfarm.ltsp.ltsp_nodes
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the configuration that dhcpd gets
  ansible.builtin.debug:
    msg: "{{ settings | serverfarm.ltsp.dhcp_config(nodes, 'isc') }}"
  vars:
    nodes: "{{ hostvars | serverfarm.ltsp.ltsp_nodes(groups) }}"
    settings:
      interfaces: []
      ignore_client_identifiers: true
      option_definitions: {}
      networks: []
      subnets:
        - subnet: 10.77.0.0/24
          options: {routers: 10.77.0.254}
      hosts: []
"""

RETURN = r"""
_value:
  description: The content of the server's configuration file.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.plan import DhcpError, make_plan
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.renderers import choose_renderer


def dhcp_config(settings: t.Any, nodes: t.Any, server: str) -> str:
    """Write the configuration of a DHCP server."""
    try:
        renderer = choose_renderer(server)
        plan = make_plan(settings, nodes, renderer.extra)
    except DhcpError as error:
        raise AnsibleFilterError(f"dhcp_config: {error}") from error
    for key in sorted(plan.former_keys):
        message = f"The key {key} of networks, subnets, pools and hosts is named {renderer.extra.key} now: rename it."
        Display().deprecated(message, version="0.5.0", collection_name="serverfarm.ltsp")
    return renderer.render(plan)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"dhcp_config": dhcp_config}
