# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from playbook import Done, run_playbook

UNKNOWN = "ltsp-test-of-a-package-that-does-not-exist"
PACKAGES = {"name": "serverfarm.ltsp.ltsp_farm", "tasks_from": "packages"}
FARM = [{"role": "serverfarm.ltsp.ltsp_farm"}]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A check of machines that each have a dpkg-query and package lists of their own."""
    directory = tmp_path_factory.mktemp("check")
    (directory / "lists").mkdir()
    (directory / "lists" / "deb.example.org_Packages.lz4").touch()
    (directory / "no-lists").mkdir()

    def machine(name: str, installed: str, lists: str = "lists", **variables: t.Any) -> dict[str, t.Any]:
        program = directory / name / "dpkg-query"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\nprintf '{installed}'\n", encoding="utf-8")
        program.chmod(0o755)
        return {"path": f"{program.parent}:{os.environ['PATH']}", "lists": str(directory / lists), **variables}

    hosts = {
        "complete": machine("complete", f"installed {UNKNOWN}\\n"),
        "removed": machine("removed", f"config-files {UNKNOWN}\\n", "no-lists"),
        "fresh": machine("fresh", "installed python3-apt\\n", "no-lists"),
        "minimal": machine("minimal", "installed dpkg\\n"),
        "wrong": machine("wrong", "installed python3-apt\\n"),
        "no-sudo": machine("no-sudo", "", ansible_become=True, ansible_become_user="nobody", ansible_become_exe="/bin/false"),
    }
    play = {
        "environment": {"PATH": "{{ path }}"},
        "tasks": [
            {
                "ansible.builtin.import_role": PACKAGES,
                "vars": {"ltsp_farm_packages": [UNKNOWN], "__ltsp_farm_package_lists": "{{ lists }}"},
            },
            {"ansible.builtin.debug": {"msg": "pending on {{ inventory_hostname }}: {{ __ltsp_farm_pending_packages | join(' ') }}."}},
        ],
    }
    return run_playbook(directory, [play], hosts, "--check")


def test_a_check_where_the_packages_are_installed_changes_nothing(check: Done) -> None:
    assert (check.counters["complete"]["changed"], check.counters["complete"]["failed"]) == (0, 0)
    assert "pending on complete: ." in check.output


@pytest.mark.parametrize("host", ["fresh", "minimal", "removed"])
def test_a_check_goes_on_where_packages_cannot_be_looked_up(check: Done, host: str) -> None:
    assert (check.counters[host]["changed"], check.counters[host]["failed"]) == (1, 0)
    assert f"pending on {host}: {UNKNOWN}." in check.output


def test_a_check_names_the_packages_and_why_they_are_not_looked_up(check: Done) -> None:
    assert f"{UNKNOWN} would be installed. Whether apt finds them is not known: this machine lacks package lists." in check.output
    assert f"{UNKNOWN} would be installed. Whether apt finds them is not known: this machine lacks python3-apt." in check.output


@pytest.mark.parametrize("host", ["wrong", "no-sudo"])
def test_a_check_fails_where_the_installation_would_fail(check: Done, host: str) -> None:
    assert (check.counters[host]["changed"], check.counters[host]["failed"]) == (0, 1)
    assert f"pending on {host}" not in check.output
    assert check.status


def test_former_names_are_shown_once_whatever_their_values(tmp_path: pathlib.Path) -> None:
    former = {"ltsp_image_store": "{{ undefined_variable }}", "ltsp_farm_store": "/srv/ltsp"}
    play = {"roles": FARM, "vars": {"ltsp_server_store": "/srv/ltsp"}}
    done = run_playbook(tmp_path, [play, play], {"ltsp-1": former, "ltsp-2": former})
    assert done.status == 0, done.output
    for name in ("ltsp_image_store", "ltsp_server_store"):
        assert done.output.count(f"The variable {name} is called ltsp_farm_store now: rename it") == 1
    assert done.output.count("0.5.0") == 2
    assert done.counters["ltsp-1"]["changed"] == 0


def test_new_names_are_not_shown(tmp_path: pathlib.Path) -> None:
    done = run_playbook(tmp_path, [{"roles": FARM}], {"ltsp-1": {"ltsp_farm_store": "/srv/ltsp"}})
    assert (done.status, "rename it" in done.output) == (0, False)
