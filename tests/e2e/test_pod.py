# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot server of the running lab is a pod, made with tests/e2e/pod.yml.

The nodes have booted from the host's network when this begins. They boot again behind a Service; one of them once more while the pod that serves it is
deleted; and that one at last from `docker run` alone.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

import pytest
from machines import Machine, patiently, playbook, reboot

if t.TYPE_CHECKING:
    import pathlib

    from cluster import Cluster, Object

NODES = ["node1", "node2"]
ON_HOST, BALANCED, BUILDER = "10.77.0.3", "10.77.0.9", "10.77.0.1"
NAMESPACE = "--namespace=ltsp-server"
CONTAINERS = ["http", "nbd", "tftp"]
INVENTORIES = ["inventory.yml", "rejoin.yml", "pod.yml"]
# Without the kernel module of rejoin.yml the image is another one.
OTHER_IMAGE = ["inventory.yml", "pod.yml", "pod_balanced.yml", "pod_edited.yml"]
EDITED = "http://{}/config/nodes/52-54-00-77-00-02.conf"
KUBELET_SECONDS = 90
RUN = """
    systemctl disable --now --quiet ltsp-nbd-server nginx tftpd-hpa 2>/dev/null
    docker run --detach --name e2e --network host --read-only --tmpfs /run --tmpfs /tmp --user 0 --cap-drop ALL --cap-add NET_BIND_SERVICE {}
"""


def pods(cluster: Cluster) -> list[Object]:
    found: list[Object] = cluster.get(f"{NAMESPACE} pods")["items"]
    return found


def generation(cluster: Cluster) -> list[tuple[str, list[int]]]:
    """Which pods there are, and how often their containers were started again."""
    return [(pod["metadata"]["uid"], [status["restartCount"] for status in pod["status"]["containerStatuses"]]) for pod in pods(cluster)]


def expect_none(found: list[Object]) -> None:
    assert not found


def servers(node: Machine) -> tuple[str, str]:
    """Where the node had its boot description and its root from."""
    environment = node.environment()
    return environment["SERVER"], environment["LTSP_ROOT"].split("/")[2]


def record(server: Machine) -> Object:
    found: Object = json.loads(server.run("cat /srv/ltsp/private/containers/ltsp.json"))
    return found


@pytest.fixture(scope="module")
def on_host(nodes: dict[str, Machine], cluster: Cluster) -> list[Object]:
    """The pods of the boot server, once the nodes have come from it."""
    for node in nodes.values():
        cluster.ready(node)
    return pods(cluster)


@pytest.mark.parametrize("name", NODES)
def test_both_firmwares_boot_from_the_host_network(on_host: list[Object], nodes: dict[str, Machine], name: str) -> None:
    assert servers(nodes[name]) == (ON_HOST, ON_HOST)
    assert nodes[name].environment()["LTSP_ROOT"].split(":")[0] == {"node1": "nbd", "node2": "http"}[name]
    assert nodes[name].state() == ("running", "")


def test_one_pod_with_one_daemon_in_each_container(on_host: list[Object]) -> None:
    assert [pod["spec"]["nodeName"] for pod in on_host] == ["kube-1"]
    assert sorted(container["name"] for container in on_host[0]["spec"]["containers"]) == CONTAINERS
    assert [status["restartCount"] for status in on_host[0]["status"]["containerStatuses"]] == [0, 0, 0]


def test_the_image_is_the_one_that_was_built_by_its_digest(on_host: list[Object], server: Machine) -> None:
    images = {container["image"] for container in on_host[0]["spec"]["containers"]}
    assert images == {record(server)["image"]}
    assert re.search(r"@sha256:[0-9a-f]{64}$", images.pop())


def test_again_nothing_changes(on_host: list[Object], lab: pathlib.Path) -> None:
    output = playbook(lab, ["site"], INVENTORIES)
    changed = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)
    assert {"kube-1", "ltsp-1"} <= {host for host, _count in changed}
    assert all(count == "0" for _host, count in changed), output


@dataclasses.dataclass
class Edited:
    """A boot behind a Service, after an edit of lts.conf."""

    before: list[tuple[str, list[int]]]
    after: list[tuple[str, list[int]]]


@pytest.fixture(scope="module")
def edited(on_host: list[Object], lab: pathlib.Path, cluster: Cluster, nodes: dict[str, Machine], server: Machine) -> Edited:
    balanced = [*INVENTORIES, "pod_balanced.yml"]
    playbook(lab, ["dhcp", "deploy"], balanced)
    before = generation(cluster)
    playbook(lab, ["deploy"], [*balanced, "pod_edited.yml"])
    patiently(lambda: server.run(f"curl --silent --fail {EDITED.format(BALANCED)} | grep EDITED"), KUBELET_SECONDS)
    reboot(list(nodes.values()))
    for node in nodes.values():
        node.wait_for("systemctl is-active ltsp-rc")
    return Edited(before, generation(cluster))


