# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes cluster of a lab."""

from __future__ import annotations

import base64
import json
import typing as t

from machines import Machine, patiently

GROUP = "system:bootstrappers:ltsp"
KUBELET_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
Object = dict[str, t.Any]


def condition(described: Object, kind: str) -> Object:
    """One of the conditions of an object, empty while it is not known."""
    return next((found for found in described["status"].get("conditions", []) if found["type"] == kind), {})


def value(secret: Object, key: str) -> str:
    return base64.b64decode(secret["data"].get(key, "")).decode()


class Cluster:
    """The cluster as its administrator has it on the control plane's machine."""

    def __init__(self, machine: Machine) -> None:
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

    def ready(self, node: Machine, seconds: float = 300) -> Object:
        """The Node of a machine, once pods may run on it and it is Ready in the boot that the machine is in.

        A Node stays Ready for a while when its machine is gone, and the taints of a Node that was not Ready stay for a while when it is.
        """
        boot = node.boot()

        def described() -> Object:
            found = self.get(f"node {node.name}")
            assert found["status"].get("nodeInfo", {}).get("bootID") == boot, f"{node.name} has not joined in this boot"
            assert condition(found, "Ready").get("status") == "True", condition(found, "Ready")
            refusing = [taint["key"] for taint in found["spec"].get("taints", []) if taint["key"].startswith("node.kubernetes.io/")]
            assert not refusing, f"{node.name} is Ready and still has the taints {refusing}"
            return found

        return patiently(described, seconds)

    def requesters(self) -> list[str]:
        """Who asked for the kubelets' certificates that the cluster still knows of, once for each request."""
        requests = self.get("certificatesigningrequests")["items"]
        return sorted(request["spec"]["username"] for request in requests if request["spec"]["signerName"] == KUBELET_SIGNER)

    def credentials(self) -> list[str]:
        """The ids of the bootstrap tokens that the boot servers gave out and that still work."""
        secrets = self.get("--namespace=kube-system secrets --field-selector=type=bootstrap.kubernetes.io/token")["items"]
        return sorted(value(secret, "token-id") for secret in secrets if GROUP in value(secret, "auth-extra-groups").split(","))
