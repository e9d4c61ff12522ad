# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The leg unit."""

from __future__ import annotations

import os
import typing as t

from ltsp_lab.ansible import link_collection, make_venv, supported_ansible
from ltsp_lab.packages import need_packages, unpacked_package
from ltsp_tests.checkout import PLACE

if t.TYPE_CHECKING:
    from ltsp_lab.settings import Settings
    from ltsp_tests.processes import Processes

PACKAGES = ("busybox", "cryptsetup-bin", "dash", "gawk", "git", "mawk", "qemu-system-x86", "squashfs-tools")
REQUIREMENTS = "tests/requirements-unit.txt"


def run(settings: Settings, processes: Processes, name: str) -> int:
    need_packages(settings, *PACKAGES)
    # These packages are unpacked only: installed, they would start a service on this machine or rebuild its initrd.
    dhcpd = unpacked_package(settings, "isc-dhcp-server")
    initramfs_tools = unpacked_package(settings, "initramfs-tools-core")
    ltsp = unpacked_package(settings, "ltsp")
    venv = make_venv(settings, "unit", supported_ansible(settings.root), REQUIREMENTS)
    collections = link_collection(settings)
    environment = {
        **os.environ,
        "PATH": f"{os.environ['PATH']}:{dhcpd}/usr/sbin",
        "PYTHONPATH": str(collections),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": f"{settings.cache}/hypothesis",
        "INITRAMFS_TOOLS_DIRECTORY": f"{initramfs_tools}/usr/share/initramfs-tools",
        "LTSP_DIRECTORY": f"{ltsp}/usr/share/ltsp",
        "LTSP_TESTS_COMPLETE": "1",
    }
    command = [f"{venv}/bin/python", "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", "tests/unit", *(["-k", name] if name else [])]
    return processes.start(command, directory=collections / PLACE, environment=environment).wait()
