# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_list
version_added: 0.1.0
short_description: Take a list, or the text that a survey makes of one
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Surveys of AWX and C(-e name=value) hand over text. This filter gives the list that was meant.
  - A list stays what it is. Text that begins with C([) is JSON, other text holds items between separators. Blanks around an item and empty items are dropped.
options:
  _input:
    description: A list or text.
    type: raw
    required: true
  separator:
    description: What stands between two items.
    type: str
    default: ","
"""

EXAMPLES = r"""
- name: Show the packages, whether they come from a file of variables or from a survey
  ansible.builtin.debug:
    msg: "{{ ltsp_image_packages | serverfarm.ltsp.ltsp_list }}"

- name: Show one key a line
  ansible.builtin.debug:
    msg: "{{ ltsp_image_authorized_keys | serverfarm.ltsp.ltsp_list(separator='\n') }}"
"""

RETURN = r"""
_value:
  description: The list.
  type: list
  elements: raw
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list


def ltsp_list(value: t.Any, separator: str = ",") -> list[t.Any]:
    """Take a list, or the text that a survey makes of one."""
    try:
        return to_list(value, separator)
    except ValueError as error:
        raise AnsibleFilterError(f"ltsp_list: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"ltsp_list": ltsp_list}
