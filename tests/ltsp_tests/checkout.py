# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the files that belong to the project, as Ansible's tools want them."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

PLACE = "ansible_collections/serverfarm/ltsp"


def copy_checkout(root: pathlib.Path, parent: pathlib.Path) -> pathlib.Path:
    """Copy the files of `root` that git tracks or would add to their place below `parent`; returns that place."""
    copy = parent / PLACE
    shutil.rmtree(copy, ignore_errors=True)
    for name in _files(root):
        source = root / name
        # The index still lists files whose removal is not committed.
        if source.exists() or source.is_symlink():
            goal = copy / name
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, goal, follow_symlinks=False)
    return copy


def _files(root: pathlib.Path) -> list[str]:
    command = ["git", "-c", f"safe.directory={root}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    return [os.fsdecode(name) for name in listed.split(b"\0") if name]
