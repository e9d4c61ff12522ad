# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_columns
version_added: 0.1.0
short_description: Keep some keys of each dictionary in a list
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Gives each consumer of the node descriptions the part that it needs, under the names that it knows.
positional: _input
options:
  _input:
    description: Dictionaries that have all these keys.
    type: list
    elements: dict
    required: true
  _keys:
    description: Keys to keep are positional arguments. A key that gets another name is a keyword argument, the new name first.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Keep the name, and call the address differently
  ansible.builtin.debug:
    msg: "{{ [{'name': 'node1', 'ip': '10.77.0.11', 'ram': true}] | serverfarm.ltsp.ltsp_columns('name', address='ip') }}"
    # -> [{'name': 'node1', 'address': '10.77.0.11'}]
"""

RETURN = r"""
_value:
  description: One dictionary for each one given.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError


def ltsp_columns(rows: t.Any, *keys: str, **renamed: str) -> list[dict[str, t.Any]]:
    """Keep some keys of each dictionary in a list."""
    columns = {**{key: key for key in keys}, **renamed}
    try:
        return [{new: row[old] for new, old in columns.items()} for row in rows]
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(f"ltsp_columns: the input is not a list of dictionaries with the keys {', '.join(columns.values())}: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"ltsp_columns": ltsp_columns}
