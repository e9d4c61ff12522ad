# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes cluster of the tests, and what it knows of credentials."""

from __future__ import annotations

import base64

from ltsp_lab import cluster
from ltsp_lab.cluster import Object

GROUP = "system:bootstrappers:ltsp"
KUBELET_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"


def value(secret: Object, key: str) -> str:
    return base64.b64decode(secret["data"].get(key, "")).decode()


class Cluster(cluster.Cluster):
    """The cluster as its administrator has it."""

    def requesters(self) -> list[str]:
        """The requesters of the kubelets' certificates, one for each request that the cluster still has."""
        requests = self.get("certificatesigningrequests")["items"]
        return sorted(request["spec"]["username"] for request in requests if request["spec"]["signerName"] == KUBELET_SIGNER)

    def credentials(self) -> list[str]:
        """The ids of the bootstrap tokens that the boot servers gave out and that still work."""
        secrets = self.get("--namespace=kube-system secrets --field-selector=type=bootstrap.kubernetes.io/token")["items"]
        return sorted(value(secret, "token-id") for secret in secrets if GROUP in value(secret, "auth-extra-groups").split(","))