@pytest.mark.parametrize("name", NODES)
def test_both_firmwares_boot_through_the_nat_of_a_service(edited: Edited, nodes: dict[str, Machine], name: str) -> None:
    assert servers(nodes[name]) == (BALANCED, BALANCED)
    assert nodes[name].state() == ("running", "")


def test_an_edit_of_lts_conf_is_seen_by_the_next_boot(edited: Edited, nodes: dict[str, Machine]) -> None:
    assert nodes["node2"].run("cat /etc/e2e-edited") == f"node2 boots from {BALANCED}"


def test_the_edit_restarted_nothing(edited: Edited) -> None:
    assert edited.after == edited.before


def test_the_pods_are_restricted(edited: Edited, cluster: Cluster) -> None:
    labels = cluster.get("namespace ltsp-server")["metadata"]["labels"]
    assert labels.get("pod-security.kubernetes.io/enforce", "restricted") == "restricted"
    cluster.kubectl("label --dry-run=server --overwrite namespace ltsp-server pod-security.kubernetes.io/enforce=restricted")
    for pod in pods(cluster):
        assert "hostNetwork" not in pod["spec"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True


@dataclasses.dataclass
class Rollout:
    """A boot into another version of the image, during which the pod that served it was deleted."""

    former: str
    versions: list[str]
    deleted: str
    pods: list[str]


@pytest.fixture(scope="module")
def rollout(edited: Edited, lab: pathlib.Path, cluster: Cluster, nodes: dict[str, Machine], server: Machine) -> Rollout:
    node = nodes["node2"]
    former = node.environment()["LTSP_VERSION"]
    playbook(lab, ["image", "container", "deploy"], OTHER_IMAGE)
    (pod,) = pods(cluster)
    boot, seen = node.boot(), len(node.console())
    node.run("systemd-run --quiet --on-active=1 systemctl reboot")

    def downloads() -> None:
        assert re.search(r"ltsp: [0-9]+ of [0-9]+ MiB", node.console()[seen:])

    patiently(downloads, 300, every=0.2)
    cluster.kubectl(f"{NAMESPACE} delete --wait=false pod {pod['metadata']['name']}")
    node.wait_for(f"! grep -q {boot} /proc/sys/kernel/random/boot_id && systemctl is-active ltsp-rc")
    versions = next(image["versions"] for image in record(server)["images"] if image["name"] == "node")
    return Rollout(former, versions, pod["metadata"]["uid"], [pod["metadata"]["uid"] for pod in pods(cluster)])


def test_a_node_comes_up_whose_server_is_deleted_meanwhile(rollout: Rollout, nodes: dict[str, Machine]) -> None:
    assert rollout.deleted not in rollout.pods[-1:]
    assert nodes["node2"].state() == ("running", "")


def test_the_next_boot_runs_the_new_version(rollout: Rollout, nodes: dict[str, Machine], server: Machine) -> None:
    version = nodes["node2"].environment()["LTSP_VERSION"]
    assert version == server.run("readlink /srv/ltsp/public/images/node/current")
    assert version != rollout.former


def test_the_version_before_is_still_served(rollout: Rollout, server: Machine) -> None:
    assert rollout.former in rollout.versions
    server.run(f"curl --silent --fail --output /dev/null http://{BALANCED}/images/node/{rollout.former}/boot.cfg")


def test_nodes_in_ram_run_on_without_a_server(rollout: Rollout, cluster: Cluster, nodes: dict[str, Machine]) -> None:
    cluster.kubectl(f"{NAMESPACE} delete deployment ltsp-server")
    patiently(lambda: expect_none(pods(cluster)), 180)
    for node in nodes.values():
        node.run("find /rofs/usr -type f -print0 | xargs -0 cat >/dev/null")
        assert node.state() == ("running", "")


def test_docker_run_alone_is_a_boot_server(rollout: Rollout, lab: pathlib.Path, nodes: dict[str, Machine], server: Machine) -> None:
    playbook(lab, ["dhcp"], [*OTHER_IMAGE, "pod_alone.yml"])
    server.run(f"set -e; {RUN.format(record(server)['image'])}")
    reboot([nodes["node2"]])
    assert servers(nodes["node2"]) == (BUILDER, BUILDER)
    assert nodes["node2"].run("hostname") == "node2"
    server.run("docker stop e2e && docker rm e2e")
