# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on ltsp-join and on the cluster of a running lab, by root on a node and with the boot server's credential.

docs/security.md says what is to be expected.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import shlex
import subprocess
import typing as t

import pytest
from cluster import GROUP, KUBELET_SIGNER, Cluster, value

from ltsp_lab.cluster import Object
from ltsp_lab.remote import Remote, patiently

API = "https://10.77.0.2:6443"
# kubeadm's own group of tokens. Its clusters approve a certificate of any node name for it.
KUBEADM_GROUP = "system:bootstrappers:kubeadm:default-node-token"
FOREIGN = "10.77.0.150"
ADDRESSES = {"node1": "10.77.0.11", "node2": "10.77.0.12"}


@dataclasses.dataclass
class Answer:
    """What ltsp-join said."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def credential(self) -> Object:
        """The JoinConfiguration of the answer."""
        assert self.status == 200, self.text
        found: Object = json.loads(self.text)
        return found

    @property
    def token(self) -> str:
        return t.cast(str, self.credential["discovery"]["bootstrapToken"]["token"])


def ask(machine: Remote, options: str = "", port: str = "512-1023", version: str = "v1.36.3") -> Answer:
    """Asks as a booting node does."""
    done = machine.run(
        "set -e; config=http://10.77.0.1/config; curl -sSf -o /run/e2e-join.crt $config/join.crt; "
        f"curl -sS --max-time 30 --include --cacert /run/e2e-join.crt --local-port {port} --request POST --get {options}"
        f" --data-urlencode kubeadm={version} --data-urlencode cri_socket=unix:///run/containerd/containerd.sock $(curl -sSf $config/join.url)"
    )
    head, _blank, text = done.replace("\r", "").partition("\n\n")
    first, *lines = head.splitlines()
    return Answer(int(first.split()[1]), {key.lower(): value for key, value in (line.split(": ", 1) for line in lines)}, text)


def refused(answer: Answer, status: int, *words: str) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(answer.text.splitlines()) == 1
    for word in words:
        assert word in answer.text


def status_with(node: Remote, token: str) -> int:
    """The API server's answer to the question for the user's own name."""
    review = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    return int(
        node.run(
            "curl -sS -o /dev/null -w '%{http_code}' --cacert /etc/kubernetes/pki/ca.crt -H 'Content-Type: application/json'"
            f" -H 'Authorization: Bearer {token}' --data {shlex.quote(review)} {API}/apis/authentication.k8s.io/v1/selfsubjectreviews"
        )
    )


def assert_dies(node: Remote, token: str) -> None:
    def dead() -> None:
        assert status_with(node, token) == 401

    patiently(dead, 15, 1)


@pytest.fixture(scope="module")
def booting(cluster: Cluster, nodes: dict[str, Remote]) -> t.Iterator[Remote]:
    """node2 with its kubelet stopped in good order: to the boot server and to the cluster it is a node that boots."""
    node = nodes["node2"]
    cluster.ready(node)
    node.run("systemctl stop kubernetes-leave kubelet")
    yield node
    node.run("systemctl start kubernetes-leave kubelet")
    cluster.ready(node)


@pytest.fixture
def as_node2(nodes: dict[str, Remote]) -> t.Iterator[Remote]:
    """node1 with the address of node2, too, and the neighbours believe it."""
    thief, victim, address = nodes["node1"], nodes["node2"], ADDRESSES["node2"]
    claim = f"busybox arping -q -U -c 2 -I $DEVICE -s {address} {address}"
    # The boot server accepts the claim at once only if it has the address in its neighbour table. Otherwise it asks, and takes the first answer.
    victim.run("curl -sSf http://10.77.0.1/config/join.url")
    thief.run(f". /run/ltsp/env && ip address add {address}/32 dev $DEVICE && {claim}")
    yield thief
    thief.run(f". /run/ltsp/env && ip address del {address}/32 dev $DEVICE")
    subprocess.run(["ip", "-n", os.environ["LTSP_LAB_NAME"], "neighbour", "flush", "to", address], check=True)
    victim.run(f". /run/ltsp/env && {claim}")


def test_a_node_that_is_up_gets_none(cluster: Cluster, nodes: dict[str, Remote]) -> None:
    cluster.ready(nodes["node2"])
    answer = ask(nodes["node2"])
    refused(answer, 409, "node2")
    assert 0 < int(answer.headers["retry-after"]) <= 40


def test_who_is_not_root_gets_none(nodes: dict[str, Remote]) -> None:
    refused(ask(nodes["node2"], port="20000-30000"), 403, "port")


def test_an_address_that_is_no_nodes_gets_none(nodes: dict[str, Remote]) -> None:
    node = nodes["node2"]
    node.run(f". /run/ltsp/env && ip address replace {FOREIGN}/32 dev $DEVICE")
    try:
        refused(ask(node, f"--interface {FOREIGN}"), 403, FOREIGN)
    finally:
        node.run(f". /run/ltsp/env && ip address del {FOREIGN}/32 dev $DEVICE")


def test_another_node_with_the_address_of_the_node_gets_none(as_node2: Remote) -> None:
    refused(ask(as_node2, f"--interface {ADDRESSES['node2']}"), 403, "52:54:00:77:00:01")


@pytest.mark.parametrize("version", ["v1.36", "1.36.3;id", "v0.0.0"])
def test_a_version_that_is_none_gets_none(booting: Remote, version: str) -> None:
    refused(ask(booting, version=shlex.quote(version)), 400)


def test_a_node_gets_its_own_whatever_name_it_asks_for(booting: Remote, cluster: Cluster) -> None:
    answer = ask(booting, "--data-urlencode name=node1 --header 'X-Forwarded-For: 10.77.0.11'")
    assert answer.credential["nodeRegistration"]["name"] == "node2"
    secret = cluster.get(f"--namespace=kube-system secret bootstrap-token-{answer.token.split('.')[0]}")
    assert GROUP in value(secret, "auth-extra-groups").split(",")
    assert KUBEADM_GROUP not in value(secret, "auth-extra-groups")
    life = datetime.datetime.fromisoformat(value(secret, "expiration").replace("Z", "+00:00")) - datetime.datetime.now(datetime.timezone.utc)
    assert 0 < life.total_seconds() <= 600


def test_who_asks_twice_has_one(booting: Remote, cluster: Cluster) -> None:
    former = ask(booting).token
    assert status_with(booting, former) == 201
    token = ask(booting).token
    assert token.split(".")[0] == former.split(".")[0]
    assert_dies(booting, former)
    assert status_with(booting, token) == 201
    assert cluster.credentials() == [token.split(".")[0]]


def request_certificate(node: Remote, token: str, subject: str, name: str, options: str = "") -> None:
    """Asks for a kubelet's certificate."""
    made = node.run(
        f"openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /run/e2e-key -subj {subject} {options} 2>/dev/null | base64 --wrap=0"
    )
    wanted = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {"request": made, "signerName": KUBELET_SIGNER, "usages": ["digital signature", "client auth"]},
    }
    node.run(
        f"kubectl --kubeconfig=/dev/null --server={API} --certificate-authority=/etc/kubernetes/pki/ca.crt --token={token} create --filename=-",
        json.dumps(wanted),
    )


