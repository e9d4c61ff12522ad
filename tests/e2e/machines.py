# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of a lab."""

from __future__ import annotations

import shlex
import subprocess
import time
import typing as t

if t.TYPE_CHECKING:
    import pathlib


class Machine:
    """A machine of the lab, reached as its users reach it."""

    def __init__(self, lab: pathlib.Path, name: str) -> None:
        self.lab = lab
        self.name = name

    def run(self, command: str) -> str:
        done = subprocess.run(["ssh", "-F", f"{self.lab}/ssh_config", self.name, command], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{self.name}: {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def wait_for(self, command: str, seconds: int = 600) -> str:
        limit = time.monotonic() + seconds
        while True:
            try:
                return self.run(command)
            except (AssertionError, subprocess.TimeoutExpired):
                if time.monotonic() > limit:
                    raise
                time.sleep(2)

    def state(self) -> tuple[str, str]:
        """What systemd says of itself when everything is started, and the units that failed."""
        state = self.run("timeout 100 systemctl is-system-running --wait || true")
        return state, self.run("systemctl --failed --no-legend --plain")

    def environment(self) -> dict[str, str]:
        lines = self.run("cat /run/ltsp/env").splitlines()
        return dict(word.split("=", 1) for line in lines for word in shlex.split(line))


def reboot(machines: list[Machine]) -> None:
    """Boot all of them at the same time; returns when they answer again."""
    boots = [machine.run("cat /proc/sys/kernel/random/boot_id") for machine in machines]
    for machine in machines:
        machine.run("systemd-run --quiet --on-active=1 systemctl reboot")
    for machine, boot in zip(machines, boots):
        machine.wait_for(f"! grep -q {boot} /proc/sys/kernel/random/boot_id")
