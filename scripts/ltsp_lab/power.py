# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines as their power button has them: on, off, reset, and the state that they are in."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import time
import typing as t

from ltsp_lab import qemu, qmp, uml
from ltsp_lab.description import Firmware, Machine
from ltsp_lab.files import Files
from ltsp_lab.messages import LabError

if t.TYPE_CHECKING:
    from ltsp_lab.settings import Settings

OFF, RUNNING = "off", "running"
END_SECONDS = 10
_PRIORITY = -10


class Power:
    """The power of the machines of one lab, and the wires to their cards."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def files(self, machine: Machine) -> Files:
        return Files(self.settings.run, machine.name)

    def on(self, machine: Machine, acceleration: str = "") -> None:
        """Switch it on, unless it is. QEMU uses `acceleration`, or the accelerator that works here."""
        if self.is_on(machine):
            return
        files = self.files(machine)
        for path in (files.answer, files.console_log, files.qmp):
            path.unlink(missing_ok=True)
        acceleration = "" if machine.firmware is Firmware.NONE else acceleration or qemu.accelerator(self.settings)
        files.write_record(machine, acceleration=acceleration)
        self._plug(machine)
        command = uml.command(self.settings, files) if machine.firmware is Firmware.NONE else qemu.command(self.settings, machine, files, acceleration)
        with files.log.open("wb") as log:
            process = subprocess.Popen(
                ["nsenter", f"--net={self.settings.namespace}", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        files.pid.write_text(str(process.pid), encoding="utf-8")
        if machine.firmware is not Firmware.NONE:
            _prefer(process.pid)

    def off(self, machine: Machine) -> None:
        """Switch it off, without a word to its system."""
        files = self.files(machine)
        pid = _process(files)
        if pid is None:
            return
        if machine.firmware is not Firmware.NONE:
            with contextlib.suppress(qmp.QmpError):
                qmp.execute(files.qmp, "quit")
                _has_ended(pid)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
            if _has_ended(pid):
                break
        files.pid.unlink(missing_ok=True)

    def reset(self, machine: Machine) -> None:
        """Press its reset button."""
        if machine.firmware is Firmware.NONE:
            self.off(machine)
            self.on(machine)
        else:
            qmp.execute(self.files(machine).qmp, "system_reset")

    def is_on(self, machine: Machine) -> bool:
        return _process(self.files(machine)) is not None

    def state(self, machine: Machine) -> str:
        """`off`, `running`, or another run state of QEMU, such as `internal-error`; `running`, too, while QEMU does not say it."""
        if not self.is_on(machine):
            return OFF
        if machine.firmware is Firmware.NONE:
            return RUNNING
        return qmp.state(self.files(machine).qmp) or RUNNING

    def acceleration(self, machine: Machine) -> str:
        """Its accelerator since it was switched on; empty for user-mode Linux."""
        return str(self.files(machine).read_record().get("acceleration", ""))

    def since(self, machine: Machine) -> float:
        """When it was switched on, as time.time() has it."""
        return self.files(machine).record.stat().st_mtime

    def is_as(self, machine: Machine) -> bool:
        """Whether it is on, and was switched on as it is described now."""
        record = self.files(machine).read_record()
        return self.is_on(machine) and bool(record) and Machine.restore(record["machine"]) == machine

    def remove(self, machine: Machine) -> None:
        """Switch it off and remove its cards and files."""
        self.off(machine)
        for tap in machine.taps:
            self._ip("link", "delete", tap, may_fail=True)
        self.files(machine).remove()

    def _plug(self, machine: Machine) -> None:
        """Make its cards on the bridge; those that are there stay."""
        for tap in machine.taps:
            self._ip("tuntap", "add", tap, "mode", "tap", may_fail=True)
            self._ip("link", "set", tap, "master", "br0", "up")

    def _ip(self, *arguments: str, may_fail: bool = False) -> None:
        command = ["ip", "-n", self.settings.name, *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode and not may_fail:
            raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")


def _prefer(pid: int) -> None:
    """Let a machine come before the builds beside it, because its system has time limits. Kernels with autogroups weigh sessions, not processes."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _PRIORITY)
        pathlib.Path(f"/proc/{pid}/autogroup").write_text(str(_PRIORITY), encoding="ascii")


def _process(files: Files) -> int | None:
    """The process of a machine. A process id may be another's by now: the machine's own has one of its files in its command line."""
    try:
        pid = int(files.pid.read_text(encoding="utf-8"))
        line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    # The command line is empty for a zombie, and for a moment during exec.
    known = f"{files.run}/{files.name}.".encode() in line if line else _runs_in(pid, pathlib.Path(f"/proc/{pid}/stat"))
    return pid if known else None


def _has_ended(group: int) -> bool:
    """Wait until a machine's processes have left its disks."""
    limit = time.monotonic() + END_SECONDS
    while any(_runs_in(group, path) for path in pathlib.Path("/proc").glob("[0-9]*/stat")):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def _runs_in(group: int, stat: pathlib.Path) -> bool:
    """Whether a process is of this group and no zombie."""
    try:
        state, _parent, found = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(found) == group and state != "Z"
