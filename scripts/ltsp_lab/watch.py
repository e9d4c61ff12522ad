# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wait for machines that boot: it says every step that they make, and ends at once when one of them has stopped."""

from __future__ import annotations

import concurrent.futures
import json
import threading
import time
import typing as t

from ltsp_lab import consoles, qemu
from ltsp_lab.messages import LabError, say
from ltsp_lab.power import OFF
from ltsp_lab.remote import Remote, RemoteError

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsp_lab.description import Machine
    from ltsp_lab.power import Power

LIMIT = 600.0
INTERVAL = 1.0
"""Seconds between two looks at a machine."""
SILENCE = 20.0
"""Seconds after which a firmware that has said nothing under KVM counts as one that KVM cannot run."""
_INTERNAL_ERROR = "internal-error"
_BROKEN = {
    _INTERNAL_ERROR: "LTSP_LAB_ACCELERATOR=tcg emulates the processor",
    "guest-panicked": "the kernel's last lines above",
    "io-error": "the free space of the file system with the disks of the lab",
}
"""Run states of QEMU in which a machine stays, and where to look."""
_PROBE_SECONDS = 60
_QUESTION = """
if [ -e /run/ltsp/env ]; then . /run/ltsp/env; fi
if [ -d /sys/firmware/efi ]; then firmware=UEFI; else firmware=BIOS; fi
if grep -qw ltsp.ram=1 /proc/cmdline || [ "${LTSP_ROOT%%:*}" = http ]; then root=RAM; else root=${LTSP_ROOT%%:*}; fi
printf '{"firmware": "%s", "transport": "%s", "root": "%s", ' "$firmware" "${LTSP_ROOT%%:*}" "$root"
printf '"image": "%s", "version": "%s"}' "$LTSP_IMAGE" "$LTSP_VERSION"
"""


class Stopped(LabError):
    """A machine does not boot; the message has its stage, the last lines of its console and where to look."""


class Watch:
    """The wait for some machines of a lab."""

    def __init__(self, power: Power, limit: float = LIMIT) -> None:
        self.power = power
        self.limit = limit
        self._end = threading.Event()

    def until_they_answer(self, machines: Sequence[Machine]) -> None:
        """Return when all of them have answered to ssh; raises Stopped for the first that cannot, and for those that are late."""
        self._end.clear()
        with concurrent.futures.ThreadPoolExecutor(len(machines)) as pool:
            try:
                waiting = {pool.submit(self._until_it_answers, machine) for machine in machines}
                while waiting:
                    # The timeout lets this thread handle signals, which another thread may have received.
                    done, waiting = concurrent.futures.wait(waiting, INTERVAL, concurrent.futures.FIRST_COMPLETED)
                    for wait in done:
                        wait.result()
            finally:
                self._end.set()

    def _until_it_answers(self, machine: Machine) -> None:
        log = self.power.files(machine).console_log
        # A machine that answered before is at most in a reboot: only the time and the console from now on count.
        again = self._has_answered(machine)
        offset, begin = (log.stat().st_size, time.time()) if again else (0, self.power.since(machine))
        seen = ""
        while not self._end.is_set():
            # The state is read before the console, so that the console of a machine that is off is complete.
            state, text = self.power.state(machine), consoles.read(log, offset)
            if (stage := consoles.stage(text)) != seen and not again:
                self._say(machine, stage)
                seen = stage
            if (again or stage in ("systemd", "started")) and self._answers(machine):
                return
            if reason := self._why_not_kvm(machine, state, text):
                self._emulate(machine, reason)
                self._until_it_answers(machine)
                return
            self._look(machine, state, text, time.time() - begin)
            self._end.wait(INTERVAL)

    def _look(self, machine: Machine, state: str, text: str, seconds: float) -> None:
        """Raise Stopped for a machine that goes nowhere."""
        if state == OFF:
            raise self._stopped(machine, text, "it was switched off", "its process has ended: the lines above, and " + str(self.power.files(machine).log))
        if state in _BROKEN:
            raise self._stopped(machine, text, f"QEMU's run state is {state}", _BROKEN[state])
        if stop := consoles.stop(text):
            raise self._stopped(machine, text, f"{stop.words} ({stop.stage})", stop.look)
        if seconds > self.limit:
            raise self._stopped(machine, text, f"no answer after {self.limit:.0f} s", "the last stage that it reached, and what comes after it")

    def _why_not_kvm(self, machine: Machine, state: str, text: str) -> str:
        """Why KVM counts as one that cannot run this machine."""
        if self.power.acceleration(machine) != qemu.KVM or self.power.settings.accelerator:
            return ""
        if state == _INTERNAL_ERROR:
            return f"QEMU's run state is {state}"
        if text.strip() or self._has_answered(machine):
            return ""
        if state == OFF:
            return consoles.last_lines(consoles.read(self.power.files(machine).log), 1) or "QEMU has ended"
        return f"its firmware says nothing for {SILENCE:.0f} s" if self._seconds(machine) > SILENCE else ""

    def _emulate(self, machine: Machine, reason: str) -> None:
        say(f"  {machine.name:<8} KVM cannot run it ({reason}): it starts again, emulated, and so will the others")
        qemu.remember(self.power.settings, qemu.EMULATION)
        self.power.off(machine)
        self.power.on(machine, qemu.EMULATION)

    def _answers(self, machine: Machine) -> bool:
        try:
            said = Remote(self.power.settings.directory, machine.name).run(_QUESTION, seconds=_PROBE_SECONDS)
        except RemoteError:
            return False
        answer = self.power.files(machine).answer
        if not answer.exists():
            answer.write_text(json.dumps({**json.loads(said), "seconds": round(self._seconds(machine))}), encoding="utf-8")
        if self.power.acceleration(machine) == qemu.KVM and not (self.power.settings.accelerator or qemu.remembered(self.power.settings)):
            qemu.remember(self.power.settings, qemu.KVM)
        self._say(machine, "answers to ssh", json.loads(answer.read_text(encoding="utf-8"))["seconds"])
        return True

    def _has_answered(self, machine: Machine) -> bool:
        return self.power.files(machine).answer.exists()

    def _seconds(self, machine: Machine) -> float:
        return time.time() - self.power.since(machine)

    def _say(self, machine: Machine, step: str, seconds: float | None = None) -> None:
        say(f"  {machine.name:<8} {self._seconds(machine) if seconds is None else seconds:4.0f} s  {step}")

    def _stopped(self, machine: Machine, text: str, what: str, look: str) -> Stopped:
        log = self.power.files(machine).console_log
        text = text or consoles.read(log)
        complaints = consoles.last_lines(consoles.read(self.power.files(machine).log), 5)
        end = "\n".join(filter(None, [consoles.last_lines(text), complaints]))
        return Stopped(
            f"{machine.name} does not boot: {what}. It was at the stage: {consoles.stage(text)}.\n"
            f"The end of its console ({log}):\n\n{end}\n\nWhere to look: {look}."
        )
