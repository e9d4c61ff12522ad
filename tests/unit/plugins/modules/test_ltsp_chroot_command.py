# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.command import Result
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Task
from ansible_collections.serverfarm.ltsp.plugins.modules import ltsp_chroot_command


@pytest.fixture
def tree(tmp_path):
    for name in ("dev", "proc", "run", "sys", "etc"):
        (tmp_path / name).mkdir()
    (tmp_path / "etc/there").touch()
    return str(tmp_path)


@pytest.fixture
def ran(monkeypatch):
    calls = []

    def run_in_tree(root, argv, *, chdir, environment, data):
        calls.append((root, argv, chdir, environment, data))
        return Result(0, "grün\r\n\n".encode(), b"\xff\n")

    monkeypatch.setattr(ltsp_chroot_command, "run_in_tree", run_in_tree)
    monkeypatch.setattr(ltsp_chroot_command.os, "environ", {"http_proxy": "http://proxy", "HOME": "/home/somebody"})
    return calls


def run(tree, check_mode=False, argv=("true",), result=None, **values):
    params = {"root": tree, "cmd": None, "argv": list(argv), "chdir": "/", "environment": {}, "stdin": None, "stdin_add_newline": True}
    task = Task({**params, "creates": None, "removes": None, **values}, check_mode, False, print)
    return ltsp_chroot_command.run(task, dict(ltsp_chroot_command.NOT_RUN) if result is None else result)


def test_output_is_text_without_the_last_newlines(tree, ran):
    result = run(tree)
    assert (result["changed"], result["rc"], result["stdout"], result["stderr"]) == (True, 0, "grün", "\ufffd")


def test_a_command_that_fails_returns_its_output(tree, ran, monkeypatch):
    monkeypatch.setattr(ltsp_chroot_command, "run_in_tree", lambda *arguments, **keywords: Result(3, b"out\n", b"error\n"))
    result = dict(ltsp_chroot_command.NOT_RUN)
    with pytest.raises(ChrootError, match=r"^non-zero return code$"):
        run(tree, result=result)
    assert (result["changed"], result["cmd"], result["rc"], result["stdout"], result["stderr"]) == (True, ["true"], 3, "out", "error")


def test_a_refused_command_returns_that_nothing_ran(tree, ran):
    result = dict(ltsp_chroot_command.NOT_RUN)
    with pytest.raises(ChrootError):
        run(tree, chdir="etc", result=result)
    assert result == {**ltsp_chroot_command.NOT_RUN, "cmd": ["true"]}


@pytest.mark.parametrize(("values", "data"), [({}, None), ({"stdin": "ä"}, b"\xc3\xa4\n"), ({"stdin": "", "stdin_add_newline": False}, b"")])
def test_inputs_reach_the_command(tree, ran, values, data):
    run(tree, chdir="/etc", environment={"N": 1}, **values)
    assert ran == [(tree, ["true"], "/etc", {"http_proxy": "http://proxy", "N": "1"}, data)]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("option", "path", "runs"), [("creates", "there", False), ("creates", "gone", True), ("removes", "/etc/there", True), ("removes", "gone", False)]
)
def test_conditions_decide(tree, ran, check_mode, option, path, runs):
    result = run(tree, check_mode, chdir="/etc", **{option: path})
    assert result["changed"] is runs
    assert "skipped" not in result
    assert len(ran) == int(runs and not check_mode)


def test_check_mode_without_conditions_is_a_skip(tree, ran):
    result = run(tree, check_mode=True)
    assert (result["changed"], result["skipped"], ran) == (False, True, [])


def test_check_mode_bears_a_tree_that_is_still_to_be_made(tree, ran):
    assert run(f"{tree}/missing", check_mode=True, creates="/etc/there")["changed"]
    with pytest.raises(ChrootError, match="is not a system's tree"):
        run(f"{tree}/missing")


@pytest.mark.parametrize("values", [{"argv": ()}, {"chdir": "etc"}, {"environment": {"A B": ""}}])
def test_wrong_inputs_are_refused_in_check_mode_too(tree, ran, values):
    with pytest.raises(ChrootError):
        run(tree, check_mode=True, **values)


def test_split_follows_the_shell_and_says_what_it_cannot():
    assert ltsp_chroot_command.split("sh -c 'a b' \"c\" d\\ e") == ["sh", "-c", "a b", "c", "d e"]
    with pytest.raises(ChrootError, match="is not quoted as for a shell"):
        ltsp_chroot_command.split("sh -c 'a")
