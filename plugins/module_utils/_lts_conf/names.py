# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in lts.conf: their comparison, their globs and their order."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError

if t.TYPE_CHECKING:
    from collections.abc import Iterable

# Readers compare with strcasecmp() in the C locale, where only ASCII letters have cases.
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class LtsConfError(LtspError):
    """An lts.conf, or a section or value for it, that cannot be written."""


def fold(name: str) -> str:
    """Return a name in the spelling in which names are compared."""
    return name.translate(_LOWER)


def is_glob(name: str) -> bool:
    return any(character in name for character in "*?[")


def glob_pattern(name: str) -> re.Pattern[str]:
    """Compile a glob that sh's `case`, fnmatch(3) and this collection understand alike, for folded names."""
    pattern, complaint = parse_glob(name)
    if complaint:
        raise LtsConfError(f"{name!r}: {complaint}")
    return pattern


def parse_glob(name: str) -> tuple[re.Pattern[str], str]:
    """Return the pattern that a glob is to the runtime, and the reason why it must not be written, or ""."""
    text = fold(name)
    complaints = ["a backslash in a name is read differently by different readers: use [...] or ?"] if "\\" in text else []
    parts = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "[":
            negated = text[position : position + 1] in ("!", "^")
            end = text.find("]", position + negated + 1)
            if end < 0:
                complaints.append("the [ has no ]: close it, or use ? for one character")
                parts.append(r"\[")
            else:
                parts.append(_character_set(text[position:end], negated, complaints))
                position = end + 1
        elif character == "\\" and position < len(text):
            parts.append(re.escape(text[position]))
            position += 1
        else:
            parts.append({"*": ".*", "?": "."}.get(character, re.escape(character)))
    return re.compile("".join(parts), re.DOTALL), next(iter(complaints), "")


def _character_set(content: str, negated: bool, complaints: list[str]) -> str:
    if content.startswith("^"):
        complaints.append("[^...] is read differently by different readers: write [!...]")
    if re.search(r"\[[:.=]", content):
        complaints.append("character classes such as [:digit:] are read differently by different readers: write [0-9]")
    members = ""
    for first, last, single in re.findall(r"(.)-(.)|(.)", content[negated:], re.DOTALL):
        if first > last:
            complaints.append(f"the range {first}-{last} is empty: turn it round")
        else:
            members += f"{re.escape(first)}-{re.escape(last)}" if first else re.escape(single)
    return f"[{'^' if negated else ''}{members}]" if members else "." if negated else "(?!)"


def matches(name: str, patterns: Iterable[re.Pattern[str]]) -> bool:
    """Tell whether one of the globs matches the name."""
    return any(pattern.fullmatch(fold(name)) for pattern in patterns)


@functools.cache
def version_key(key: str) -> tuple[object, ...]:
    """Return the key that sorts as `sort -V` does: numbers by value, letters before other characters."""
    parts = re.findall(r"(\D*)(\d*)", key)
    return tuple((tuple(ord(c) if c.isalpha() else ord(c) + 256 for c in text), int(digits or 0)) for text, digits in parts), key
