# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that installs the files of an image, as Ansible writes it and as a shell runs it."""

from __future__ import annotations

import grp
import json
import os
import pathlib
import pwd
import stat
import subprocess
import typing as t

import pytest
from playbook import run_playbook

ROLE = pathlib.Path(__file__).parents[3] / "roles/ltsp_image"
OWNER = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}


def script(directory: pathlib.Path, files: list[dict[str, t.Any]]) -> str:
    """Let Ansible write the script that installs these files."""
    copy = {"content": f"{{{{ lookup('ansible.builtin.template', '{ROLE}/templates/install.sh.j2') }}}}", "dest": str(directory / "script")}
    done = run_playbook(directory, [{"tasks": [{"ansible.builtin.copy": copy}]}], {"builder": {"__ltsp_image_files": files}})
    assert done.status == 0, done.output
    return (directory / "script").read_text(encoding="utf-8")


def run(words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-e"], input=words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    place = tmp_path_factory.mktemp("install")
    files = [
        {"path": f"{place}/odd/it's $HOME and \\n", "content": "it's %s, \\n and\n\n$(id) `id`\n", "mode": "0640", **OWNER},
        {"path": f"{place}/mapping", "content": {"b": [1, True], "a": "ä"}, "mode": 0o600, **OWNER},
        {"path": f"{place}/number", "content": 7, **OWNER},
        {"path": f"{place}/empty", "content": "", **OWNER},
        {"path": f"{place}/twice", "content": "the part's", **OWNER},
        {"path": f"{place}/twice", "content": "the operator's", **OWNER},
    ]
    done = run(script(place, files))
    assert (done.returncode, done.stderr) == (0, "")
    return place


def test_content_is_what_was_given(installed: pathlib.Path) -> None:
    assert (installed / "odd/it's $HOME and \\n").read_text(encoding="utf-8") == "it's %s, \\n and\n\n$(id) `id`\n"
    assert json.loads((installed / "mapping").read_text(encoding="utf-8")) == {"b": [1, True], "a": "ä"}
    assert (installed / "number").read_text(encoding="utf-8") == "7"
    assert (installed / "empty").read_text(encoding="utf-8") == ""


def test_the_last_one_of_a_path_wins(installed: pathlib.Path) -> None:
    assert (installed / "twice").read_text(encoding="utf-8") == "the operator's"


@pytest.mark.parametrize(("name", "mode"), [("odd/it's $HOME and \\n", 0o640), ("mapping", 0o600), ("number", 0o644)])
def test_modes(installed: pathlib.Path, name: str, mode: int) -> None:
    assert stat.S_IMODE((installed / name).stat().st_mode) == mode


def test_a_file_of_the_controller_comes_from_its_place_in_the_list(tmp_path: pathlib.Path) -> None:
    last = script(tmp_path, [{"path": "/a", "content": "a"}, {"path": "/b c", "src": "/somewhere/b", "mode": 0o755}]).splitlines()[-1]
    assert last == "install -D -T -m 0755 -o root -g root -- /.ltsp/files/1 '/b c'"


def test_an_owner_whom_the_image_does_not_know_is_an_error(tmp_path: pathlib.Path) -> None:
    done = run(script(tmp_path, [{"path": f"{tmp_path}/a", "content": "a", "owner": "no-such-user"}, {"path": f"{tmp_path}/b", "content": "b", **OWNER}]))
    assert done.returncode != 0
    assert "no-such-user" in done.stderr
    assert not (tmp_path / "b").exists()
