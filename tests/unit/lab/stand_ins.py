# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that stand in for what a test of the lab cannot run."""

from __future__ import annotations

import json
import pathlib
import shutil
import sys
import time
import typing as t

import pytest

from ltsp_lab import qmp

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ltsp_lab.description import Machine
    from ltsp_lab.power import Power


def wait_for(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


class Commands:
    """Stand-ins for programs, first in the PATH; every call is written down."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self._calls = directory / "calls"
        self._calls.touch()

    def add(self, name: str, script: str) -> pathlib.Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self._calls}\n{script}\n', encoding="utf-8")
        path.chmod(0o755)
        return path

    def calls(self, start: str = "") -> list[str]:
        return [call for call in self._calls.read_text(encoding="utf-8").splitlines() if call.startswith(start)]


# A machine answers with the file NAME-WORD, where WORD is the first word of the command, or "question" for the command of the watch (LTSP_ROOT).
SSH = """
while [ $# -gt 2 ]; do shift; done
case $2 in *LTSP_ROOT*) word=question ;; *) word=${2%%%% *} ;; esac
exec cat "%s/$1-$word"
"""


class Machines:
    """Machines without guests: programs in place of QEMU, ip, nsenter and ssh, which do as they are told."""

    def __init__(self, commands: Commands, farm: Power) -> None:
        self.farm = farm
        self.commands = commands
        self.place = commands.directory / "machines"
        self.place.mkdir()
        commands.add("ip", "")
        commands.add("nsenter", 'shift; exec "$@"')
        commands.add("qemu-system-x86_64", f'exec {sys.executable} -IS {pathlib.Path(__file__).parent}/stand_in_qemu.py {self.place} "$@"')
        commands.add("ssh", SSH % self.place)

    def leave(self, program: str) -> None:
        """Take the program itself instead of its stand-in."""
        (self.commands.directory / program).unlink()
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")

    def tell(self, machine: Machine, accelerator: str = "", **wanted: t.Any) -> None:
        """Let a machine, with one accelerator or with both, have a `console`, be in a `state`, be `deaf` to the ways to end it, or `ends` with a status."""
        for name in [accelerator] if accelerator else ["kvm", "tcg"]:
            (self.place / f"{machine.name}-{name}.json").write_text(json.dumps(wanted), encoding="utf-8")

    def answer(self, name: str, word: str, text: str) -> None:
        """Let a machine answer to ssh; at once, because a watch may ask in this moment."""
        new = self.place / f"{name}-{word}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.place / f"{name}-{word}")

    def boots(self, machine: Machine, accelerator: str = "") -> None:
        """Let a machine boot to its end."""
        self.tell(machine, accelerator, console="Linux version 6\nnode login: ")
        known = {"firmware": "BIOS", "transport": "nbd", "root": "nbd", "image": "debian", "version": "1"}
        self.answer(machine.name, "question", json.dumps(known))

    def switch_on(self, machine: Machine) -> int:
        """Returns the process once it speaks QMP."""
        self.farm.on(machine)
        wait_for(lambda: qmp.state(self.farm.files(machine).qmp))
        return self.pid(machine)

    def pid(self, machine: Machine) -> int:
        return int(self.farm.files(machine).pid.read_text(encoding="utf-8"))
