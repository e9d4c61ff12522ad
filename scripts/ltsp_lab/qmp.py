# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's machine protocol: one command on one connection."""

from __future__ import annotations

import json
import socket
import typing as t

if t.TYPE_CHECKING:
    import pathlib

SECONDS = 5.0


class QmpError(Exception):
    """QEMU did not answer, or refused the command."""


def execute(path: pathlib.Path, command: str, seconds: float = SECONDS) -> t.Any:
    """Send a command to QEMU at the socket `path`. Returns the answer; raises QmpError without one."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(str(path))
            with connection.makefile("rw", encoding="utf-8") as stream:
                stream.readline()
                _ask(stream, "qmp_capabilities")
                return _ask(stream, command)
    except (OSError, ValueError) as error:
        raise QmpError(f"{path}: {command}: {error}") from error


def state(path: pathlib.Path) -> str:
    """The run state, such as `running`, `shutdown` or `internal-error`; empty when QEMU does not say it."""
    try:
        return str(execute(path, "query-status")["status"])
    except QmpError:
        return ""


def _ask(stream: t.TextIO, command: str) -> t.Any:
    """Read over events until the answer."""
    stream.write(json.dumps({"execute": command}) + "\n")
    stream.flush()
    for line in stream:
        answer = json.loads(line)
        if "error" in answer:
            raise QmpError(f"{command}: {answer['error'].get('desc', answer['error'])}")
        if "return" in answer:
            return answer["return"]
    raise QmpError(f"{command}: QEMU closed the connection")
