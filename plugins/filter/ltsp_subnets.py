# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_subnets
version_added: 0.1.0
short_description: Check a list of IPv4 subnets
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Daemons read a subnet that is written wrongly in different ways, and none of them fails. This filter does.
options:
  _input:
    description: Subnets as C(10.77.0.0/24) or C(10.77.0.0/255.255.255.0); a list, or text as a survey hands it over.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show subnets in one form
  ansible.builtin.debug:
    msg: "{{ '10.77.0.0/24, 10.78.0.0/255.255.0.0' | serverfarm.ltsp.ltsp_subnets }}"
    # -> ['10.77.0.0/24', '10.78.0.0/16']
"""

RETURN = r"""
_value:
  description: The subnets with the lengths of their prefixes, at least one.
  type: list
  elements: str
"""

import ipaddress
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list


def ltsp_subnets(value: t.Any) -> list[str]:
    """Check a list of IPv4 subnets."""
    try:
        subnets = [_subnet(str(item)) for item in to_list(value)]
    except ValueError as error:
        raise AnsibleFilterError(f"ltsp_subnets: {error}") from None
    if not subnets:
        raise AnsibleFilterError("ltsp_subnets: the list is empty: give at least one subnet, as in 10.77.0.0/24")
    return subnets


def _subnet(text: str) -> str:
    try:
        if "/" not in text:
            raise ValueError("its prefix is missing")
        return str(ipaddress.IPv4Network(text))
    except ValueError as error:
        raise ValueError(f"{text} is not an IPv4 subnet ({error}): write it as in 10.77.0.0/24") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"ltsp_subnets": ltsp_subnets}
