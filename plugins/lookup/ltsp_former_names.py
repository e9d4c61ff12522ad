# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_former_names
version_added: 0.4.0
short_description: Find variables that have a new name
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Returns the variables of this host that are set by a name which the collection has given up, and shows a deprecation for each.
  - The values are not evaluated.
"""

EXAMPLES = r"""
- name: Show the variables of this host that have a new name
  ansible.builtin.debug:
    msg: "{{ query('serverfarm.ltsp.ltsp_former_names') }}"
    # -> [isc_dhcp_subnets]
"""

RETURN = r"""
_raw:
  description: The former names.
  type: list
  elements: str
"""

import typing as t

from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._renamed import former_names

display = Display()


class LookupModule(LookupBase):
    """Variables that have a new name."""

    def run(self, terms: list[str], variables: t.Optional[dict[str, t.Any]] = None, **kwargs: t.Any) -> list[str]:
        """Return the former names, and show a deprecation for each."""
        found = former_names(variables or {})
        for former, new in found:
            display.deprecated(f"The variable {former} is called {new} now: rename it", version="0.5.0", collection_name="serverfarm.ltsp")
        return [former for former, _new in found]
