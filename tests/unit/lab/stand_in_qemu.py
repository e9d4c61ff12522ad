# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for qemu-system-x86_64 without a guest: it shows, answers and does what a test has written for a machine and an accelerator."""

from __future__ import annotations

import json
import pathlib
import signal
import socket
import sys
import typing as t

PLACE, WORDS = pathlib.Path(sys.argv[1]), sys.argv[2:]


def option(name: str, key: str = "") -> str:
    """The value of an option, or of one of the keys in it."""
    value = WORDS[WORDS.index(name) + 1]
    return dict(word.split("=", 1) for word in value.split(",") if "=" in word)[key] if key else value


def told() -> dict[str, t.Any]:
    """What the test wants at this time."""
    path = PLACE / f"{option('-name')}-{option('-accel').partition(',')[0]}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def serve(listener: socket.socket) -> None:
    """Speak QMP on one connection."""
    connection, _address = listener.accept()
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        print(json.dumps({"QMP": {}}), file=stream, flush=True)
        for line in stream:
            command = json.loads(line)["execute"]
            answer = {"status": told().get("state", "running")} if command == "query-status" else {}
            print(json.dumps({"return": answer}), file=stream, flush=True)
            if command == "quit" and not told().get("deaf"):
                sys.exit()


def main() -> None:
    if told().get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(option("-chardev", "logfile")).write_text(told().get("console", ""), encoding="utf-8")
    if "ends" in told():
        sys.exit(told()["ends"])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(option("-qmp").partition(",")[0].partition(":")[2])
        listener.listen()
        while True:
            serve(listener)


main()
