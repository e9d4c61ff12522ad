# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of a lab, by ssh and by their consoles."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
import typing as t

from ltsp_lab import consoles
from ltsp_lab.files import Files
from ltsp_lab.messages import LabError

if t.TYPE_CHECKING:
    import pathlib

T = t.TypeVar("T")

SECONDS = 120


class RemoteError(LabError, AssertionError):
    """A command on a machine has failed, or the machine does not answer."""


def patiently(probe: t.Callable[[], T], seconds: float, every: float = 2) -> T:
    """Repeat `probe` until it succeeds; returns its result."""
    limit = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except AssertionError:
            if time.monotonic() > limit:
                raise
            time.sleep(every)


class Remote:
    """A machine of the lab in `directory`."""

    def __init__(self, directory: pathlib.Path, name: str) -> None:
        self.directory = directory
        self.name = name

    def run(self, command: str, stdin: str = "", seconds: float = SECONDS) -> str:
        """Run a command there; returns its output. Raises RemoteError when it fails or has not ended after `seconds`."""
        # A new connection to an emulated machine takes seconds, so it is kept for the next command.
        kept = ["-o", "ControlMaster=auto", "-o", "ControlPersist=10", "-o", f"ControlPath={self.directory}/run/%n.ssh-lab"]
        ssh = ["ssh", "-F", f"{self.directory}/ssh_config", *kept, self.name, command]
        try:
            done = subprocess.run(ssh, input=stdin, capture_output=True, text=True, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise RemoteError(f"{self.name}: {command}: no end after {seconds:.0f} s") from None
        if done.returncode:
            raise RemoteError(f"{self.name}: {command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def wait_for(self, command: str, seconds: float = 600) -> str:
        return patiently(lambda: self.run(command), seconds)

    def state(self) -> tuple[str, str]:
        """The state of systemd after its start, and the failed units."""
        state = self.run("timeout 100 systemctl is-system-running --wait || true")
        return state, self.run("systemctl --failed --no-legend --plain")

    def environment(self) -> dict[str, str]:
        """The variables of /run/ltsp/env."""
        lines = self.run("cat /run/ltsp/env").splitlines()
        return dict(word.split("=", 1) for line in lines for word in shlex.split(line))

    def boot(self) -> str:
        """The id of the boot that it is in."""
        return self.run("cat /proc/sys/kernel/random/boot_id")

    def console(self, offset: int = 0) -> str:
        """The output of its console since it was switched on, or since `offset`."""
        return consoles.read(Files(self.directory / "run", self.name).console_log, offset)

    def console_size(self) -> int:
        """The offset at which its console goes on from now."""
        return Files(self.directory / "run", self.name).console_log.stat().st_size

    def answer(self) -> dict[str, t.Any]:
        """Its first answer, and the seconds until then."""
        return dict(json.loads(Files(self.directory / "run", self.name).answer.read_text(encoding="utf-8")))


def reboot(machines: list[Remote], meanwhile: t.Callable[[], object] | None = None) -> None:
    """Boot all of them at the same time; returns when they answer again. A boot that stops ends the wait, unless there is trouble on purpose `meanwhile`."""
    boots = [(machine, machine.boot(), machine.console_size()) for machine in machines]
    for machine in machines:
        machine.run("systemd-run --quiet --on-active=1 systemctl reboot")
    if meanwhile:
        meanwhile()
    for machine, boot, offset in boots:

        def again(machine: Remote = machine, boot: str = boot, offset: int = offset) -> None:
            stop = None if meanwhile else consoles.stop(machine.console(offset))
            if stop:
                raise LabError(f"{machine.name} has stopped ({stop.stage}): {stop.words}\n{consoles.last_lines(machine.console(offset))}")
            machine.run(f"! grep -q {boot} /proc/sys/kernel/random/boot_id")

        patiently(again, 600)