def decision(cluster: Cluster, name: str) -> Object:
    """What became of a request."""

    def decided() -> Object:
        request = cluster.get(f"certificatesigningrequest {name}")
        assert request["status"].get("conditions"), f"{name} is pending"
        return request

    return patiently(decided, 30)


@pytest.fixture
def token(booting: Remote, cluster: Cluster) -> str:
    cluster.kubectl("delete certificatesigningrequests --ignore-not-found e2e-request")
    return ask(booting).token


@pytest.mark.parametrize(
    ("subject", "options", "said"),
    [
        ("/O=system:nodes/CN=system:node:node1", "", "CN=system:node:node2 only"),
        ("/O=system:nodes/CN=system:node:cp-1", "", "CN=system:node:node2 only"),
        ("/O=system:masters/CN=system:node:node2", "", "CN=system:node:node2 only"),
        ("/O=system:nodes/O=system:masters/CN=system:node:node2", "", "CN=system:node:node2 only"),
        ("/O=system:nodes/CN=system:node:node2", "-addext subjectAltName=DNS:node1", "subject alternative names"),
    ],
    ids=["node1", "cp-1", "masters", "also-masters", "alternative-name"],
)
def test_a_certificate_of_another_name_is_denied(booting: Remote, cluster: Cluster, token: str, subject: str, options: str, said: str) -> None:
    request_certificate(booting, token, subject, "e2e-request", options)
    request = decision(cluster, "e2e-request")
    assert [found["type"] for found in request["status"]["conditions"]] == ["Denied"]
    assert said in request["status"]["conditions"][0]["message"]
    assert "certificate" not in request["status"]


