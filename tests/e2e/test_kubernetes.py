# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a running lab have joined its cluster by themselves; tests/e2e/inventory.yml says what they are to be like there."""

from __future__ import annotations

import typing as t

import pytest

from ltsp_lab.remote import Remote, patiently

if t.TYPE_CHECKING:
    from cluster import Cluster

    from ltsp_lab.cluster import Object

NODES = ["node1", "node2"]
ADDRESSES = {"node1": "10.77.0.11", "node2": "10.77.0.12"}
LABELS = {
    "node1": {"e2e.example/rack": "rack1", "e2e.example/image": "first"},
    "node2": {"e2e.example/rack": "rack2", "e2e.example/image": "first"},
}
TAINTS = {"node1": [], "node2": [("e2e.example/only", "tests", "NoSchedule")]}
# Pods reach the boot server with the address of their node, as in most pod networks. Root in a pod may use a privileged port.
MASQUERADE = """
    nft add table ip e2e
    nft add chain ip e2e postrouting '{ type nat hook postrouting priority srcnat; }'
    nft flush chain ip e2e postrouting
    nft add rule ip e2e postrouting ip saddr 10.244.0.0/16 ip daddr 10.77.0.1 masquerade
"""
POD = """
    echo "$NAME on $NODE"
    wget -q -O - http://10.77.0.1/config/join.url
    exec 2>/dev/null
    timeout 10 wget -q -O - http://10.77.0.1:10808/v1/join
    echo $?
"""
KILLED_AFTER_TEN_SECONDS = "143"


def pod(name: str, rack: str) -> Object:
    environment = {"NAME": "metadata.name", "NODE": "spec.nodeName"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"e2e.example/rack": rack},
            "tolerations": [{"key": "e2e.example/only", "operator": "Exists"}],
            "containers": [
                {
                    "name": "busybox",
                    "image": "localhost/busybox:1",
                    "imagePullPolicy": "Never",
                    "command": ["/bin/sh", "-c", POD],
                    "env": [{"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in environment.items()],
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def logs(cluster: Cluster, nodes: dict[str, Remote]) -> dict[str, list[str]]:
    """What a pod said on each node, read through the API."""
    cluster.kubectl("delete pods --ignore-not-found e2e-node1 e2e-node2")
    for name, node in nodes.items():
        cluster.ready(node)
        node.run(f"set -e; {MASQUERADE}")
        cluster.create(pod(f"e2e-{name}", LABELS[name]["e2e.example/rack"]))

    def ended() -> None:
        phases = {item["metadata"]["name"]: item["status"]["phase"] for item in cluster.get("pods")["items"]}
        assert phases == {f"e2e-{name}": "Succeeded" for name in nodes}, cluster.kubectl("describe pods")

    patiently(ended, 180)
    return {name: cluster.kubectl(f"logs e2e-{name}").splitlines() for name in nodes}


def test_the_cluster_has_the_nodes_and_no_others(cluster: Cluster, nodes: dict[str, Remote]) -> None:
    for node in nodes.values():
        cluster.ready(node)
    assert cluster.names("nodes") == NODES


@pytest.mark.parametrize("name", NODES)
def test_a_node_is_described_as_in_the_inventory(cluster: Cluster, name: str) -> None:
    described = cluster.get(f"node {name}")
    assert {item["type"]: item["address"] for item in described["status"]["addresses"]} == {"InternalIP": ADDRESSES[name], "Hostname": name}
    assert {key: value for key, value in described["metadata"]["labels"].items() if key.startswith("e2e.example/")} == LABELS[name]
    assert [(taint["key"], taint.get("value"), taint["effect"]) for taint in described["spec"].get("taints", [])] == TAINTS[name]
    assert described["status"]["capacity"]["pods"] == "42"


@pytest.mark.parametrize("name", NODES)
def test_engine_and_kubelet_write_to_one_tmpfs_with_a_limit(nodes: dict[str, Remote], name: str) -> None:
    rows = nodes[name].run("df --block-size=1K --output=source,fstype,size /var/lib/containerd /var/lib/kubelet | tail -n 2").splitlines()
    assert len(set(rows)) == 1, rows
    _source, kind, size = rows[0].split()
    memory = int(nodes[name].run("awk '/^MemTotal/ { print $2 }' /proc/meminfo"))
    assert kind == "tmpfs"
    assert 0.39 < int(size) / memory < 0.41


@pytest.mark.parametrize("name", NODES)
def test_a_pod_runs_and_its_log_is_read(logs: dict[str, list[str]], name: str) -> None:
    assert logs[name][0] == f"e2e-{name} on {name}"


@pytest.mark.parametrize("name", NODES)
def test_a_pod_cannot_ask_in_the_name_of_its_node(logs: dict[str, list[str]], name: str) -> None:
    assert logs[name][1:] == ["https://10.77.0.1:10808/v1/join", KILLED_AFTER_TEN_SECONDS]


def test_no_credential_is_left(cluster: Cluster, nodes: dict[str, Remote], server: Remote) -> None:
    assert cluster.credentials() == []
    used = {name.split(":")[2] for name in cluster.requesters() if name.startswith("system:bootstrap:")}
    assert len(used) == len(nodes)
    pattern = rf"\b({'|'.join(sorted(used))})\.[a-z0-9]{{16}}\b"
    for node in nodes.values():
        node.run(f"! journalctl --boot --output=cat | grep -E '{pattern}'")
        node.run(f"! grep -rE '{pattern}' /etc/kubernetes /run/kubernetes /run/ltsp /var/lib/kubelet /var/log /tmp")
        node.run("[ ! -e /etc/kubernetes/bootstrap-kubelet.conf ]")
    server.run(f"! journalctl --output=cat | grep -E '{pattern}'")
    server.run(f"! grep -rE '{pattern}' /srv/ltsp/public/config /srv/ltsp/public/boot /etc/ltsp-join /var/log")
