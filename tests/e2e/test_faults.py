# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots that go wrong in the ways of faults.py end as docs/runtime.md says, and the console names the cause."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from bench import IN_QEMU, Bench, Outcome
from faults import FAULTS, Fault

from ltsp_lab.description import Firmware

if t.TYPE_CHECKING:
    from ltsp_lab.settings import Settings


@pytest.fixture(scope="module")
def bench(needed_lab: None, settings: Settings, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Bench]:
    """All boots of this run, begun together: a test waits for its own."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == pathlib.Path(__file__)]
    wanted = [t.cast(Fault, item.callspec.params["fault"]) for item in items]
    with Bench(settings, tmp_path_factory.mktemp("faults")) as bench:
        bench.begin(fault for fault in wanted if bench.firmware is Firmware.NONE or fault.id in IN_QEMU)
        yield bench


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.id, marks=[pytest.mark.long] if fault.long else []) for fault in FAULTS])
def test_fault(bench: Bench, fault: Fault, record_property: t.Callable[[str, object], None]) -> None:
    record_property("firmware", bench.firmware.value)
    if bench.firmware is not Firmware.NONE and fault.id not in IN_QEMU:
        pytest.skip("it needs user-mode Linux, which does not boot here")
    outcome: Outcome = bench.outcome(fault)
    record_property("seconds", outcome.seconds)
    record_property("said", outcome.said)
    record_property("end", outcome.end)
