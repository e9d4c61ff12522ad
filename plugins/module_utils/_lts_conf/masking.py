# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of secret parameters, which are masked in diffs and results."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import split_lines
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import matches

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_ASSIGNMENT = re.compile(r"([ \t#]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*).*", re.DOTALL)
MASK = "********"


def masked(text: str, secret: Sequence[re.Pattern[str]]) -> str:
    """Mask the values of secret parameters, also in comments and in lines that are not understood."""
    if not secret:
        return text
    lines = split_lines(text)
    for line in lines:
        match = _ASSIGNMENT.fullmatch(line.text)
        if match and matches(match[2], secret):
            line.text = f'{match[1]}"{MASK}"'
    return "".join(line.text + line.end for line in lines)


def masked_sections(sections: Iterable[Mapping[str, t.Any]], secret: Sequence[re.Pattern[str]]) -> list[dict[str, t.Any]]:
    """Mask the secret values in the sections of a task."""
    return [
        {**section, "parameters": {key: MASK if matches(key, secret) else value for key, value in (section["parameters"] or {}).items()}}
        for section in sections
    ]
