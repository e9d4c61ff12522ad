# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest


def rc(node: t.Any, *commands: str) -> t.Any:
    node.write("run/ltsp/env", "HOSTNAME='node1'\nSERVER='it'\\''s'\n")
    node.write("run/ltsp/lts.conf", "".join(f"RCFILE_{number}={command}\n" for number, command in enumerate(commands, 1)))
    return node.run("ltsp_run_rcfiles", "commands", check=False)


def test_one_script(node: t.Any) -> None:
    result = rc(node, "A='x y'; cd /tmp", 'echo "$A" $PWD $HOSTNAME "$SERVER"')
    assert (result.returncode, result.stdout, result.stderr) == (0, "x y /tmp node1 it's\n", "")


def test_nothing_to_run(node: t.Any) -> None:
    assert rc(node).returncode == 0


@pytest.mark.parametrize("command", ["false", "exit 1", "true | false", "A=$(false)", "echo 'not closed", "cd /nowhere; true"])
def test_a_failure_ends_the_script_and_names_the_key(node: t.Any, command: str) -> None:
    result = rc(node, "echo one", command, "echo three")
    assert result.returncode != 0
    assert result.stdout == "one\n"
    assert "RCFILE_2 failed with status" in result.stderr


def test_an_exit_is_said_too(node: t.Any) -> None:
    result = rc(node, "exit 0", "echo two")
    assert result.returncode == 0
    assert "RCFILE_1 ended the script" in result.stderr
