# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.rollout import is_rolled_out, rollout_problems, rollout_report

NAME = "ltsp-server-5d7fdd4bdb-f248s"
DEPLOYMENT: dict[str, t.Any] = {"metadata": {"name": "ltsp-server"}, "status": {"conditions": []}}


def container(name: str = "http", ready: bool = False, restarts: int = 0, last: dict[str, t.Any] | None = None, **state: t.Any) -> dict[str, t.Any]:
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state, "lastState": last or {}}


def pod(*containers: dict[str, t.Any], name: str = NAME, ready: bool = False, node: str = "kube-1", **status: t.Any) -> dict[str, t.Any]:
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": str(ready)}]
    return {"metadata": {"name": name}, "spec": {"nodeName": node}, "status": {"conditions": conditions, "containerStatuses": list(containers), **status}}


def event(reason: str, message: str, time: str = "2026-11-21T07:00:00Z", about: str = NAME, kind: str = "Warning") -> dict[str, t.Any]:
    return {"metadata": {}, "type": kind, "reason": reason, "message": message, "lastTimestamp": time, "involvedObject": {"name": about}}


def said(*containers: dict[str, t.Any], events: t.Sequence[dict[str, t.Any]] = (), **status: t.Any) -> list[str]:
    return [problem.removeprefix(f"pod {NAME} on kube-1: ") for problem in rollout_problems(DEPLOYMENT, [pod(*containers, **status)], events)]


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("failed to resolve image: registry.example.org/ltsp@sha256:0: not found", "push it with the playbook serverfarm.ltsp.container"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "trust the registry's certificate authority"),
        ("failed to authorize: 401 Unauthorized", "kubernetes_server_pull_secrets"),
        ("dial tcp 10.9.0.2:5000: connect: connection refused", "the machine does not reach the registry"),
    ],
)
def test_an_image_that_does_not_come_is_said_once_with_its_remedy(message: str, remedy: str) -> None:
    waiting = {"reason": "ErrImagePull", "message": message}
    [problem] = said(container("tftp", waiting=waiting), container("http", waiting=waiting))
    assert problem.startswith(f"ErrImagePull: {message}; ")
    assert remedy in problem


def test_why_a_pull_failed_is_not_lost_while_kubelet_waits() -> None:
    events = [
        event("Failed", "Failed to pull image: x509: unknown authority", "2026-11-21T07:00:01Z"),
        event("Failed", "Failed to pull image: timeout", "2026-11-21T07:00:00Z"),
        event("Failed", "Error: ErrImagePull", "2026-11-21T07:00:01Z"),
        event("Failed", "Error: ImagePullBackOff", "2026-11-21T07:00:02Z"),
        event("FailedScheduling", "0/3 nodes are available", "2026-11-21T07:00:02Z"),
    ]
    [problem] = said(container(waiting={"reason": "ImagePullBackOff", "message": "Back-off pulling image"}), events=events)
    assert problem.startswith("ImagePullBackOff: Failed: Failed to pull image: x509: unknown authority; ") and "authority" in problem


def test_a_daemon_that_ends_is_quoted() -> None:
    words = "starting\nnginx: configuration\nnginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address in use)\nstill could not bind()\n"
    last = {"terminated": {"exitCode": 1, "reason": "Error", "message": words}}
    [problem] = said(container(restarts=3, last=last, waiting={"reason": "CrashLoopBackOff", "message": "back-off 40s"}))
    expected = "container http ended with exit status 1 (Error, 3 restarts): nginx: configuration / nginx: [emerg] bind() to 0.0.0.0:80 failed"
    assert problem.startswith(expected)
    assert said(container(terminated={"exitCode": 137, "signal": 9, "reason": "OOMKilled"})) == ["container http ended with signal 9 (OOMKilled, 0 restarts)"]


def test_a_container_that_cannot_be_made_says_why() -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'configmap "ltsp-common" not found'}
    assert said(container(waiting=waiting)) == ['container http: CreateContainerConfigError: configmap "ltsp-common" not found']


def test_a_probe_that_fails_is_said() -> None:
    events = [event("Unhealthy", "Readiness probe failed: dial tcp 10.9.0.3:80: connect: connection refused"), event("FailedScheduling", "no", "2027")]
    [problem] = said(container(running={}), container("nbd", ready=True, running={}), events=events)
    assert problem == "container http runs and is not ready: Unhealthy: Readiness probe failed: dial tcp 10.9.0.3:80: connect: connection refused"


