# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot server of the running lab is behind the address of a Service; then it is deleted, and `docker run` alone takes its place."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from boots import BALANCED, EDITED, NAMESPACE, SERVICE, generation, pods, servers

from ltsp_lab.remote import Remote, patiently, reboot
from playbooks import playbook

if t.TYPE_CHECKING:
    import pathlib

    from boots import Second, Third
    from cluster import Cluster

    from ltsp_lab.cluster import Object

NODES = ["node1", "node2"]
BUILDER = "10.77.0.1"
KINDS = "configmaps,deployments,networkpolicies,poddisruptionbudgets,serviceaccounts,services"
RUN = """
    systemctl disable --now --quiet ltsp-nbd-server nginx tftpd-hpa 2>/dev/null
    docker run --detach --name e2e --network host --read-only --tmpfs /tmp --user 0 --cap-drop ALL --cap-add NET_BIND_SERVICE {}
"""


@pytest.fixture(scope="module")
def record(server: Remote) -> Object:
    found: Object = json.loads(server.run("cat /srv/ltsp/private/containers/ltsp.json"))
    return found


@pytest.mark.parametrize("name", NODES)
def test_both_firmwares_boot_through_its_nat_while_it_is_deleted(third: Third, name: str) -> None:
    assert third.servers[name] == (SERVICE, SERVICE)


def test_an_edit_of_lts_conf_is_seen_by_the_next_boot(third: Third, nodes: dict[str, Remote]) -> None:
    assert nodes["node2"].run("cat /etc/e2e-edited") == f"node2 boots from {SERVICE}"


def test_the_edit_restarted_nothing(third: Third) -> None:
    assert third.pods_before_edit == third.pods_after_edit
    assert [restarts for _pod, restarts in third.pods_after_edit] == [[0, 0, 0]]


def test_the_version_before_is_still_served(second: Second, third: Third, record: Object, server: Remote) -> None:
    former = second.versions["node2"]
    assert former in next(image["versions"] for image in record["images"] if image["name"] == "node")
    server.run(f"curl --silent --fail --output /dev/null http://{SERVICE}/images/node/{former}/boot.cfg")


def test_the_pods_are_restricted(third: Third, cluster: Cluster) -> None:
    said = cluster.kubectl("label --dry-run=server --overwrite namespace ltsp-server pod-security.kubernetes.io/enforce=restricted 2>&1")
    assert "Warning" not in said
    for pod in pods(cluster):
        assert "hostNetwork" not in pod["spec"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True


def test_a_wrong_digest_is_an_error_and_the_former_pod_serves_on(third: Third, record: Object, lab: pathlib.Path, cluster: Cluster, server: Remote) -> None:
    assert third.deleted_pod not in [uid for uid, _restarts in generation(cluster)]
    wrong = record["image"].split("@")[0] + "@sha256:" + "0" * 64
    variables = json.dumps({"kubernetes_server_image": wrong, "kubernetes_server_rollout_timeout": 20})
    before = generation(cluster)
    output = playbook(lab, ["kubernetes_server"], EDITED, f"--extra-vars={variables}", succeeds=False)
    assert re.search(r"is not ready after 20 s.*" + wrong, output, re.DOTALL), output
    server.run(f"curl --silent --fail http://{SERVICE}/healthz")
    playbook(lab, ["kubernetes_server"], EDITED)
    assert generation(cluster) == before


def test_nodes_in_ram_run_on_when_all_of_it_is_removed(third: Third, lab: pathlib.Path, cluster: Cluster, nodes: dict[str, Remote]) -> None:
    removed = "--extra-vars=kubernetes_server_state=absent"
    playbook(lab, ["kubernetes_server"], EDITED, removed)

    def gone() -> None:
        assert not cluster.names(f"{NAMESPACE} pods")

    patiently(gone, 180)
    assert not cluster.names(f"{NAMESPACE} {KINDS} --selector=app.kubernetes.io/instance=ltsp-server")
    for node in nodes.values():
        node.run("find /rofs/usr -type f -print0 | xargs -0 cat >/dev/null")
        assert node.state() == ("running", "")
    assert re.search(r"^kube-1 +: ok=\d+ +changed=0 ", playbook(lab, ["kubernetes_server"], EDITED, removed), re.MULTILINE)


def test_docker_run_alone_is_a_boot_server(third: Third, record: Object, lab: pathlib.Path, nodes: dict[str, Remote], server: Remote) -> None:
    playbook(lab, ["dhcp"], [*BALANCED, "pod_alone.yml"])
    server.run(f"set -e; {RUN.format(record['image'])}")
    reboot([nodes["node2"]])
    assert servers(nodes["node2"]) == (BUILDER, BUILDER)
    assert nodes["node2"].run("hostname") == "node2"
    server.run("docker stop e2e && docker rm e2e")
