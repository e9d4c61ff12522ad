# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths inside a tree, which no symbolic link leads out of."""

from __future__ import annotations

import fnmatch
import os
import re

from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError

_MAX_LINKS = 40


class ChrootError(LtspError):
    """A tree, or an input of it, that does not meet the requirements."""


def check_root(root: str) -> str:
    """Return the real path of the tree at `root`, after a check that it is a system's tree."""
    if not root.startswith("/"):
        raise ChrootError(f"root: {root!r} is not an absolute path")
    real = os.path.realpath(root)
    if real == "/":
        raise ChrootError(f"root: {root!r} is the root of this host: give the path of a tree")
    for name in ("dev", "proc", "run", "sys"):
        path = os.path.join(real, name)
        if os.path.islink(path) or not os.path.isdir(path):
            raise ChrootError(f"root: {root!r} is not a system's tree, {path} is not a directory: make one with ltsp_chroot")
    return real


def resolve(root: str, path: str) -> str:
    """Return the host's path of `path`, whose links are followed as a process inside the tree `root` follows them."""
    pending = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        candidate = os.path.join(root, *done, part)
        if not os.path.islink(candidate):
            done.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise ChrootError(f"{path} in {root} leads through a loop of symbolic links")
        target = os.readlink(candidate)
        if target.startswith("/"):
            done = []
        pending += target.split("/")[::-1]
    return os.path.join(root, *done)


def matches(root: str, pattern: str, directory: str = "/") -> bool:
    """Tell whether a path inside the tree matches the shell pattern, relative to `directory`. Links stay inside the tree."""
    found = [""]
    for part in os.path.join(directory, pattern).split("/"):
        if part in ("", "."):
            continue
        following = []
        for path in found:
            real = resolve(root, path)
            if not re.search(r"[*?[]", part):
                names = [part] if os.path.lexists(os.path.join(real, part)) else []
            else:
                names = os.listdir(real) if os.path.isdir(real) else []
                names = [name for name in fnmatch.filter(names, part) if part.startswith(".") or not name.startswith(".")]
            following += [f"{path}/{name}" for name in names]
        found = following
    return bool(found)
