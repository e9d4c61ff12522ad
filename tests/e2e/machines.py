# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of a lab."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import time
import typing as t

E2E = pathlib.Path(__file__).parent
T = t.TypeVar("T")


def patiently(probe: t.Callable[[], T], seconds: float, every: float = 2) -> T:
    """What the probe returns as soon as it does not fail any longer."""
    limit = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except (AssertionError, subprocess.TimeoutExpired):
            if time.monotonic() > limit:
                raise
            time.sleep(every)


class Machine:
    """A machine of the lab, reached as its users reach it."""

    def __init__(self, lab: pathlib.Path, name: str) -> None:
        self.lab = lab
        self.name = name

    def run(self, command: str, stdin: str = "") -> str:
        # An emulated machine takes seconds to greet.
        kept = ["-o", "ControlMaster=auto", "-o", "ControlPersist=10", "-o", f"ControlPath={self.lab}/run/%n.e2e"]
        ssh = ["ssh", "-F", f"{self.lab}/ssh_config", *kept, self.name, command]
        done = subprocess.run(ssh, input=stdin, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{self.name}: {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def wait_for(self, command: str, seconds: int = 600) -> str:
        return patiently(lambda: self.run(command), seconds)

    def state(self) -> tuple[str, str]:
        """What systemd says of itself when everything is started, and the units that failed."""
        state = self.run("timeout 100 systemctl is-system-running --wait || true")
        return state, self.run("systemctl --failed --no-legend --plain")

    def environment(self) -> dict[str, str]:
        lines = self.run("cat /run/ltsp/env").splitlines()
        return dict(word.split("=", 1) for line in lines for word in shlex.split(line))

    def boot(self) -> str:
        """The id of the boot that it is in."""
        return self.run("cat /proc/sys/kernel/random/boot_id")

    def console(self) -> str:
        """All that its serial console has shown."""
        return (self.lab / "run" / f"{self.name}.console.log").read_text(encoding="utf-8", errors="replace").replace("\r", "")


def reboot(machines: list[Machine], meanwhile: t.Callable[[], object] = lambda: None) -> None:
    """Boot all of them at the same time; returns when they answer again."""
    boots = [machine.boot() for machine in machines]
    for machine in machines:
        machine.run("systemd-run --quiet --on-active=1 systemctl reboot")
    meanwhile()
    for machine, boot in zip(machines, boots):
        machine.wait_for(f"! grep -q {boot} /proc/sys/kernel/random/boot_id")


def playbook(lab: pathlib.Path, names: list[str], inventories: list[str], *options: str, succeeds: bool = True) -> str:
    """Runs playbooks of the collection with the lab's inventories and with some of those beside this file; returns what they say."""
    sources = [lab / "inventory.yml", *sorted(lab.glob("kubernetes*.yml")), *(E2E / name for name in inventories)]
    command = ["ansible-playbook", *(f"--inventory={source}" for source in sources), *(f"serverfarm.ltsp.{name}" for name in names), *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
    return done.stdout
