# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from samples import BOOT_SERVER

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.placement import placement
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import ServerError, read_settings

GIVEN = {**BOOT_SERVER, "exposure": "load_balancer", "servers": {"boot": "10.9.0.2"}, "ports": {}, "replicas": 1}


def machine(name: str, *taints: str, hostname: str = "", **labels: str) -> dict[str, t.Any]:
    split = [(taint.split(":")[0].split("="), taint.split(":")[1]) for taint in taints]
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": hostname or name, **labels}},
        "spec": {"taints": [{"key": key[0], "effect": effect, **({"value": key[1]} if len(key) > 1 else {})} for key, effect in split]} if taints else {},
    }


def node(name: str, server: str = "boot") -> dict[str, t.Any]:
    return {"kubernetes_name": name, "server": server}


def placed(cluster: list[dict[str, t.Any]], farm: t.Sequence[dict[str, t.Any]] = (), **changes: t.Any) -> list[str]:
    return placement(read_settings({**GIVEN, **changes}), cluster, farm)


def on_hosts(*names: str) -> dict[str, t.Any]:
    return {"exposure": "host_network", "servers": {name: f"10.9.0.{3 + number}" for number, name in enumerate(names)}, "replicas": len(names)}


def required(*expressions: dict[str, t.Any], key: str = "matchExpressions") -> dict[str, t.Any]:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{key: list(expressions)}]}}}


def test_any_machine_will_do() -> None:
    assert placed([machine("b"), machine("a")]) == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "fitting"),
    [
        ({"node_selector": {"disk": "ssd"}}, ["a"]),
        ({"affinity": required({"key": "disk", "operator": "In", "values": ["ssd"]})}, ["a"]),
        ({"affinity": required({"key": "disk", "operator": "NotIn", "values": ["ssd"]})}, ["b", "c"]),
        ({"affinity": required({"key": "disk", "operator": "Exists"})}, ["a", "b"]),
        ({"affinity": required({"key": "disk", "operator": "DoesNotExist"})}, ["c"]),
        ({"affinity": required({"key": "size", "operator": "Gt", "values": ["5"]})}, ["a"]),
        ({"affinity": required({"key": "size", "operator": "Lt", "values": ["5"]})}, ["b"]),
        ({"affinity": required({"key": "metadata.name", "operator": "In", "values": ["c"]}, key="matchFields")}, ["c"]),
    ],
)
def test_selector_and_affinity_choose_as_the_scheduler_does(changes: dict[str, t.Any], fitting: list[str]) -> None:
    assert placed([machine("a", disk="ssd", size="10"), machine("b", disk="hdd", size="2"), machine("c")], **changes) == fitting


@pytest.mark.parametrize(
    "toleration",
    [
        {"operator": "Exists"},
        {"key": "role", "operator": "Exists"},
        {"key": "role", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "role", "value": "db"},
        {"key": "role", "operator": "Equal", "value": "db", "effect": "NoSchedule"},
    ],
)
def test_a_taint_has_to_be_tolerated(toleration: dict[str, t.Any]) -> None:
    cluster = [machine("a", "role=db:NoSchedule")]
    assert placed(cluster, tolerations=[toleration]) == ["a"]
    with pytest.raises(ServerError, match=r"no machine .* \(a: nothing tolerates its taint role=db:NoSchedule\): correct kubernetes_server_node_selector"):
        placed(cluster, tolerations=[{"key": "other", "operator": "Exists"}, {**toleration, "effect": "NoExecute"}])


def test_a_state_that_passes_is_no_obstacle() -> None:
    assert placed([machine("a", "node.kubernetes.io/unschedulable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute", "x:PreferNoSchedule")]) == ["a"]


def test_that_nothing_fits_is_said_with_reasons() -> None:
    with pytest.raises(ServerError, match=r"\(a: it has no label disk; b: the label disk is 'hdd' and not 'ssd'\)"):
        placed([machine("a"), machine("b", disk="hdd")], node_selector={"disk": "ssd"})
    with pytest.raises(ServerError, match=r"\(the cluster has none\)"):
        placed([])


def test_a_boot_server_that_only_its_own_nodes_may_carry_never_starts() -> None:
    farm = [node("node1"), node("node2"), node("node3", server="ltsp-1")]
    with pytest.raises(ServerError, match=r"only machines that boot from this boot server may carry it \(ip-10-9-1-2, node1\), and after a power cut"):
        placed([machine("node1"), machine("ip-10-9-1-2", hostname="node2")], farm)
    assert placed([machine("node1"), machine("node3")], farm) == ["node1", "node3"]
    assert placed([machine("node1"), machine("disk")], farm) == ["disk", "node1"]


def test_on_the_host_network_each_server_needs_its_node() -> None:
    assert placed([machine("kube-1"), machine("kube-2"), machine("other")], **on_hosts("kube-1", "Kube-2.example.org")) == ["kube-1", "kube-2"]
    assert placed([machine("ip-10-9-0-3", hostname="kube-1.example.org")], **on_hosts("kube-1.example.org")) == ["ip-10-9-0-3"]
    with pytest.raises(ServerError, match=r"kube-2 of ltsp_kubernetes_servers is no Node of the cluster, which has kube-1: "):
        placed([machine("kube-1")], **on_hosts("kube-1", "kube-2"))
    with pytest.raises(ServerError, match=r"kube-2 of ltsp_kubernetes_servers cannot carry its boot server: it has no label disk"):
        placed([machine("kube-1", disk="ssd"), machine("kube-2")], node_selector={"disk": "ssd"}, **on_hosts("kube-1", "kube-2"))


def test_servers_that_wait_for_each_other_are_refused() -> None:
    cluster = [machine(name) for name in ("a", "b", "c")]
    with pytest.raises(ServerError, match=r"wait for each other or for themselves \(a boots from b, b boots from a\)"):
        placed(cluster, [node("a", "b"), node("b", "a")], **on_hosts("a", "b", "c"))
    with pytest.raises(ServerError, match=r"\(a boots from a\)"):
        placed(cluster, [node("a", "a")], **on_hosts("a", "b"))
    assert placed(cluster, [node("a", "b"), node("b", "c")], **on_hosts("a", "b", "c")) == ["a", "b", "c"]
    assert placed(cluster, [node("a", "ltsp-1"), node("b", "a")], **on_hosts("a", "b")) == ["a", "b"]
