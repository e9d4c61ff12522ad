# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_services
version_added: 0.4.0
short_description: Describe the daemons of a boot server
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Returns the daemons of a boot server, with the ports that its variables give them.
options:
  _input:
    description: Variables of the boot server.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the ports of a boot server
  ansible.builtin.debug:
    msg: "{{ hostvars['ltsp-1'] | serverfarm.ltsp.ltsp_services | map(attribute='exposed_port') }}"
    # -> ['69/udp', '80/tcp', '10809/tcp']
"""

RETURN = r"""
_value:
  description:
    - The daemons, each with C(name), C(is_transport), the C(variable) of its port, C(port), C(exposed_port) as in a container image, C(packages) for a machine
      with systemd, C(container_packages), and C(container_exclude) with the patterns of the files of these that a container image leaves out.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._services import describe_services


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"ltsp_services": describe_services}
