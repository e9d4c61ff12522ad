# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between commands that run at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import typing as t

from ltsp_lab.messages import LabError, say

if t.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator


@contextlib.contextmanager
def waiting_lock(path: pathlib.Path, message: str = "") -> Iterator[None]:
    """Hold the lock `path`; waits until others have left it, and says `message` if it has to wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if message:
                say(message)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def sole_lock(path: pathlib.Path, message: str) -> Iterator[None]:
    """Hold the lock `path`; raises LabError with `message` when another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(message) from None
        yield
