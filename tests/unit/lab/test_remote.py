# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines as their users have them, with a stand-in for ssh."""

from __future__ import annotations

import json
import os
import typing as t

import pytest

from ltsp_lab.files import Files
from ltsp_lab.messages import LabError
from ltsp_lab.remote import Remote, RemoteError, patiently, reboot

if t.TYPE_CHECKING:
    import pathlib

    from stand_ins import Commands

BOOT_ID = "0b6f9d8e-0000-4000-8000-000000000000"


@pytest.fixture
def remote(commands: Commands, tmp_path: pathlib.Path) -> Remote:
    commands.add("ssh", "")
    return Remote(tmp_path / "lab", "node1")


def test_a_command_runs_with_the_configuration_of_the_lab(remote: Remote, commands: Commands) -> None:
    commands.add("ssh", "cat; echo ' said '")
    assert remote.run("do it", "input\n") == "input\n said"
    (call,) = commands.calls()
    assert call.startswith(f"ssh -F {remote.directory}/ssh_config -o ")
    assert f"ControlPath={remote.directory}/run/%n.ssh-lab" in call
    assert call.endswith(" node1 do it")


def test_a_command_that_fails_is_an_error_with_all_that_it_said(remote: Remote, commands: Commands) -> None:
    commands.add("ssh", "echo out; echo err >&2; exit 3")
    with pytest.raises(RemoteError, match=r"^node1: do it: 3\nout\nerr\n$"):
        remote.run("do it")


def test_a_command_without_an_end_is_an_error_of_the_lab(remote: Remote, commands: Commands) -> None:
    commands.add("ssh", "exec sleep 1000")
    with pytest.raises(RemoteError, match=r"^node1: do it: no end after 0 s$") as error:
        remote.run("do it", seconds=0.1)
    # scripts/lab shows a LabError as a message, without a traceback.
    assert isinstance(error.value, LabError)


def test_patience_is_until_the_first_success(tmp_path: pathlib.Path) -> None:
    tries: list[int] = []

    def third() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise RemoteError("not yet")
        return "done"

    def never() -> None:
        raise AssertionError("never")

    assert patiently(third, 10, every=0.01) == "done"
    with pytest.raises(AssertionError, match=r"^never$"):
        patiently(never, 0.05, every=0.01)
    with pytest.raises(KeyError):
        patiently(lambda: os.environ["NO VARIABLE"], 10)


def test_waiting_for_a_command_ends_with_its_success_or_its_error(remote: Remote, commands: Commands) -> None:
    assert remote.wait_for("true") == ""
    commands.add("ssh", "exit 255")
    with pytest.raises(RemoteError, match=r"^node1: true: 255\n$"):
        remote.wait_for("true", 0)


def test_a_node_says_what_it_is(remote: Remote, commands: Commands) -> None:
    commands.add("ssh", "case $* in *--wait*) echo degraded ;; *--failed*) echo 'x.service loaded failed failed X' ;; *) exit 1 ;; esac")
    assert remote.state() == ("degraded", "x.service loaded failed failed X")
    commands.add("ssh", f"case $* in */boot_id) echo {BOOT_ID} ;; *) printf 'LTSP_IMAGE=debian\\nLTSP_X=\"a b\" LTSP_Y=1=2\\n' ;; esac")
    assert remote.environment() == {"LTSP_IMAGE": "debian", "LTSP_X": "a b", "LTSP_Y": "1=2"}
    assert remote.boot() == BOOT_ID


def test_console_and_first_answer_are_read_from_files(remote: Remote) -> None:
    files = Files(remote.directory / "run", "node1")
    files.run.mkdir(parents=True)
    files.console_log.write_bytes(b"one\r\ntwo\r\n")
    files.answer.write_text(json.dumps({"seconds": 7}), encoding="utf-8")
    assert (remote.console(), remote.console(5)) == ("one\ntwo\n", "two\n")
    assert remote.answer() == {"seconds": 7}


@pytest.fixture
def console(remote: Remote) -> pathlib.Path:
    """The console of the machine, with trouble that is over."""
    console = remote.directory / "run/node1.console.log"
    console.parent.mkdir(parents=True)
    console.write_text("Kernel panic - not syncing: an old one\n", encoding="utf-8")
    return console


def test_machines_boot_at_the_same_time(remote: Remote, console: pathlib.Path, commands: Commands) -> None:
    console.with_name("node2.console.log").touch()
    commands.add("ssh", f"case $* in *'cat '*) echo {BOOT_ID} ;; esac")
    reboot([remote, Remote(remote.directory, "node2")])
    words = [call.split(" node", 1)[1] for call in commands.calls("ssh")]
    ids, orders, waits = words[:2], words[2:4], words[4:]
    assert ids == [f"{number} cat /proc/sys/kernel/random/boot_id" for number in (1, 2)]
    assert orders == [f"{number} systemd-run --quiet --on-active=1 systemctl reboot" for number in (1, 2)]
    assert waits == [f"{number} ! grep -q {BOOT_ID} /proc/sys/kernel/random/boot_id" for number in (1, 2)]


def test_a_boot_that_stops_ends_the_wait(remote: Remote, console: pathlib.Path, commands: Commands) -> None:
    panic = f"echo 'Kernel panic - not syncing: a new one' >>{console}"
    commands.add("ssh", f"case $* in *'cat '*) echo {BOOT_ID} ;; *systemd-run*) {panic} ;; *) exit 255 ;; esac")
    with pytest.raises(LabError, match=r"^node1 has stopped \(kernel\): Kernel panic - not syncing: a new one\nKernel panic - not syncing: a new one$"):
        reboot([remote])


def test_trouble_on_purpose_does_not_end_the_wait(remote: Remote, console: pathlib.Path, commands: Commands) -> None:
    commands.add("ssh", f"case $* in *'cat '*) echo {BOOT_ID} ;; esac")

    def trouble() -> None:
        console.write_text("THIS NODE CANNOT BOOT\n" * 10, encoding="utf-8")

    reboot([remote], trouble)
    assert len(commands.calls("ssh")) == 3
