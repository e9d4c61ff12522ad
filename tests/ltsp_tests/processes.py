# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that end with the one that has started them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import typing as t

from ltsp_lab.locks import waiting_lock
from ltsp_lab.messages import LabError, say
from ltsp_lab.settings import ROOT, Settings

if t.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping, Sequence

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def turn(settings: Settings) -> contextlib.AbstractContextManager[None]:
    """The turn of a leg that runs beside the longest one. They have one after the other, because more at a time than processors only delays the longest one."""
    return waiting_lock(settings.cache / "turn.lock", "Waiting for another leg, because one at a time runs beside the longest one")


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of these packages."""
    return ["env", f"PYTHONPATH={ROOT}/scripts:{ROOT}/tests", sys.executable, "-B", "-m", name, *arguments]


def guarded(action: Callable[[], int]) -> int:
    """Run the action of a command, with its signals and errors handled; returns its exit status."""
    interrupt_on_signals()
    # Child processes have modules of their own, which PYTHONPATH must not hide.
    os.environ.pop("PYTHONPATH", None)
    try:
        return action()
    except LabError as error:
        print(f"test: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130


def interrupt_on_signals() -> None:
    """Let a signal raise KeyboardInterrupt, once: the cleaning up that follows is not interrupted again."""
    for number in SIGNALS:
        # nohup ignores SIGHUP for those that it starts.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    for number in SIGNALS:
        signal.signal(number, lambda _number, _frame: None)
    raise KeyboardInterrupt


class Process:
    """A process in a session of its own, with its output in a log or where this one's goes."""

    def __init__(
        self, command: Sequence[str], log: pathlib.Path | None = None, *, directory: pathlib.Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self._interrupted = False
        with log.open("wb") if log else contextlib.nullcontext() as output:
            self._popen = subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if log else None,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        return self._popen.returncode is not None or os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def wait(self) -> int:
        """Wait for its end and kill what it leaves in its process group; returns its exit status."""
        if self._popen.returncode is None:
            # WNOWAIT keeps the process id, so that the signal reaches no other group.
            os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
            os.killpg(self._popen.pid, signal.SIGKILL)
        return self._popen.wait()

    def interrupt(self) -> None:
        """Interrupt it as a terminal does, with all that it has started; a second interruption would keep it from cleaning up."""
        if not self._interrupted and not self.has_ended():
            self._interrupted = True
            os.killpg(self._popen.pid, signal.SIGINT)


class Processes:
    """Processes, none of which survives the block."""

    def __init__(self) -> None:
        self._started: list[Process] = []

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def end(self) -> None:
        """Interrupt those that still run, and wait until they have cleaned up."""
        self.interrupt()
        for process in self._started:
            process.wait()

    def start(
        self, command: Sequence[str], log: pathlib.Path | None = None, *, directory: pathlib.Path | None = None, environment: Mapping[str, str] | None = None
    ) -> Process:
        process = Process(command, log, directory=directory, environment=environment)
        self._started.append(process)
        return process

    def interrupt(self) -> None:
        """Interrupt all of them; they clean up at the same time."""
        for process in self._started:
            process.interrupt()

    def follow(self, process: Process) -> int:
        """Show what a process writes to its log until it ends, also after an interruption; returns its exit status."""
        assert process.log
        with process.log.open("rb") as stream:
            try:
                return _show(process, stream)
            except KeyboardInterrupt:
                say("=== interrupted; all that runs cleans up and ends")
                self.interrupt()
                _show(process, stream)
                raise

    def beside(self, command: Sequence[str], log: pathlib.Path, meanwhile: Callable[[], int]) -> tuple[int, int]:
        """Run a command beside `meanwhile`, and show its log after it; returns the status of `meanwhile` and its own."""
        say(f"--- {log.stem} runs beside it, and writes to {log}")
        other = self.start(command, log)
        status = meanwhile()
        say(f"--- {log.stem}, which ran beside it")
        return status, self.follow(other)


def _show(process: Process, stream: t.BinaryIO) -> int:
    ended = False
    while not ended:
        time.sleep(0.1)
        ended = process.has_ended()
        sys.stdout.buffer.write(stream.read())
        sys.stdout.flush()
    return process.wait()
