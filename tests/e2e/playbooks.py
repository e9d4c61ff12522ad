# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks of the collection, run against the lab of the tests."""

from __future__ import annotations

import pathlib
import subprocess

E2E = pathlib.Path(__file__).parent


def playbook(lab: pathlib.Path, names: list[str], inventories: list[str], *options: str, succeeds: bool = True) -> str:
    """Runs playbooks with the lab's inventories and with some of those beside this file; returns what they say."""
    sources = [lab / "inventory.yml", *sorted(lab.glob("kubernetes*.yml")), *(E2E / name for name in inventories)]
    command = ["ansible-playbook", *(f"--inventory={source}" for source in sources), *(f"serverfarm.ltsp.{name}" for name in names), *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
    return done.stdout
