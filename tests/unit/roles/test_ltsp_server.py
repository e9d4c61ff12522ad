# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a boot server that its tasks and templates share."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import typing as t

import pytest
from playbook import run_playbook

SHARED = ("ports", "is_container", "root", "layers", "clients")


def shared(directory: pathlib.Path, **variables: t.Any) -> dict[str, t.Any]:
    """Return the shared variables in a play with `variables`. The role is in the play and runs nothing."""
    values = ", ".join(f"'{name}': __ltsp_server_{name}" for name in SHARED)
    play = {
        "vars": {"ltsp_server_subnets": ["10.77.0.0/24"], **variables},
        "roles": [{"role": "serverfarm.ltsp.ltsp_server", "when": False}],
        "tasks": [{"ansible.builtin.debug": {"msg": f"shared={{{{ {{{values}}} | to_json | b64encode }}}}"}}],
    }
    done = run_playbook(directory, [play], {"ltsp-1": {"ansible_host": "10.77.0.1"}})
    match = re.search(r'"shared=(\S+)"', done.output)
    assert match, done.output
    return t.cast(dict[str, t.Any], json.loads(base64.b64decode(match[1])))


def test_a_machine_with_systemd_has_the_configuration_in_its_own_root(tmp_path: pathlib.Path) -> None:
    assert shared(tmp_path) == {
        "ports": {"http": 80, "nbd": 10809},
        "is_container": False,
        "root": "",
        "layers": ["content", "exports"],
        "clients": ["10.77.0.0/24", "10.77.0.1/32"],
    }


def test_a_container_has_it_below_a_directory(tmp_path: pathlib.Path) -> None:
    variables = shared(tmp_path, ltsp_server_root="/work/common")
    assert (variables["is_container"], variables["root"], variables["clients"]) == (True, "/work/common", ["10.77.0.0/24", "127.0.0.0/8"])


@pytest.mark.parametrize(
    ("variables", "ports"),
    [
        ({"ltsp_server_http_port": "8080"}, {"http": "8080", "nbd": 10809}),
        ({"ltsp_server_http_port": 8080, "ltsp_server_ports": {"http": 8081}}, {"http": 8081, "nbd": 10809}),
    ],
)
def test_ports_of_a_play_count(tmp_path: pathlib.Path, variables: dict[str, t.Any], ports: dict[str, t.Any]) -> None:
    assert shared(tmp_path, **variables)["ports"] == ports
