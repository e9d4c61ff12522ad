# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that have a new name: an inventory with the former one works, and the collection itself uses the new one."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml
from playbook import run_playbook

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._renamed import RENAMED, former_names

ROOT = pathlib.Path(__file__).parents[2]
ROLES = sorted(path.parent for path in ROOT.glob("roles/*/tasks"))


class Reader(t.NamedTuple):
    """The variable of a role that reads a former name."""

    role: str
    variable: str
    value: t.Any


def readers_of(former: str) -> list[Reader]:
    """The variables of roles whose value is that of the former name before anything else."""
    found = []
    for role in ROLES:
        for path in (role / "defaults/main.yml", role / "vars/main.yml"):
            variables = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
            found += [
                Reader(role.name, variable, value)
                for variable, value in variables.items()
                if isinstance(value, str) and re.match(rf"\s*\{{\{{ \(?{former} (\| default\(|if {former} is defined else )", value)
            ]
    return found


def test_the_rows_are_sorted() -> None:
    assert list(RENAMED) == sorted(RENAMED)


def test_no_new_name_is_a_former_one() -> None:
    assert set(RENAMED) & set(RENAMED.values()) == set()


@pytest.mark.parametrize(("former", "new"), RENAMED.items())
def test_one_variable_of_one_role_reads_a_former_name(former: str, new: str) -> None:
    (reader,) = readers_of(former)
    assert reader.variable == new or new in reader.value, f"{reader.role}: {reader.variable} reads {former}, and not {new}"


@pytest.mark.parametrize("former", RENAMED)
def test_tasks_templates_and_playbooks_use_the_new_name(former: str) -> None:
    places = [path for pattern in ("roles/*/tasks/**/*", "roles/*/templates/**/*", "roles/*/handlers/*", "playbooks/*") for path in ROOT.glob(pattern)]
    used = [str(path.relative_to(ROOT)) for path in places if path.is_file() and re.search(rf"(?<!\w){former}(?!\w)", path.read_text(encoding="utf-8"))]
    assert used == [], f"{former} is called {RENAMED[former]} now"


def test_the_notes_on_upgrading_have_each_former_name() -> None:
    rows = re.findall(r"^\| `([\w*]+)` \| `([\w*]+)` \|$", (ROOT / "docs/upgrading.md").read_text(encoding="utf-8"), re.MULTILINE)
    documented = {former: new for former, new in rows if "*" not in former}
    families = {former.rstrip("*"): new.rstrip("*") for former, new in rows if "*" in former}

    def note(former: str) -> str | None:
        return documented.get(former) or next((new + former[len(prefix) :] for prefix, new in families.items() if former.startswith(prefix)), None)

    assert {former: note(former) for former in RENAMED} == RENAMED


def test_former_names_are_found_without_reading_their_values() -> None:
    class Names(frozenset[str]):
        def __getitem__(self, key: str) -> t.Any:
            raise AssertionError(key)

    former, new = next(iter(RENAMED.items()))
    assert former_names(Names({former, "ltsp_farm_store"})) == [(former, new)]


def test_an_inventory_with_former_names_works(tmp_path: pathlib.Path) -> None:
    """Each former name gives its value to the variable that reads it, with the defaults of all roles."""
    files = [str(path) for role in ROLES for name in ("vars", "defaults") if (path := role / name / "main.yml").exists()]
    readers = {former: readers_of(former)[0].variable for former in RENAMED}
    tasks = [
        {"name": former, "ansible.builtin.assert": {"that": f"{variable} == 'the value of {former}'"}, "vars": {former: f"the value of {former}"}}
        for former, variable in readers.items()
    ]
    done = run_playbook(tmp_path, [{"vars_files": files, "tasks": tasks}], {"host": {}})
    assert done.status == 0, done.output
    assert done.counters["host"]["ok"] == len(RENAMED)
