# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two boots of the nodes of a lab, from pods.

The first is into another version of the image, from a pod with its machine's address. In the other one the pod is behind the address of a Service, and all goes
wrong: it is deleted, the control plane is away, and the boot server has the hash of another CA.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from labs import lab as command

from ltsp_lab.cluster import condition
from ltsp_lab.remote import Remote, patiently, reboot
from playbooks import playbook

if t.TYPE_CHECKING:
    import pathlib

    from cluster import Cluster

    from ltsp_lab.cluster import Object

NAMESPACE = "--namespace=ltsp-server"
SERVICE = "10.77.0.9"
ON_HOST = ["inventory.yml", "rejoin.yml", "pod.yml"]
BALANCED = [*ON_HOST, "pod_balanced.yml"]
EDITED = [*BALANCED, "pod_edited.yml"]
BY_HAND = [*EDITED, "rejoin_by_hand.yml"]
FILES = f"http://{SERVICE}/config/nodes/52-54-00-77-00-"
# Longer than kubelet's interval for ConfigMaps, for the case that it gets no notice of a change.
EDIT_SECONDS = 120
CONTROL_PLANE = "etcd kube-apiserver kube-controller-manager kube-scheduler"
REFUSED = "none of the public keys"
JOURNAL = "journalctl --boot --unit=kubernetes-join --output=cat"


def pods(cluster: Cluster) -> list[Object]:
    """Those of the boot server, but for those that end."""
    return [pod for pod in cluster.get(f"{NAMESPACE} pods")["items"] if "deletionTimestamp" not in pod["metadata"]]


def generation(cluster: Cluster) -> list[tuple[str, list[int]]]:
    """Which pods there are, and how often their containers were started again."""
    return [(pod["metadata"]["uid"], [status["restartCount"] for status in pod["status"]["containerStatuses"]]) for pod in pods(cluster)]


def servers(node: Remote) -> tuple[str, str]:
    """Where the node had its boot description and its root from."""
    environment = node.environment()
    return environment["SERVER"], environment["LTSP_ROOT"].split("/")[2]


def serves(server: Remote, number: int, word: str) -> None:
    """Waits until the lts.conf of a node has this word."""
    patiently(lambda: server.run(f"curl --silent --fail {FILES}{number:02x}.conf | grep {word}"), EDIT_SECONDS)


@dataclasses.dataclass
class Second:
    """What the nodes were before, and where they booted from."""

    machine_ids: dict[str, str]
    uids: dict[str, str]
    versions: dict[str, str]
    servers: dict[str, tuple[str, str]]
    nodes: dict[str, Object]


def boot_from_machine(cluster: Cluster, nodes: dict[str, Remote]) -> Second:
    for name in nodes:
        cluster.kubectl(f"label --overwrite node {name} e2e.example/operator={name}")
        cluster.kubectl(f"annotate --overwrite node {name} e2e.example/operator={name}")
        cluster.kubectl(f"taint --overwrite node {name} e2e.example/operator={name}:PreferNoSchedule")
    machine_ids = {name: node.run("cat /etc/machine-id") for name, node in nodes.items()}
    versions = {name: node.environment()["LTSP_VERSION"] for name, node in nodes.items()}
    uids = {name: cluster.get(f"node {name}")["metadata"]["uid"] for name in nodes}
    command("--server=kubernetes", inventories=ON_HOST)
    booted_from = {name: servers(node) for name, node in nodes.items()}
    return Second(machine_ids, uids, versions, booted_from, {name: cluster.ready(node) for name, node in nodes.items()})


@dataclasses.dataclass
class Third:
    """node1 has joined by a command in its lts.conf, node2 was refused; then the boot server's configuration was corrected."""

    pods_before_edit: list[tuple[str, list[int]]]
    pods_after_edit: list[tuple[str, list[int]]]
    deleted_pod: str
    said_in_vain: str
    state_in_vain: tuple[str, str]
    servers: dict[str, tuple[str, str]]
    commanded: Object
    journal: str
    console: str
    state: tuple[str, str]
    leftovers: str
    boot: str
    corrected: str


def boot_from_service(lab: pathlib.Path, server: Remote, cluster: Cluster, nodes: dict[str, Remote]) -> Third:
    """The pod is deleted while node2 downloads its image, and the control plane is away from then on until node2 has asked in vain."""
    node1, node2 = nodes["node1"], nodes["node2"]
    playbook(lab, ["dhcp", "kubernetes_server"], BALANCED)
    before = generation(cluster)
    join = cluster.machine.run("kubeadm token create --print-join-command")
    playbook(lab, ["join", "kubernetes_server"], BY_HAND, f"--extra-vars={{e2e_join: '{join}'}}")
    serves(server, 1, "JOIN_K8S")
    serves(server, 2, "EDITED")
    after = generation(cluster)
    (pod,) = [found["metadata"] for found in pods(cluster)]
    seen = len(node2.console())

    def downloads() -> None:
        assert re.search(r"ltsp: [0-9]+ of [0-9]+ MiB", node2.console()[seen:])

    def another_is_ready() -> None:
        found = pods(cluster)
        assert [(other["metadata"]["uid"] == pod["uid"], condition(other, "Ready").get("status")) for other in found] == [(False, "True")]

    def trouble() -> None:
        patiently(downloads, 300, every=0.2)
        cluster.kubectl(f"{NAMESPACE} delete --wait=false pod {pod['name']}")
        patiently(another_is_ready, 120, every=1)
        cluster.machine.run(f"systemctl stop {CONTROL_PLANE}")

    try:
        reboot([node1, node2], trouble)
        said = node2.wait_for(f"{JOURNAL} | grep -F 'answers 503: '", 180)
        state_in_vain = node2.state()
    finally:
        cluster.machine.run(f"systemctl start {CONTROL_PLANE}")
    journal = node2.wait_for(f"{JOURNAL} | grep -B 20 -A 5 '{REFUSED}'", 180)
    boot = node2.boot()
    leftovers = node2.run("ls -A /etc/kubernetes /etc/kubernetes/pki /var/lib/kubelet /run/kubernetes 2>&1; systemctl is-active kubelet || true")
    state = node2.state()
    console = node2.console()[seen:]
    corrected = playbook(lab, ["join"], EDITED)
    booted_from = {name: servers(node) for name, node in nodes.items()}
    commanded = cluster.ready(node1)
    return Third(before, after, pod["uid"], said, state_in_vain, booted_from, commanded, journal, console, state, leftovers, boot, corrected)
