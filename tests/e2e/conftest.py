# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that scripts/test has brought up."""

from __future__ import annotations

import os
import pathlib

import pytest
from boots import Second, Third, boot_from_machine, boot_from_service
from cluster import Cluster
from machines import Machine


@pytest.fixture(scope="session")
def lab() -> pathlib.Path:
    return pathlib.Path(os.environ["LTSP_LAB_DIRECTORY"])


@pytest.fixture(scope="session")
def server(lab: pathlib.Path) -> Machine:
    return Machine(lab, "ltsp-1")


@pytest.fixture(scope="session")
def cluster(lab: pathlib.Path) -> Cluster:
    return Cluster(Machine(lab, "cp-1"))


@pytest.fixture(scope="session")
def nodes(lab: pathlib.Path) -> dict[str, Machine]:
    return {name: Machine(lab, name) for name in ("node1", "node2")}


@pytest.fixture(scope="session")
def second(cluster: Cluster, nodes: dict[str, Machine]) -> Second:
    return boot_from_machine(cluster, nodes)


@pytest.fixture(scope="session")
def third(second: Second, lab: pathlib.Path, server: Machine, cluster: Cluster, nodes: dict[str, Machine]) -> Third:
    return boot_from_service(lab, server, cluster, nodes)