def test_a_credential_is_good_for_one_certificate(booting: Remote, cluster: Cluster, token: str) -> None:
    request_certificate(booting, token, "/O=system:nodes/CN=system:node:node2", "e2e-request")
    request = decision(cluster, "e2e-request")
    assert [found["type"] for found in request["status"]["conditions"]] == ["Approved"]
    assert_dies(booting, token)
    assert cluster.credentials() == []


@pytest.fixture(scope="module")
def stolen(cluster: Cluster, server: Remote) -> t.Iterator[str]:
    """The credential of the boot server, on the machine that has kubectl."""
    path = "/run/e2e-stolen"
    cluster.machine.run(f"umask 077 && cat >{path}", server.run("cat /etc/ltsp-join/kubeconfig"))
    cluster.kubectl("--namespace=kube-system create secret generic e2e-secret --from-literal=key=value")
    yield path
    cluster.kubectl("--namespace=kube-system delete secret --ignore-not-found e2e-secret bootstrap-token-e2e000")
    cluster.machine.run(f"rm {path}")


def thwarted(cluster: Cluster, stolen: str, arguments: str, stdin: str = "") -> str:
    """The API server's answer to the boot server's credential."""
    done = cluster.machine.run(f"! kubectl --kubeconfig={stolen} {arguments} 2>&1", stdin)
    assert "ltsp-join" in done
    return done


def bootstrap_token(**data: str) -> str:
    """A Secret of the right type, by default as ltsp-join makes it."""
    expiration = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {
        "token-id": "e2e000",
        "token-secret": "0123456789abcdef",
        "expiration": expiration,
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": f"{GROUP},{GROUP}:e2e",
        **data,
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "bootstrap.kubernetes.io/token",
            "metadata": {"name": "bootstrap-token-e2e000", "namespace": "kube-system"},
            "stringData": {key: text for key, text in fields.items() if text},
        }
    )


def test_the_boot_servers_credential_makes_no_other_secret(cluster: Cluster, stolen: str) -> None:
    said = thwarted(cluster, stolen, "--namespace=kube-system create secret generic e2e-other --from-literal=key=value")
    assert "ValidatingAdmissionPolicy" in said


@pytest.mark.parametrize(
    "data",
    [
        {"auth-extra-groups": KUBEADM_GROUP},
        {"auth-extra-groups": f"{GROUP},{KUBEADM_GROUP}"},
        {"auth-extra-groups": f"{GROUP},{GROUP}:e2e,{KUBEADM_GROUP}"},
        {"auth-extra-groups": f"{GROUP},{GROUP}:e2,{KUBEADM_GROUP}"},
        {"auth-extra-groups": f"{GROUP},{GROUP}:e,{KUBEADM_GROUP}"},
        {"auth-extra-groups": ""},
        {"expiration": ""},
    ],
    ids=["kubeadms", "second", "third", "third-shifted", "third-shifted-again", "no-group", "for-ever"],
)
def test_the_boot_servers_credential_makes_no_other_token(cluster: Cluster, stolen: str, data: dict[str, str]) -> None:
    assert "ValidatingAdmissionPolicy" in thwarted(cluster, stolen, "create --filename=-", bootstrap_token(**data))


def test_the_policy_lets_the_right_token_through(cluster: Cluster, stolen: str) -> None:
    cluster.kubectl("create --filename=-", bootstrap_token(), kubeconfig=stolen)
    cluster.kubectl("--namespace=kube-system delete secret bootstrap-token-e2e000", kubeconfig=stolen)


def test_the_boot_servers_credential_deletes_no_other_secret(cluster: Cluster, stolen: str) -> None:
    assert "ValidatingAdmissionPolicy" in thwarted(cluster, stolen, "--namespace=kube-system delete secret e2e-secret")


@pytest.mark.parametrize(
    "arguments",
    [
        "--namespace=kube-system get secrets",
        "--namespace=kube-system get secret e2e-secret",
        "--namespace=default create secret generic e2e-other",
        "delete node node1",
        "--namespace=default get pods",
        "create clusterrolebinding e2e --clusterrole=cluster-admin --user=e2e",
    ],
)
def test_the_boot_servers_credential_is_good_for_nothing_else(cluster: Cluster, stolen: str, arguments: str) -> None:
    assert "is forbidden: User" in thwarted(cluster, stolen, arguments)
