# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot server of the running lab becomes a pod with its machine's address, with tests/e2e/pod.yml, and the nodes boot from it."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
import yaml
from boots import NAMESPACE, ON_HOST, pods

from ltsp_lab.remote import Remote
from playbooks import playbook

if t.TYPE_CHECKING:
    import pathlib

    from boots import Second
    from cluster import Cluster

MACHINE = "10.77.0.3"
TRANSPORTS = {"node1": "nbd", "node2": "http"}
CONTAINERS = ["http", "nbd", "tftp"]


@pytest.mark.parametrize("name", TRANSPORTS)
def test_both_firmwares_boot_from_the_host_network(second: Second, nodes: dict[str, Remote], name: str) -> None:
    assert second.servers[name] == (MACHINE, MACHINE)
    assert nodes[name].environment()["LTSP_ROOT"].split(":")[0] == TRANSPORTS[name]
    assert nodes[name].state() == ("running", "")


def test_one_pod_with_one_daemon_in_each_container(second: Second, cluster: Cluster) -> None:
    (pod,) = pods(cluster)
    assert pod["spec"]["nodeName"] == "kube-1"
    assert sorted(container["name"] for container in pod["spec"]["containers"]) == CONTAINERS
    assert [status["restartCount"] for status in pod["status"]["containerStatuses"]] == [0, 0, 0]


def test_the_image_is_the_one_that_was_built_by_its_digest(second: Second, cluster: Cluster, server: Remote) -> None:
    images = {container["image"] for pod in pods(cluster) for container in pod["spec"]["containers"]}
    assert images == {json.loads(server.run("cat /srv/ltsp/private/containers/ltsp.json"))["image"]}
    assert re.search(r"@sha256:[0-9a-f]{64}$", images.pop())


def test_again_nothing_changes(second: Second, lab: pathlib.Path) -> None:
    output = playbook(lab, ["site"], ON_HOST)
    changed = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)
    assert {"kube-1", "ltsp-1"} <= {host for host, _count in changed}
    assert all(count == "0" for _host, count in changed), output


def test_what_is_applied_can_be_written_to_files(second: Second, lab: pathlib.Path, cluster: Cluster, tmp_path: pathlib.Path) -> None:
    # The names of 0.3.0, which are read until 0.5.0.
    playbook(lab, ["deploy"], ON_HOST, f"--extra-vars=kubernetes_deploy_directory={tmp_path}/objects")
    files = sorted((tmp_path / "objects").iterdir())
    assert {path.name.split("-")[0] for path in files} == {"00", "configmap", "deployment", "poddisruptionbudget", "serviceaccount"}
    # The namespace is left out, because it existed before the role ran.
    text = "---\n".join(path.read_text(encoding="utf-8") for path in files[1:])
    assert cluster.kubectl("diff --server-side --force-conflicts --field-manager=serverfarm.ltsp --filename=-", text) == ""


def deployment(cluster: Cluster) -> tuple[int, list[str]]:
    """The generation of the Deployment, and its pods: they show every change."""
    return cluster.get(f"{NAMESPACE} deployment ltsp-server")["metadata"]["generation"], [pod["metadata"]["uid"] for pod in pods(cluster)]


@pytest.fixture(scope="module")
def stranger(second: Second, lab: pathlib.Path, cluster: Cluster) -> t.Iterator[str]:
    """The kubeconfig of an account that may do nothing."""
    cluster.kubectl("create serviceaccount e2e-stranger")
    config = yaml.safe_load((lab / "kubeconfig").read_text(encoding="utf-8"))
    config["users"][0]["user"] = {"token": cluster.kubectl("create token e2e-stranger")}
    path = lab / "kubeconfig-stranger"
    path.write_text(json.dumps(config), encoding="utf-8")
    yield str(path)
    path.unlink()
    cluster.kubectl("delete serviceaccount e2e-stranger")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("kubernetes_server_exposure", "pipework", "kubernetes_server_exposure must be one of: host_network, load_balancer, got: pipework"),
        ("kubernetes_server_image", "10.77.0.1:5000/ltsp:latest", "does not say one content: write REPOSITORY@sha256:"),
        ("kubernetes_server_node_selector", {"e2e.example/none": "here"}, "it has no label e2e.example/none"),
        ("kubernetes_server_kubeconfig", "stranger", "The account of this kubeconfig lacks rights in the namespace ltsp-server"),
        ("kubernetes_server_context", "nowhere", "Check kubernetes_server_kubeconfig and kubernetes_server_context."),
    ],
)
def test_what_cannot_work_is_refused_and_changes_nothing(
    lab: pathlib.Path, cluster: Cluster, stranger: str, variable: str, value: object, message: str
) -> None:
    before = deployment(cluster)
    variables = json.dumps({variable: stranger if value == "stranger" else value})
    output = playbook(lab, ["kubernetes_server"], ON_HOST, f"--extra-vars={variables}", succeeds=False)
    assert message in re.sub(r"\s+", " ", output), output
    assert deployment(cluster) == before
