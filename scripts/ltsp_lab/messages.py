# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and errors of the commands."""

from __future__ import annotations

import threading

_terminal = threading.Lock()


class LabError(Exception):
    """Ends a command. The message names the thing, its value and the remedy."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class UsageError(LabError):
    """The command was not called as its usage says."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 2)


def say(text: str = "") -> None:
    """Print `text` at once and as a whole, also from several threads."""
    with _terminal:
        print(text, flush=True)
