# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After scripts/lab --down: nothing of the lab is left but its cache."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

from labs import lab

NAME = os.environ["LTSP_LAB_NAME"]
LAB = pathlib.Path(os.environ["LTSP_LAB_DIRECTORY"])


def test_once_more_is_harmless() -> None:
    lab("--down")


def test_no_files() -> None:
    assert not LAB.exists()


def test_no_namespace() -> None:
    assert NAME not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split()


def test_no_mounts() -> None:
    mounts = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    assert [line for line in mounts if f"{LAB}/" in line or f"/netns/{NAME} " in line] == []


def test_no_processes() -> None:
    left = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        # The name of another lab may begin with this one's.
        if any(f"{LAB}/".encode() in word or re.search(rf"/netns/{NAME}(?![\w-])".encode(), word) for word in words):
            left.append(words)
    assert left == []


def test_no_cgroup() -> None:
    assert list(pathlib.Path("/sys/fs/cgroup").rglob(NAME)) == []
