# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a rollout, and the reasons why pods do not start."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import summary

Object = Mapping[str, t.Any]

_STARTING = ("ContainerCreating", "PodInitializing")
_LAST_LINES = 3
# Reasons of warnings about a pod that has a machine and no container yet.
_BEFORE_START = "(?!FailedScheduling|Unhealthy).*"
# Kubelet's second event about a container repeats the state of the container, and says no reason.
_REPEATED = r"Error: \w+"
# Remedies by messages of the container runtime. The first match counts.
_PULL_REMEDIES = (
    (r"not found|manifest unknown", "the registry has no such image: push it with the playbook serverfarm.ltsp.container, or correct kubernetes_server_image"),
    (r"x509|certificate", "the machine's container runtime has to trust the registry's certificate authority"),
    (
        r"unauthorized|forbidden|denied|no basic auth|401|403",
        "name a Secret of type kubernetes.io/dockerconfigjson in the same namespace in kubernetes_server_pull_secrets",
    ),
    (r"dial tcp|no such host|i/o timeout|refused|unreachable|server misbehaving", "the machine does not reach the registry: check name, network and port"),
)


def is_rolled_out(deployment: Object) -> bool:
    """Tell whether all pods are new and ready and the old ones have gone, as `kubectl rollout status` sees it."""
    if not deployment:
        return False
    status = deployment.get("status") or {}
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    wanted = deployment["spec"]["replicas"]
    return status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1) and counts == [wanted] * 3


def rollout_problems(deployment: Object, pods: Iterable[Object], events: Iterable[Object]) -> list[str]:
    """Give the reason of each pod that is not ready, or the reason why there is no pod."""
    warnings = _Warnings(events)
    existing = list(pods)
    problems: list[str] = []
    for pod in sorted(existing, key=_name):
        if pod["metadata"].get("deletionTimestamp"):
            problems.append(f"pod {_name(pod)}{_where(pod)} is still ending: it serves nodes until {pod['metadata']['deletionTimestamp']} at the latest")
        elif not _is_ready(pod):
            problems += [f"pod {_name(pod)}{_where(pod)}: {problem}" for problem in _pod_problems(pod, warnings)]
    failure = _condition(deployment, "ReplicaFailure")
    if failure.get("status") == "True":
        problems.insert(0, f"no pod can be made: {_forbidden(failure.get('message', ''))}")
    if not problems:
        problems.append(
            "all pods are ready, and the Deployment is not: " + (_condition(deployment, "Progressing").get("message") or "it says no reason")
            if existing
            else "the Deployment has no pods yet: is kube-controller-manager running?"
        )
    return problems


def rollout_report(deployment: Object, pods: Iterable[Object], events: Iterable[Object]) -> str:
    """Give the first reasons in one text."""
    return summary(rollout_problems(deployment, pods, events))


def _pod_problems(pod: Object, warnings: _Warnings) -> Iterator[str]:
    status = pod.get("status", {})
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield f"no machine takes it: {scheduled.get('message') or scheduled.get('reason', '')}"
        return
    if status.get("phase") == "Failed":
        yield f"it failed: {status.get('reason', '')} {status.get('message', '')}".rstrip()
        return
    warning = warnings.last(_name(pod), _BEFORE_START)
    problems = [problem for container in status.get("containerStatuses") or [] for problem in _container_problems(container, _name(pod), warnings)]
    if problems:
        yield from dict.fromkeys(problems)
    elif warning:
        yield warning
    elif not status.get("containerStatuses"):
        yield "kubelet has reported nothing about it yet: is the machine Ready?"
    else:
        yield "its containers are being made"


def _container_problems(container: Object, pod: str, warnings: _Warnings) -> Iterator[str]:
    name, state = container["name"], container.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if "Pull" in waiting.get("reason", "") or waiting.get("reason") == "InvalidImageName":
        message = waiting.get("message", "")
        # After the second failure the message only says that kubelet waits. The reason is in an event.
        if waiting["reason"] == "ImagePullBackOff" and "rror" not in message:
            message = warnings.last(pod, "Failed") or message
        remedy = next((remedy for words, remedy in _PULL_REMEDIES if re.search(words, message, re.IGNORECASE)), "")
        yield f"{waiting['reason']}: {message}{'; ' if remedy else ''}{remedy}"
    elif ended and (waiting or "terminated" in state):
        signal = f"signal {ended['signal']}" if ended.get("signal") else f"exit status {ended.get('exitCode')}"
        words = " / ".join((ended.get("message") or "").strip().splitlines()[-_LAST_LINES:])
        how = f"{signal} ({ended.get('reason', 'Error')}, {container.get('restartCount', 0)} restarts)"
        yield f"container {name} ended with {how}{': ' if words else ''}{words}"
    elif waiting and waiting.get("reason") not in _STARTING:
        yield f"container {name}: {waiting.get('reason', '')}: {waiting.get('message', '')}"
    elif "running" in state and not container.get("ready"):
        warning = warnings.last(pod, "Unhealthy")
        yield f"container {name} runs and is not ready{': ' if warning else ''}{warning}"


class _Warnings:
    """The newest warning of each object and reason."""

    def __init__(self, events: Iterable[Object]) -> None:
        self._newest: dict[tuple[str, str], tuple[str, str]] = {}
        for event in events:
            words = " ".join((event.get("message") or "").split())
            if event.get("type") == "Warning" and not re.fullmatch(_REPEATED, words):
                time = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""
                message = f"{event.get('reason', '')}: {words}"
                key = event["involvedObject"].get("name", ""), event.get("reason", "")
                self._newest[key] = max(self._newest.get(key, ("", "")), (time, message))

    def last(self, name: str, reasons: str) -> str:
        """Return the newest warning about the object with a matching reason, or ""."""
        fitting = [newest for (about, reason), newest in self._newest.items() if about == name and re.fullmatch(reasons, reason)]
        return max(fitting, default=("", ""))[1]


def _condition(thing: Object, kind: str) -> Object:
    return next((condition for condition in (thing.get("status") or {}).get("conditions") or [] if condition["type"] == kind), {})


def _is_ready(pod: Object) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def _name(thing: Object) -> str:
    name: str = thing["metadata"]["name"]
    return name


def _where(pod: Object) -> str:
    node = (pod.get("spec") or {}).get("nodeName")
    return f" on {node}" if node else ""


def _forbidden(message: str) -> str:
    if "violates PodSecurity" in message:
        return f"{message}: label the namespace with pod-security.kubernetes.io/enforce=restricted for load_balancer, =privileged for host_network"
    return message
