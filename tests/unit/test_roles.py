# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's variables are said three times: its defaults, its argument specification and its README must say the same.

The README has one table of variables (its own, or several under headings), one row for each variable:

    | Variable | Type | Default | Meaning |
    | --- | --- | --- | --- |
    | `ltsp_image_name` | str | `node` | Name of the image. |

The default is YAML between backticks, with `|` written as `\\|`; it is empty for a variable that has none, and the word
`required` for one that must be given. The type is the one of the argument specification, lists as `list of str`.

The variables of all entry points of a role are in the same tables. A variable that several of them take is the same in all.

The default of a variable with a former name reads that one. It is documented without.
"""

from __future__ import annotations

import pathlib
import re
import typing as t

import jinja2
import pytest
import yaml

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._renamed import RENAMED

ROLES = sorted(path.parent for path in (pathlib.Path(__file__).parents[2] / "roles").glob("*/tasks"))
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>[^|]+) \| (?:`(?P<default>(?:[^`|]|\\\|)*)`|(?P<word>\w*)) *\| .*\S.* \|$")
PREFIXES = {"isc_dhcp": ("isc_dhcp_", "dhcp_")}
"""Roles with variables that mean no particular server; the others have their own name as prefix only."""
PYTHON_TYPES = {"str": str, "path": str, "bool": bool, "int": int, "list": list, "dict": dict, "float": (int, float)}


def load(path: pathlib.Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def defaults_of(role: pathlib.Path) -> dict[str, t.Any]:
    path = role / "defaults" / "main.yml"
    return {name: without_former(name, default) for name, default in (load(path) or {}).items()} if path.exists() else {}


def without_former(name: str, default: t.Any) -> t.Any:
    """The default of `name` where its former name is not set."""
    for former in (former for former, new in RENAMED.items() if new == name and isinstance(default, str)):
        match = re.fullmatch(rf"{{{{ {former} (?:\| default\((.*)\)|if {former} is defined else (.*)) }}}}", default)
        if match:
            expression = f"{{{{ {match[1] or match[2]} }}}}"
            (output,) = t.cast(jinja2.nodes.Output, jinja2.Environment().parse(expression).body[0]).nodes
            try:
                default = output.as_const()
            except jinja2.nodes.Impossible:
                default = expression
    return default


def entry_points_of(role: pathlib.Path) -> dict[str, dict[str, dict[str, t.Any]]]:
    specification = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: entry_point.get("options") or {} for name, entry_point in specification.items()}


def options_of(role: pathlib.Path) -> dict[str, dict[str, t.Any]]:
    """The options of all entry points; `main` says how one of several is described."""
    entry_points = entry_points_of(role)
    main = entry_points.pop("main")
    return {name: option for options in (*entry_points.values(), main) for name, option in options.items()}


def said_of(option: dict[str, t.Any]) -> dict[str, t.Any]:
    """What an option is, without how it is described."""
    return {key: value for key, value in option.items() if key in ("type", "elements", "default", "choices", "required")}


def prefixes_of(role: pathlib.Path) -> tuple[str, ...]:
    return PREFIXES.get(role.name, (f"{role.name}_",))


def type_of(option: dict[str, t.Any]) -> str:
    return f"list of {option['elements']}" if option["type"] == "list" else option["type"]


def rows_of(role: pathlib.Path) -> dict[str, dict[str, str | None]]:
    """The rows of the README's tables whose first cell is a variable of this role."""
    rows: dict[str, dict[str, str | None]] = {}
    for line in (role / "README.md").read_text(encoding="utf-8").splitlines():
        if not line.startswith(tuple(f"| `{prefix}" for prefix in prefixes_of(role))):
            continue
        row = ROW.match(line)
        assert row, f"{role.name}/README.md: not a row | `variable` | type | `default` | meaning |: {line}"
        assert row["name"] not in rows, f"{role.name}/README.md: {row['name']} has two rows"
        rows[row["name"]] = row.groupdict()
    return rows


@pytest.fixture(params=ROLES, ids=[role.name for role in ROLES])
def role(request: pytest.FixtureRequest) -> pathlib.Path:
    return request.param


def test_there_are_roles() -> None:
    assert "ltsp_image" in [role.name for role in ROLES]


def test_entry_points_have_their_tasks(role: pathlib.Path) -> None:
    assert [name for name in entry_points_of(role) if not (role / "tasks" / f"{name}.yml").exists()] == []


def test_entry_points_take_the_same_options(role: pathlib.Path) -> None:
    merged = options_of(role)
    wrong = [
        f"{entry_point}: {name}"
        for entry_point, options in entry_points_of(role).items()
        for name, option in options.items()
        if said_of(option) != said_of(merged[name])
    ]
    assert wrong == []


def test_variables_carry_the_role_as_prefix(role: pathlib.Path) -> None:
    assert [name for name in options_of(role) if not name.startswith(prefixes_of(role))] == []


def test_defaults_equal_the_argument_specification(role: pathlib.Path) -> None:
    assert defaults_of(role) == {name: option["default"] for name, option in options_of(role).items() if "default" in option}


def test_defaults_have_the_type_that_is_said(role: pathlib.Path) -> None:
    wrong = {}
    for name, option in options_of(role).items():
        default = option.get("default")
        if default is None or (isinstance(default, str) and "{{" in default) or option["type"] not in PYTHON_TYPES:
            continue
        if not isinstance(default, PYTHON_TYPES[option["type"]]) or (isinstance(default, bool) and option["type"] != "bool"):
            wrong[name] = default
    assert wrong == {}


def test_readme_has_every_variable(role: pathlib.Path) -> None:
    assert sorted(rows_of(role)) == sorted(options_of(role))


def test_readme_says_the_same_types(role: pathlib.Path) -> None:
    assert {name: (row["type"] or "").strip() for name, row in rows_of(role).items()} == {name: type_of(option) for name, option in options_of(role).items()}


def test_readme_says_the_same_defaults(role: pathlib.Path) -> None:
    said: dict[str, t.Any] = {}
    required = set()
    for name, row in rows_of(role).items():
        if row["default"] is not None:
            said[name] = yaml.safe_load(row["default"].replace("\\|", "|"))
        elif row["word"]:
            assert row["word"] == "required", f"{name}: a default is YAML between backticks, empty, or the word required"
            required.add(name)
    assert said == defaults_of(role)
    assert required == {name for name, option in options_of(role).items() if option.get("required")}
