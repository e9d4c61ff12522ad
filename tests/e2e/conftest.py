# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of the tests. It comes up when the first test needs it, and is away at the end."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from boots import Second, Third, boot_from_machine, boot_from_service
from cluster import Cluster
from labs import FIRMWARE, SCENARIOS, Labs
from labs import lab as command

from ltsp_lab.remote import Remote


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scenarios that share a lab run one after the other."""
    order = list(SCENARIOS)
    items.sort(key=lambda item: order.index(item.path.stem))


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
def lab() -> pathlib.Path:
    return pathlib.Path(os.environ["LTSP_LAB_DIRECTORY"])


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
