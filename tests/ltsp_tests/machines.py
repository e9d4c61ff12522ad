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
from ltsp_tests.processes import module
from ltsp_tests.unit import REQUIREMENTS

if t.TYPE_CHECKING:
    from ltsp_lab.settings import Settings
    from ltsp_tests.processes import Processes

NAME = "ltsp-e2e"


def why_no_machines(uid: int, tun: pathlib.Path = pathlib.Path("/dev/net/tun")) -> str:
    """Say what this machine lacks for containers and for the network of virtual machines, which are made of namespaces, a bridge and mounts."""
    if uid != 0:
        return "needs root"
    if not shutil.which("unshare") or subprocess.run(["unshare", "--net", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        return "needs namespaces, which this machine does not give"
    return "" if tun.is_char_device() else f"needs {tun}"


def run_e2e(settings: Settings, processes: Processes, name: str) -> int:
    return _run(settings, processes, "tests/e2e", "-m", "not long", *(["-k", name] if name else []))


def run_boots(settings: Settings, processes: Processes, name: str) -> int:
    return _run(settings, processes, "tests/e2e/test_faults.py", *(["-k", name] if name else []))


def _run(settings: Settings, processes: Processes, *tests: str) -> int:
    lab = dataclasses.replace(settings, name=NAME, directory=pathlib.Path("/var/lib", NAME), ansible=oldest_ansible(settings.root))
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
    try:
        return processes.start(command, directory=settings.root, environment=environment).wait()
    finally:
        processes.end()
        # The tests remove it. It is there when pytest was killed.
        if lab.directory.exists():
            run_to_end([*module("ltsp_lab"), "--down"], environment=environment)
