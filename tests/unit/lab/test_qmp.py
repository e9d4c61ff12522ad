# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's machine protocol, with QEMU itself and with a server that answers as QEMU does on a bad day."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
import typing as t

import pytest

from ltsp_lab import qmp

if t.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

GREETING = '{"QMP": {"version": {}, "capabilities": []}}\n'
DONE = '{"return": {}}\n'


@contextlib.contextmanager
def answering(path: pathlib.Path, *answers: str, stay: bool = False) -> Iterator[None]:
    """A server that gives one client its answers, one for each line, the first for nothing; then it closes the connection, or stays silent."""
    end = threading.Event()

    def serve() -> None:
        connection, _address = listener.accept()
        with connection, connection.makefile("rw", encoding="utf-8") as stream:
            for number, answer in enumerate(answers):
                if number:
                    stream.readline()
                stream.write(answer)
                stream.flush()
            if stay:
                end.wait()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "qmp"


@pytest.fixture
def machine(path: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("qemu-system-x86_64 is not installed")
    process = subprocess.Popen(["qemu-system-x86_64", "-S", "-machine", "none", "-display", "none", "-qmp", f"unix:{path},server=on,wait=off"])
    limit = time.monotonic() + 20
    while not qmp.state(path):
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


def test_qemu_says_its_state_and_does_what_it_is_told(machine: subprocess.Popen[bytes], path: pathlib.Path) -> None:
    assert qmp.state(path) == "prelaunch"
    # QEMU sends an event before its answer to these commands.
    for command, state in (("cont", "running"), ("stop", "paused")):
        assert qmp.execute(path, command) == {}
        assert qmp.state(path) == state
    with pytest.raises(qmp.QmpError, match=r"^fly: The command fly has not been found$"):
        qmp.execute(path, "fly")
    assert qmp.execute(path, "quit") == {}
    assert machine.wait(5) == 0
    assert qmp.state(path) == ""


def test_events_are_no_answers(path: pathlib.Path) -> None:
    event = '{"event": "RESUME", "timestamp": {}}\n'
    with answering(path, GREETING, event + DONE, event + event + '{"return": {"status": "internal-error"}}\n'):
        assert qmp.state(path) == "internal-error"


def test_an_error_is_said_in_its_words(path: pathlib.Path) -> None:
    error = '{"error": {"class": "GenericError", "desc": "no such thing"}}\n'
    with answering(path, GREETING, DONE, error), pytest.raises(qmp.QmpError, match=r"^stop: no such thing$"):
        qmp.execute(path, "stop")


@pytest.mark.parametrize("answers", [(), ("",), (GREETING,), (GREETING, DONE), (GREETING, DONE, ""), (GREETING, "no JSON\n")])
def test_a_connection_that_breaks_is_no_answer(path: pathlib.Path, answers: tuple[str, ...]) -> None:
    with answering(path, *answers), pytest.raises(qmp.QmpError):
        qmp.execute(path, "query-status")


@pytest.mark.parametrize("answers", [(), (GREETING,), (GREETING, DONE)])
def test_silence_has_an_end(path: pathlib.Path, answers: tuple[str, ...]) -> None:
    with answering(path, *answers, stay=True), pytest.raises(qmp.QmpError, match="timed out"):
        qmp.execute(path, "query-status", 0.1)


def test_where_nothing_listens_there_is_no_state(path: pathlib.Path) -> None:
    assert qmp.state(path) == ""
    with pytest.raises(qmp.QmpError, match=f"^{path}: quit: .*No such file"):
        qmp.execute(path, "quit")
    path.touch()
    assert qmp.state(path) == ""
