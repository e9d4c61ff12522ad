# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes cluster of a lab."""

from __future__ import annotations

import json
import time
import typing as t

from ltsp_lab.remote import Remote, RemoteError, patiently

Object = dict[str, t.Any]


def condition(described: Object, kind: str) -> Object:
    """One of the conditions of an object, empty while it is not known."""
    return next((found for found in described["status"].get("conditions", []) if found["type"] == kind), {})


def why_not_ready(described: Object, boot: str) -> str:
    """Why a Node cannot have pods in this boot of its machine; empty when it can.

    A Node stays Ready for a while when its machine is gone, and the taints of a Node that was not Ready stay for a while when it is.
    """
    if described["status"].get("nodeInfo", {}).get("bootID") != boot:
        return "it has not joined in this boot"
    if condition(described, "Ready").get("status") != "True":
        return f"it is not Ready: {condition(described, 'Ready').get('message', 'its kubelet has not said why')}"
    refusing = [taint["key"] for taint in described["spec"].get("taints", []) if taint["key"].startswith("node.kubernetes.io/")]
    return f"it is Ready and still has the taints {refusing}" if refusing else ""


class Cluster:
    """The cluster as its administrator has it on the control plane's machine."""

    def __init__(self, machine: Remote) -> None:
        self.machine = machine

    def kubectl(self, arguments: str, stdin: str = "", kubeconfig: str = "/etc/kubernetes/admin.conf") -> str:
        return self.machine.run(f"kubectl --kubeconfig={kubeconfig} {arguments}", stdin)

    def get(self, what: str) -> Object:
        found: Object = json.loads(self.kubectl(f"get --output=json {what}"))
        return found

    def create(self, wanted: Object) -> None:
        self.kubectl("create --filename=-", json.dumps(wanted))

    def names(self, what: str) -> list[str]:
        return sorted(item["metadata"]["name"] for item in self.get(what)["items"])

    def ready(self, node: Remote, seconds: float = 300) -> Object:
        """The Node of a machine, once pods may run on it in the boot that the machine is in."""
        limit = time.monotonic() + seconds
        # A machine that starts its pods may not answer for a while.
        boot = patiently(node.boot, seconds)

        def described() -> Object:
            found = self.get(f"node {node.name}")
            if reason := why_not_ready(found, boot):
                raise RemoteError(f"{node.name}: {reason}")
            return found

        return patiently(described, limit - time.monotonic())
