# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of the tests. It comes up when the first test needs it, and is away at the end."""

from __future__ import annotations

import os
import typing as t

import pytest
from boots import Second, Third, boot_from_machine, boot_from_service
from cluster import Cluster
from labs import FIRMWARE, SCENARIOS, Labs
from labs import lab as command

from ltsp_lab.description import Firmware
from ltsp_lab.remote import Remote
from ltsp_lab.settings import Settings

if t.TYPE_CHECKING:
    import pathlib


# Before pytest chooses by marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scenarios that share a lab run one after the other, and have the mark of their lab."""
    order = list(SCENARIOS)
    items.sort(key=lambda item: order.index(item.path.stem))
    for item in items:
        kind = SCENARIOS[item.path.stem]
        if kind:
            item.add_marker(kind.mark)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of the boots that went wrong, and a loud line where they had no user-mode Linux."""
    reports = [
        report for key in ("passed", "failed") for report in terminalreporter.getreports(key) if "test_fault[" in report.nodeid and report.when == "call"
    ]
    if not reports:
        return
    terminalreporter.section("faults")
    terminalreporter.write_line(f"{'FAULT AND TRANSPORT':<34} {'':<6} {'S':>4}  {'HOW IT ENDS':<44} WHAT THE CONSOLE SAYS")
    for report in sorted(reports, key=lambda report: report.nodeid):
        found = dict(report.user_properties)
        name = report.nodeid.partition("[")[2].rstrip("]")
        said = f"{found.get('seconds', 0):4.0f}  {found.get('end', '')[:44]:<44} {found.get('said', '')}"
        terminalreporter.write_line(f"{name:<34} {report.outcome:<6} {said}")
    if any(dict(report.user_properties).get("firmware") != Firmware.NONE.value for report in reports):
        terminalreporter.write_line("*** user-mode Linux does not boot here: only a sample of the faults was looked at, in QEMU ***")


@pytest.fixture(scope="session")
def labs() -> t.Iterator[Labs]:
    # A run that was killed leaves its lab behind.
    command("--down")
    yield Labs()
    command("--down")


@pytest.fixture(scope="module", autouse=True)
def needed_lab(request: pytest.FixtureRequest, labs: Labs) -> None:
    labs.bring(SCENARIOS[request.path.stem])


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings.read(os.environ)


@pytest.fixture(scope="session")
def lab(settings: Settings) -> pathlib.Path:
    return settings.directory


@pytest.fixture(scope="session")
def server(lab: pathlib.Path) -> Remote:
    return Remote(lab, "ltsp-1")


@pytest.fixture(scope="session")
def cluster(lab: pathlib.Path) -> Cluster:
    return Cluster(Remote(lab, "cp-1"))


@pytest.fixture(scope="session")
def nodes(lab: pathlib.Path) -> dict[str, Remote]:
    return {name: Remote(lab, name) for name in ("node1", "node2")}


@pytest.fixture(scope="session")
def second(labs: Labs, cluster: Cluster, nodes: dict[str, Remote]) -> Second:
    labs.bring(FIRMWARE)
    return boot_from_machine(cluster, nodes)


@pytest.fixture(scope="session")
def third(second: Second, lab: pathlib.Path, server: Remote, cluster: Cluster, nodes: dict[str, Remote]) -> Third:
    return boot_from_service(lab, server, cluster, nodes)
