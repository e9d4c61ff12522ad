# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that must come to their end, also when the user interrupts the command."""

from __future__ import annotations

import signal
import subprocess
import typing as t

if t.TYPE_CHECKING:
    import os
    import pathlib
    from collections.abc import Mapping, Sequence

GRACE = 5
"""Seconds for a program to end by itself after an interruption."""


def run_to_end(
    command: Sequence[str | os.PathLike[str]], *, directory: pathlib.Path | None = None, environment: Mapping[str, str] | None = None, quiet: bool = False
) -> int:
    """Run `command` and return its exit status. An interruption goes on only after the program has ended, so that nothing of it is left."""
    output = subprocess.DEVNULL if quiet else None
    process = subprocess.Popen(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=output)
    try:
        status = process.wait()
    except BaseException:
        _await_end(process)
        raise
    return status if status >= 0 else 128 - status


def _await_end(process: subprocess.Popen[bytes]) -> None:
    """Wait for an interrupted program. The terminal has interrupted it, too; a signal to the command alone has not."""
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