def test_before_there_is_a_container_the_events_say_what_is_missing() -> None:
    waiting = {"reason": "ContainerCreating"}
    events = [
        event("FailedMount", "MountVolume.SetUp failed\n for volume"),
        event("FailedScheduling", "no", "2027"),
        event("Pulled", "x", "2027", kind="Normal"),
    ]
    assert said(container(waiting=waiting), events=events) == ["FailedMount: MountVolume.SetUp failed for volume"]
    assert said(container(waiting=waiting)) == ["its containers are being made"]
    assert said() == ["kubelet has reported nothing about it yet: is the machine Ready?"]


def test_a_pod_without_a_machine_says_what_the_scheduler_says() -> None:
    message = "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports."
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]
    assert said(conditions=conditions) == [f"no machine takes it: {message}"]


def test_a_pod_that_was_refused_says_why() -> None:
    assert said(phase="Failed", reason="SysctlForbidden", message="forbidden sysctl") == ["it failed: SysctlForbidden forbidden sysctl"]


def test_a_pod_that_ends_is_told_from_one_that_does_not_start() -> None:
    ending = pod(container(ready=True, running={}), name="old", ready=True)
    ending["metadata"]["deletionTimestamp"] = "2026-11-21T07:30:00Z"
    assert rollout_problems(DEPLOYMENT, [ending], []) == ["pod old on kube-1 is still ending: it serves nodes until 2026-11-21T07:30:00Z at the latest"]


def deployment(kind: str, status: str, message: str) -> dict[str, t.Any]:
    return {"metadata": {"name": "ltsp-server"}, "status": {"conditions": [{"type": kind, "status": status, "message": message}]}}


def test_pods_that_are_not_even_made_are_explained() -> None:
    failed = deployment("ReplicaFailure", "True", 'pods "x" is forbidden: violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)')
    [problem] = rollout_problems(failed, [], [])
    assert "no pod can be made: pods" in problem and problem.endswith(
        "pod-security.kubernetes.io/enforce=restricted for load_balancer, =privileged for host_network"
    )
    assert rollout_problems(deployment("ReplicaFailure", "True", "exceeded quota"), [], []) == ["no pod can be made: exceeded quota"]
    assert rollout_problems(DEPLOYMENT, [], []) == ["the Deployment has no pods yet: is kube-controller-manager running?"]


def test_ready_pods_of_a_deployment_that_is_not_are_no_riddle() -> None:
    waiting = deployment("Progressing", "True", 'ReplicaSet "x" is progressing.')
    assert rollout_problems(waiting, [pod(ready=True)], []) == ['all pods are ready, and the Deployment is not: ReplicaSet "x" is progressing.']


def test_the_report_is_one_text() -> None:
    assert rollout_report(DEPLOYMENT, [pod(name="b"), pod(name="a")], []).startswith(
        "pod a on kube-1: kubelet has reported nothing about it yet: is the machine Ready?; pod b"
    )


ROLLED_OUT: dict[str, t.Any] = {
    "metadata": {"name": "ltsp-server", "generation": 3},
    "spec": {"replicas": 2},
    "status": {"observedGeneration": 3, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2},
}


def test_a_deployment_is_rolled_out_when_its_pods_are_new_and_ready_and_no_others_are_left() -> None:
    assert is_rolled_out(ROLLED_OUT)
    assert is_rolled_out({**ROLLED_OUT, "status": {**ROLLED_OUT["status"], "observedGeneration": 4}})


@pytest.mark.parametrize("change", [{"observedGeneration": 2}, {"updatedReplicas": 1}, {"replicas": 3}, {"availableReplicas": 1}])
def test_a_deployment_is_not_rolled_out_before(change: dict[str, int]) -> None:
    assert not is_rolled_out({**ROLLED_OUT, "status": {**ROLLED_OUT["status"], **change}})


@pytest.mark.parametrize("deployment", [{}, {**ROLLED_OUT, "status": {}}, {"metadata": {}, "spec": {"replicas": 1}, "status": None}])
def test_a_deployment_without_a_status_is_not_rolled_out(deployment: dict[str, t.Any]) -> None:
    assert not is_rolled_out(deployment)
