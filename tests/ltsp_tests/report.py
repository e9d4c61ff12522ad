# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report at the end of a run."""

from __future__ import annotations

import dataclasses
import re
import typing as t

if t.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Sequence

PASSED, FAILED, SKIPPED = "passed", "FAILED", "SKIPPED"
SHOWN_FAILURES = 20


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a leg."""

    leg: str
    result: str
    seconds: float = 0
    log: pathlib.Path | None = None
    reason: str = ""


def failures(log: str) -> list[str]:
    """The failures, as pytest, ansible-test and these commands show them at their end."""
    found: list[str] = []
    listed = False
    for line in log.splitlines():
        if re.match(r"(FAILED|ERROR) tests/|(ERROR|FATAL|test): ", line):
            found.append(f"  {line[:200]}")
            listed = "listed below" in line
        elif listed and re.fullmatch(r"[a-z0-9_][a-z0-9_. -]*", line):
            found.append(f"    {line}")
        else:
            listed = False
    return found[-SHOWN_FAILURES:]


def notices(log: str) -> list[str]:
    """The important lines, which begin with three stars."""
    return [line for line in log.splitlines() if line.startswith("*** ")]


def summary(outcomes: Sequence[Outcome]) -> str:
    """The failures, a table of the legs and their minutes, and at the very end the notices."""
    logs = {outcome.leg: outcome.log.read_text(encoding="utf-8", errors="replace") for outcome in outcomes if outcome.log}
    lines = [
        line for outcome in outcomes if outcome.result == FAILED for line in ("", f"{outcome.leg} FAILED, see {outcome.log}", *failures(logs[outcome.leg]))
    ]
    lines += ["", _row("leg", "result", "minutes"), *(_row_of(outcome) for outcome in outcomes)]
    loud = [f"*** {outcome.leg} SKIPPED: {outcome.reason} ***" for outcome in outcomes if outcome.result == SKIPPED]
    loud += [line for log in logs.values() for line in notices(log)]
    return "\n".join([*lines, *_block(loud)])


def _row(leg: str, result: str, minutes: str) -> str:
    return f"{leg:<12} {result:<8} {minutes:>7}".rstrip()


def _row_of(outcome: Outcome) -> str:
    return _row(outcome.leg, outcome.result, "" if outcome.result == SKIPPED else f"{outcome.seconds / 60:.1f}")


def _block(lines: Iterable[str]) -> list[str]:
    once = list(dict.fromkeys(lines))
    return ["", *once] if once else []
