# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as surveys and command lines hand them over: as text."""

from __future__ import annotations

import json
import typing as t


def to_list(value: t.Any, separator: t.Optional[str] = ",") -> list[t.Any]:
    """Take a list, or the text that was made of one: JSON, or items between separators (None: any white space)."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return [item.strip() for item in value.split(separator) if item.strip()]
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is not valid JSON ({error}): correct it, or give the value as YAML") from None
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{value!r} is not a list: write [a, b]")
    return list(value)
