# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role that reads a variable of another role, which may not run on the same host, falls back to the default of that role."""

from __future__ import annotations

import pathlib
import re
import typing as t

import yaml

ROLES = pathlib.Path(__file__).parents[2] / "roles"
READING = re.compile(r"(?<![\w'\"])(?:\w+\.)?(?P<name>[a-z]\w+) \| default\((?P<fallback>[^()]*)\)")


def defaults() -> dict[str, t.Any]:
    """The plain defaults of all roles."""
    merged: dict[str, t.Any] = {}
    for path in ROLES.glob("*/defaults/main.yml"):
        merged |= {name: value for name, value in yaml.safe_load(path.read_text(encoding="utf-8")).items() if "{{" not in str(value)}
    return merged


def test_each_fallback_is_the_default_of_the_role() -> None:
    known = defaults()
    wrong, compared = [], 0
    for path in [*ROLES.glob("*/defaults/*.yml"), *ROLES.glob("*/vars/*.yml"), *ROLES.glob("*/tasks/**/*.yml")]:
        role = path.relative_to(ROLES).parts[0]
        for reading in READING.finditer(path.read_text(encoding="utf-8")):
            name, fallback = reading["name"], reading["fallback"]
            if name in known and not name.startswith(f"{role}_"):
                compared += 1
                if yaml.safe_load(fallback) != known[name]:
                    wrong.append(f"{path.relative_to(ROLES)}: {name} is {known[name]!r} in its role, and not {fallback}")
    assert wrong == []
    assert compared > 0
