# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Legs, one after the other or beside each other."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ltsp_lab.messages import say
from ltsp_tests.report import FAILED, PASSED, SKIPPED, Outcome

if t.TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

    from ltsp_tests.processes import Process, Processes


@dataclasses.dataclass(frozen=True)
class Leg:
    """A part of the tests that is a process of its own."""

    name: str
    command: Sequence[str]
    reason: str = ""
    """Why it cannot run here, if so."""
    beside: str = ""
    """The leg at whose side it runs, when that runs, too."""


class Run:
    """One run of legs. Their logs are in `cache`."""

    def __init__(self, legs: Sequence[Leg], cache: pathlib.Path, processes: Processes) -> None:
        self._legs = legs
        self._cache = cache
        self._processes = processes
        self._running = {leg.name for leg in legs if not leg.reason}
        self._beside: list[tuple[Leg, Process, float]] = []
        self._outcomes: dict[str, Outcome] = {}

    def outcomes(self) -> list[Outcome]:
        """Run the legs; returns how they ended, in their order."""
        for leg in self._legs:
            self._run(leg)
        return [self._outcomes[leg.name] for leg in self._legs]

    def _run(self, leg: Leg) -> None:
        if leg.reason:
            say(f"*** {leg.name} SKIPPED: {leg.reason} ***")
            self._outcomes[leg.name] = Outcome(leg.name, SKIPPED, reason=leg.reason)
            return
        say(f"=== {leg.name}")
        if leg.beside in self._running:
            self._start_beside(leg)
        else:
            self._run_alone(leg)
            self._finish_beside(leg)

    def _start(self, leg: Leg) -> Process:
        return self._processes.start(leg.command, self._cache / f"{leg.name}.log")

    def _run_alone(self, leg: Leg) -> None:
        begin = time.time()
        process = self._start(leg)
        status = self._processes.follow(process)
        self._note(leg, process, status, time.time() - begin)

    def _start_beside(self, leg: Leg) -> None:
        say(f"--- runs beside {leg.beside}, and writes to {self._cache}/{leg.name}.log")
        self._beside.append((leg, self._start(leg), time.time()))

    def _finish_beside(self, other: Leg) -> None:
        for leg, process, begin in self._beside:
            if leg.beside == other.name:
                say(f"=== {leg.name}, which ran beside {other.name}")
                status = self._processes.follow(process)
                assert process.log
                self._note(leg, process, status, process.log.stat().st_mtime - begin)

    def _note(self, leg: Leg, process: Process, status: int, seconds: float) -> None:
        self._outcomes[leg.name] = Outcome(leg.name, FAILED if status else PASSED, seconds, process.log)
