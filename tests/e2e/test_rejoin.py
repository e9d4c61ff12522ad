# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a running lab come back to its cluster after the two boots of boots.py."""

from __future__ import annotations

import re
import typing as t

import pytest
from boots import REFUSED

if t.TYPE_CHECKING:
    from boots import Second, Third
    from cluster import Cluster

    from ltsp_lab.remote import Remote

NODES = ["node1", "node2"]
MEMBERS = ["kube-1", *NODES]
LABELS = {
    "node1": {"e2e.example/rack": "rack1", "e2e.example/image": "second", "e2e.example/operator": "node1"},
    "node2": {"e2e.example/rack": "rack2", "e2e.example/operator": "node2"},
}


@pytest.mark.parametrize("name", NODES)
def test_it_boots_the_other_version(second: Second, nodes: dict[str, Remote], server: Remote, name: str) -> None:
    version = nodes[name].environment()["LTSP_VERSION"]
    assert version == server.run("readlink /srv/ltsp/public/images/node/current")
    assert version != second.versions[name]


@pytest.mark.parametrize("name", NODES)
def test_the_module_that_was_built_for_the_image_is_loaded(second: Second, nodes: dict[str, Remote], name: str) -> None:
    node = nodes[name]
    assert node.run("cat /sys/module/ltsp_e2e/parameters/greeting") == "built against the image's kernel"
    assert node.run("modinfo --field=vermagic ltsp_e2e").split()[0] == node.run("uname --kernel-release")


def test_what_the_module_was_built_with_is_not_in_the_image(second: Second, nodes: dict[str, Remote]) -> None:
    nodes["node2"].run("[ ! -e /usr/bin/gcc ] && [ ! -e /usr/src/ltsp_e2e ] && ! ls -d /usr/src/linux-headers-*")


@pytest.mark.parametrize("name", NODES)
def test_it_is_the_machine_and_the_node_that_it_was(second: Second, nodes: dict[str, Remote], name: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", second.machine_ids[name])
    assert nodes[name].run("cat /etc/machine-id") == second.machine_ids[name]
    assert second.nodes[name]["metadata"]["uid"] == second.uids[name]
    nodes[name].run("[ ! -e /e2e-written ]")


def test_the_machines_differ(second: Second) -> None:
    assert len(set(second.machine_ids.values())) == len(NODES)


@pytest.mark.parametrize("name", NODES)
def test_what_the_operator_gave_the_node_is_kept_and_the_inventory_is_followed(second: Second, name: str) -> None:
    metadata = second.nodes[name]["metadata"]
    assert {key: value for key, value in metadata["labels"].items() if key.startswith("e2e.example/")} == LABELS[name]
    assert metadata["annotations"]["e2e.example/operator"] == name
    taints = {taint["key"]: taint["effect"] for taint in second.nodes[name]["spec"]["taints"]}
    assert taints == {"e2e.example/operator": "PreferNoSchedule", **({"e2e.example/only": "NoSchedule"} if name == "node2" else {})}


def test_nothing_piles_up(second: Second, cluster: Cluster) -> None:
    assert cluster.names("nodes") == MEMBERS
    requesters = cluster.requesters()
    assert len(requesters) == len(set(requesters)) == len(MEMBERS)
    assert cluster.credentials() == []


@pytest.mark.parametrize("name", NODES)
def test_nothing_failed(second: Second, nodes: dict[str, Remote], name: str) -> None:
    assert nodes[name].state() == ("running", "")


def test_a_node_in_vain_is_a_running_node_that_says_why(third: Third) -> None:
    assert third.state_in_vain == ("running", "")
    assert third.said_in_vain.splitlines()[0] in third.console


def test_the_command_in_lts_conf_joins_the_node_again(second: Second, third: Third, nodes: dict[str, Remote]) -> None:
    assert third.commanded["metadata"]["uid"] == second.uids["node1"]
    assert nodes["node1"].run("systemctl is-active ltsp-rc kubelet").split() == ["active", "active"]
    assert nodes["node1"].run("systemctl is-enabled kubernetes-join || true") in ("masked", "masked-runtime")
    assert nodes["node1"].state() == ("running", "")


def test_a_wrong_ca_is_refused_loudly(third: Third) -> None:
    assert REFUSED in third.journal
    assert REFUSED in third.console
    assert third.state == ("running", "")


def test_a_refused_join_leaves_nothing(third: Third, cluster: Cluster) -> None:
    assert "kubelet.conf" not in third.leftovers
    assert "ca.crt" not in third.leftovers
    assert third.leftovers.splitlines()[-1] in ("inactive", "failed")


def test_the_corrected_boot_server_lets_the_node_in_without_a_boot(third: Third, cluster: Cluster, nodes: dict[str, Remote]) -> None:
    assert re.search(r"^ltsp-1 +: ok=\d+ +changed=[1-9]", third.corrected, re.MULTILINE), third.corrected
    assert cluster.ready(nodes["node2"])["status"]["nodeInfo"]["bootID"] == third.boot
    assert cluster.names("nodes") == MEMBERS
    assert nodes["node2"].state() == ("running", "")
