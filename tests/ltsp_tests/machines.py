# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The legs with machines: e2e and boots."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import subprocess
import typing as t

from ltsp_lab.ansible import Ansible, make_venv, oldest_ansible, supported_ansible
from ltsp_lab.processes import run_to_end
from ltsp_tests.processes import module, turn
from ltsp_tests.unit import REQUIREMENTS

if t.TYPE_CHECKING:
    from ltsp_lab.settings import Settings
    from ltsp_tests.processes import Processes

FIRMWARE, FAST = "ltsp-e2e", "ltsp-e2e-fast"
"""Names of the labs whose tests run at the same time."""
NO_TEST = 5
"""Status of pytest when it has found nothing to run."""


def why_no_machines(uid: int, tun: pathlib.Path = pathlib.Path("/dev/net/tun")) -> str:
    """Say what this machine lacks for containers and for the network of virtual machines, which are made of namespaces, a bridge and mounts."""
    if uid != 0:
        return "needs root"
    if not shutil.which("unshare") or subprocess.run(["unshare", "--net", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        return "needs namespaces, which this machine does not give"
    return "" if tun.is_char_device() else f"needs {tun}"


def run_e2e(settings: Settings, processes: Processes, name: str) -> int:
    """Run the tests with firmware, and beside them those of fast nodes: a playbook leaves a processor half idle."""
    fast = module("ltsp_tests.leg", "e2e-fast", name)
    tests = ["tests/e2e", "-m", "not long and not fast", *_named(name)]
    return both(*processes.beside(fast, settings.cache / "e2e-fast.log", lambda: _run(settings, processes, FIRMWARE, *tests)))


def run_e2e_fast(settings: Settings, processes: Processes, name: str) -> int:
    with turn(settings):
        return _run(settings, processes, FAST, "tests/e2e", "-m", "not long and not firmware", *_named(name))


def run_boots(settings: Settings, processes: Processes, name: str) -> int:
    return _run(settings, processes, FAST, "tests/e2e/test_faults.py", *_named(name))


def both(first: int, second: int) -> int:
    """The status of two runs of pytest, of which one may have nothing to run."""
    return max((status for status in (first, second) if status != NO_TEST), default=NO_TEST)


def _named(name: str) -> list[str]:
    return ["-k", name] if name else []


def _run(settings: Settings, processes: Processes, place: str, *tests: str) -> int:
    lab = dataclasses.replace(settings, name=place, directory=pathlib.Path("/var/lib", place), ansible=oldest_ansible(settings.root))
    environment = {
        **Ansible.prepare(lab).environment(),
        "LTSP_LAB_NAME": lab.name,
        "LTSP_LAB_DIRECTORY": str(lab.directory),
        "LTSP_LAB_ANSIBLE": lab.ansible,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    venv = make_venv(settings, "unit", supported_ansible(settings.root), REQUIREMENTS)
    # One line for each test, which begins with its name: a test takes minutes.
    command = [f"{venv}/bin/python", "-m", "pytest", "-v", "--capture=sys", "--durations=15", *tests]
    process = processes.start(command, directory=settings.root, environment=environment)
    try:
        return process.wait()
    finally:
        process.interrupt()
        process.wait()
        # The tests remove it. It is there when pytest was killed.
        if lab.directory.exists():
            run_to_end([*module("ltsp_lab"), "--down"], environment=environment)
