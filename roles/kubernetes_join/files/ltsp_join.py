# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a booting node a credential to join Kubernetes, for a few minutes, for one certificate and in its own name."""

from __future__ import annotations

import base64
import binascii
import collections
import dataclasses
import datetime
import email.utils
import hashlib
import http
import http.server
import json
import logging
import math
import pathlib
import re
import secrets
import socket
import ssl
import string
import sys
import threading
import time
import typing as t
import urllib.parse
from collections.abc import Iterable, Mapping

import kubernetes
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

Json = dict[str, t.Any]

PATH = "/v1/join"
GROUP = "system:bootstrappers:ltsp"
MANAGED = "serverfarm.ltsp/managed"
SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"

DIGITS = string.digits + string.ascii_lowercase

DISCOVERY_TIMEOUT = "1m0s"
CLIENT_SECONDS = 10
CLIENTS = 256
CLIENTS_OF_ONE_ADDRESS = 4
API_SECONDS = (3, 10)
API_AWAY_SECONDS = 10
REQUESTS_ARE_FRESH_SECONDS = 5
FORGOTTEN_SECONDS = 30
SAME_MESSAGE_SECONDS = 300

log = logging.getLogger("ltsp-join")


class Refused(Exception):
    """The node gets no credential; the message is for its console."""

    def __init__(self, status: http.HTTPStatus, message: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ApiError(Exception):
    """A request to the Kubernetes API failed; the status is 0 without an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings that the role writes to config.json."""

    port: int
    endpoint: str
    ca_hashes: list[str]
    token_ttl: int


@dataclasses.dataclass(frozen=True)
class Node:
    """The data of one node in the inventory."""

    name: str
    macs: list[str]
    labels: dict[str, str]
    taints: list[dict[str, str]]
    kubelet_args: dict[str, str]


@dataclasses.dataclass
class Credential:
    """A bootstrap token that was handed out, without its secret.

    It is spent when its certificate is approved, and withdrawn when the certificate is issued and the token removed.
    """

    node: str
    token_id: str
    group: str
    expires: float
    spent: bool = False
    withdrawn: bool = False


def read_nodes(text: str) -> dict[str, Node]:
    """Return the nodes by address."""
    return {address: Node(**node) for address, node in json.loads(text).items()}


def token_ids(names: Iterable[str]) -> dict[str, str]:
    """Return the token id of each node: the same on all boot servers, and after a restart."""
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names):
        attempt = 0
        while (token_id := _token_id(f"{name}\n{attempt}")) in taken:
            attempt += 1
        taken.add(token_id)
        ids[name] = token_id
    return ids


def _token_id(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return "".join(DIGITS[number // 36**place % 36] for place in range(6))


def parse_version(text: str) -> tuple[int, int]:
    """Return major and minor number of a version as Kubernetes writes it."""
    match = re.fullmatch(r"v(\d{1,3})\.(\d{1,3})\.\d{1,3}([-+][0-9A-Za-z.+-]{1,64})?", text, re.ASCII)
    if not match:
        raise ValueError(f"{text[:80]!r} is not a version of Kubernetes, as v1.36.3")
    return int(match[1]), int(match[2])


def check_versions(node: tuple[int, int], control_plane: tuple[int, int]) -> None:
    """Refuse a node whose kubelet or kubeadm cannot work with the control plane, as _kubernetes/node.py judges when the image is built."""
    versions = f"the node has Kubernetes {node[0]}.{node[1]}, the control plane {control_plane[0]}.{control_plane[1]}"
    older = 3 if node >= (1, 25) else 2
    problem = ""
    if node > control_plane:
        problem = "a kubelet may not be newer than the control plane: upgrade that first, or build an older image"
    elif node[0] != control_plane[0] or control_plane[1] - node[1] > older:
        problem = f"a kubelet may be at most {older} minor versions older: build a newer image"
    elif node < (1, 31) <= control_plane:
        problem = "kubeadm before 1.31 cannot read the cluster's configuration: build an image with 1.31 or newer"
    if problem:
        raise Refused(http.HTTPStatus.BAD_REQUEST, f"{versions}: {problem}")


def check_socket(text: str) -> str:
    """Return the container runtime's socket."""
    if not re.fullmatch(r"(unix://)?/[A-Za-z0-9/_.-]{1,200}", text, re.ASCII):
        raise Refused(http.HTTPStatus.BAD_REQUEST, f"cri_socket={text[:80]!r} is not a socket, as unix:///run/containerd/containerd.sock")
    return text


def neighbour(table: str, address: str) -> str | None:
    """Return the MAC address that the kernel's neighbour table (/proc/net/arp) has for an address on the same network."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 4 and fields[0] == address and int(fields[2], 16) & 2:
            return fields[3].lower()
    return None


def lease_seconds(lease: Json, now: datetime.datetime) -> int:
    """Return how long a kubelet counts as alive. The API server's time of the renewal counts, because the clock of the node may be wrong."""
    entries = lease["metadata"].get("managedFields") or []
    renewals = [entry["time"] for entry in entries if "f:renewTime" in entry.get("fieldsV1", {}).get("f:spec", {}) and entry.get("time")]
    renewed = max(map(_time, [lease["metadata"]["creationTimestamp"], *renewals]))
    seconds = lease.get("spec", {}).get("leaseDurationSeconds") or 40
    return max(0, math.ceil((renewed - now).total_seconds() + seconds))


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def _rfc3339(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_node(node: Node) -> Json:
    """Return the Node object of a node that Kubernetes does not know yet."""
    metadata = {"name": node.name, "labels": node.labels, "annotations": {MANAGED: _managed(node)}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": node.taints}}


def node_changes(current: Json, node: Node) -> Json | None:
    """Return the patch after which the inventory's labels and taints are on the Node, and those of earlier inventories are not."""
    metadata = current["metadata"]
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    taints = current.get("spec", {}).get("taints") or []
    former = _former(annotations.get(MANAGED, ""))

    changed_labels: dict[str, str | None] = {key: value for key, value in node.labels.items() if labels.get(key) != value}
    changed_labels.update({key: None for key, value in former["labels"].items() if key not in node.labels and labels.get(key) == value})
    own = {_taint_key(taint) for taint in node.taints}
    # The NoExecute taint of an eviction also has timeAdded. Compare only the fields that the inventory has.
    kept = [taint for taint in taints if _taint_key(taint) not in own and _plain(taint) not in former["taints"]]
    kept += [next((old for old in taints if _plain(old) == _plain(new)), new) for new in node.taints]

    patch: Json = {"metadata": {}}
    if changed_labels:
        patch["metadata"]["labels"] = changed_labels
    if annotations.get(MANAGED) != _managed(node):
        patch["metadata"]["annotations"] = {MANAGED: _managed(node)}
    if sorted(map(json.dumps, kept)) != sorted(map(json.dumps, taints)):
        patch["spec"] = {"taints": kept}
    if patch == {"metadata": {}}:
        return None
    patch["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    return patch


def _taint_key(taint: Json) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def _plain(taint: Json) -> dict[str, str]:
    return {"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]}


def _managed(node: Node) -> str:
    return json.dumps({"labels": node.labels, "taints": node.taints}, sort_keys=True)


def _former(annotation: str) -> Json:
    try:
        former = json.loads(annotation)
        return {"labels": dict(former["labels"]), "taints": list(former["taints"])}
    except (ValueError, TypeError, KeyError):
        return {"labels": {}, "taints": []}


def is_ready(node: Json) -> bool:
    """Return whether the Node is still Ready. kubeadm would refuse the name of such a Node."""
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in node.get("status", {}).get("conditions") or [])


def not_ready(now: datetime.datetime) -> Json:
    """Return the patch of a Node's status after which it is not ready."""
    reason = {"reason": "NodeBooting", "message": "ltsp-join gave this node a credential to join again."}
    times = {"lastHeartbeatTime": _rfc3339(now), "lastTransitionTime": _rfc3339(now)}
    return {"status": {"conditions": [{"type": "Ready", "status": "Unknown", **reason, **times}]}}


def token_secret(credential: Credential, secret: str, expires: datetime.datetime) -> Json:
    """Return the Secret that is the bootstrap token."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{credential.token_id}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "description": f"ltsp-join: for the node {credential.node}, once",
            "token-id": credential.token_id,
            "token-secret": secret,
            "expiration": _rfc3339(expires),
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
            "auth-extra-groups": f"{GROUP},{credential.group}",
        },
    }


def join_configuration(node: Node, settings: Settings, token: str, kubeadm: tuple[int, int], cri_socket: str) -> Json:
    """Return the JoinConfiguration in the newest version that this kubeadm knows."""
    arguments: t.Any = node.kubelet_args
    discovery: Json = {"bootstrapToken": {"apiServerEndpoint": settings.endpoint, "token": token, "caCertHashes": settings.ca_hashes}}
    version = "v1beta2" if kubeadm < (1, 22) else "v1beta3" if kubeadm < (1, 31) else "v1beta4"
    # The node itself asks again and shows the reason. kubeadm would retry for five minutes without a message.
    timeouts: Json = {}
    if version == "v1beta4":
        arguments = [{"name": name, "value": value} for name, value in sorted(node.kubelet_args.items())]
        timeouts = {"timeouts": {"discovery": DISCOVERY_TIMEOUT}}
    else:
        discovery["timeout"] = DISCOVERY_TIMEOUT
    return {
        "apiVersion": f"kubeadm.k8s.io/{version}",
        "kind": "JoinConfiguration",
        "discovery": discovery,
        **timeouts,
        # The taints are on the Node already.
        "nodeRegistration": {"name": node.name, "criSocket": cri_socket, "kubeletExtraArgs": arguments, "taints": []},
    }


def ca_hashes(pem: bytes) -> list[str]:
    """Return kubeadm's pins of the certificates in a PEM file: SHA-256 of their public keys."""
    hashes = []
    for block in re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.DOTALL):
        key = x509.load_pem_x509_certificate(block).public_key()
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        hashes.append(f"sha256:{hashlib.sha256(der).hexdigest()}")
    return hashes


def request_problem(request: Json, credential: Credential) -> str | None:
    """Return the reason why a CertificateSigningRequest with this credential's token id is not signed."""
    spec = request["spec"]
    if credential.group not in spec.get("groups", []):
        return f"it came with an earlier credential of {credential.node}"
    if credential.spent:
        return f"the credential of {credential.node} was used already"
    if set(spec.get("usages", [])) not in ({"digital signature", "client auth"}, {"digital signature", "key encipherment", "client auth"}):
        return f"the usages {', '.join(spec.get('usages', []))} are not those of a kubelet's client certificate"
    try:
        csr = x509.load_der_x509_csr(_der(spec["request"]))
        subject = sorted((attribute.oid.dotted_string, attribute.value) for attribute in csr.subject)
        extensions = [extension.oid for extension in csr.extensions]
        signed = csr.is_signature_valid
    except Exception as error:  # the library has no common exception for malformed requests
        return f"its PKCS #10 request cannot be read: {error!r:.200}"
    wanted = f"system:node:{credential.node}"
    if subject != sorted([(NameOID.ORGANIZATION_NAME.dotted_string, "system:nodes"), (NameOID.COMMON_NAME.dotted_string, wanted)]):
        return f"its subject is {csr.subject.rfc4514_string()!r:.200}, and the credential is for O=system:nodes, CN={wanted} only"
    if x509.SubjectAlternativeName.oid in extensions:
        return "it asks for subject alternative names"
    return None if signed else "its signature is wrong"


def _der(request: str) -> bytes:
    # One PEM block and nothing else, so that no other reader can find another request in it.
    pem = base64.b64decode(request, validate=True)
    match = re.fullmatch(rb"-----BEGIN CERTIFICATE REQUEST-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE REQUEST-----\n*", pem)
    if not match:
        raise binascii.Error("not one PEM block CERTIFICATE REQUEST")
    return base64.b64decode(match[1].replace(b"\n", b""), validate=True)


class Api:
    """The Kubernetes API. Answers are plain JSON, because the library's own types refuse newer fields and values."""

    def __init__(self, kubeconfig: pathlib.Path) -> None:
        settings = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=settings)
        settings.retries = False
        settings.connection_pool_maxsize = CLIENTS
        self.ca = pathlib.Path(settings.ssl_ca_cert).read_bytes()
        self._client = kubernetes.client.ApiClient(settings)

    def __call__(
        self, method: str, path: str, body: Json | None = None, content_type: str = "application/json", **query: str
    ) -> tuple[Json, datetime.datetime]:
        """Return an answer and the API server's time."""
        try:
            answer, _status, headers = self._client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
                response_type="object",
                _request_timeout=API_SECONDS,
            )
            return answer, email.utils.parsedate_to_datetime(headers["Date"])
        except kubernetes.client.ApiException as error:
            raise ApiError(error.status or 0, _api_message(error)) from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError, TypeError, KeyError) as error:
            # Addresses in memory would make each message different.
            raise ApiError(0, f"{type(error).__name__}: {re.sub('<[^<>]+>: ', '', str(error))}") from error

    def find(self, path: str) -> Json | None:
        """Return an object, or None."""
        try:
            return self("GET", path)[0]
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise
            return None

    def delete(self, path: str) -> None:
        """Remove an object, if it is there."""
        try:
            self("DELETE", path)
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise


def _api_message(error: t.Any) -> str:
    try:
        return f"{error.status}: {json.loads(error.body)['message']}"
    except (ValueError, TypeError, KeyError):
        return f"{error.status}: {error.reason}"


class Inventory:
    """nodes.json, read again when it changed."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._state: tuple[int, int, int] | None = None
        self._nodes: dict[str, Node] = {}
        self._ids: dict[str, str] = {}
        self._refresh()

    def find(self, address: str) -> tuple[Node, str] | None:
        """Return the node that has an address, and its token id."""
        with self._lock:
            self._refresh()
            node = self._nodes.get(address)
            return (node, self._ids[node.name]) if node else None

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            state = (status.st_mtime_ns, status.st_ino, status.st_size)
            if state != self._state:
                self._state = state
                nodes = read_nodes(self._path.read_text(encoding="utf-8"))
                self._ids = token_ids(node.name for node in nodes.values())
                self._nodes = nodes
                log.info("%s has %d nodes", self._path, len(nodes))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.error("%s cannot be read, going on with %d nodes: %s", self._path, len(self._nodes), error)


class Credentials:
    """The credentials that are out, at most one for each node, and the requests for certificates that come with them."""

    def __init__(self, api: Api, ttl: int) -> None:
        self._api = api
        self._ttl = ttl
        self._lock = threading.Lock()
        self._live: dict[str, Credential] = {}
        self._requests_lock = threading.Lock()
        self._requests: list[Json] = []
        self._requests_from = -math.inf

    def mint(self, node: Node, token_id: str, now: datetime.datetime) -> str:
        """Revoke the node's former credential and return a new bootstrap token."""
        with self._lock:
            self._live.pop(token_id, None)
        credential = Credential(node.name, token_id, f"{GROUP}:{node.name}:{secrets.token_hex(8)}", time.monotonic() + self._ttl)
        self._api.delete(_secret_path(credential))
        self._forget_requests(node, token_id)
        secret = "".join(secrets.choice(DIGITS) for _place in range(16))
        self._api("POST", "/api/v1/namespaces/kube-system/secrets", token_secret(credential, secret, now + datetime.timedelta(seconds=self._ttl)))
        with self._lock:
            self._live[token_id] = credential
        return f"{token_id}.{secret}"

    def _forget_requests(self, node: Node, token_id: str) -> None:
        """Remove the requests of former boots of this node."""
        former = ((f"system:bootstrap:{token_id}", GROUP), (f"system:node:{node.name}", "system:nodes"))
        for request in self._list_requests(REQUESTS_ARE_FRESH_SECONDS):
            if any(request["spec"].get("username") == user and group in request["spec"].get("groups", []) for user, group in former):
                self._api.delete(f"{REQUESTS}/{request['metadata']['name']}")

    def _list_requests(self, age: float) -> list[Json]:
        with self._requests_lock:
            if time.monotonic() - self._requests_from > age:
                self._requests = self._api("GET", REQUESTS, fieldSelector=f"spec.signerName={SIGNER}")[0]["items"]
                self._requests_from = time.monotonic()
            return self._requests

    def answer_requests(self) -> None:
        """Approve or deny requests with a live credential. Other boot servers answer all other requests."""
        with self._lock:
            self._live = {token_id: credential for token_id, credential in self._live.items() if credential.expires > time.monotonic()}
            live = dict(self._live)
        if not live:
            return
        requests = []
        for request in self._list_requests(0):
            credential = live.get(request["spec"].get("username", "").removeprefix("system:bootstrap:"))
            if credential:
                requests.append((request, credential))
        for request, credential in requests:
            self._withdraw_used(request, credential)
        for request, credential in requests:
            if not _conditions(request):
                self._answer(request, credential)

    def _withdraw_used(self, request: Json, credential: Credential) -> None:
        """Remove the token of an issued certificate. Until then kubelet needs the token to fetch the certificate."""
        if "Approved" not in _conditions(request) or credential.group not in request["spec"].get("groups", []):
            return
        credential.spent = True
        if not credential.withdrawn and (request["status"].get("certificate") or "Failed" in _conditions(request)):
            self._api.delete(_secret_path(credential))
            credential.withdrawn = True
            # The API server caches the token for some seconds: requests with it are denied.
            credential.expires = time.monotonic() + FORGOTTEN_SECONDS

    def _answer(self, request: Json, credential: Credential) -> None:
        problem = request_problem(request, credential)
        try:
            self._decide(request, problem)
        except ApiError as error:
            # Another client has decided about the request or removed it.
            if error.status not in (http.HTTPStatus.CONFLICT, http.HTTPStatus.NOT_FOUND):
                raise
            return
        if problem is None:
            credential.spent = True
            log.info("%s: certificate approved (%s)", credential.node, request["metadata"]["name"])
        else:
            log.warning("%s: certificate denied (%s): %s", credential.node, request["metadata"]["name"], problem)

    def _decide(self, request: Json, problem: str | None) -> None:
        condition = {
            "type": "Denied" if problem else "Approved",
            "status": "True",
            "reason": "LtspJoin",
            "message": f"ltsp-join: {problem or 'the request is for the node that its credential was made for'}",
        }
        decided = {**request, "status": {**request.get("status", {}), "conditions": [condition]}}
        self._api("PUT", f"{REQUESTS}/{request['metadata']['name']}/approval", decided)

    def serve(self) -> t.NoReturn:
        """Answer requests, for ever."""
        logged: tuple[str, float] = ("", -math.inf)
        pause = 1.0
        while True:
            begin = time.monotonic()
            try:
                self.answer_requests()
                pause = 1.0
            except Exception as error:  # whatever it is, the next node needs its certificate
                message = f"requests for certificates wait: {type(error).__name__}: {error}"
                if message != logged[0] or begin - logged[1] > SAME_MESSAGE_SECONDS:
                    log.error("%s", message)
                    logged = (message, begin)
                pause = min(pause * 2, 5.0)
            # The pause is at least as long as the last round, so that a long list does not load the API server.
            time.sleep(max(pause, time.monotonic() - begin))


def _conditions(request: Json) -> set[str]:
    return {condition["type"] for condition in request.get("status", {}).get("conditions") or []}


def _secret_path(credential: Credential) -> str:
    return f"/api/v1/namespaces/kube-system/secrets/bootstrap-token-{credential.token_id}"


class Join:
    """Decides who gets a credential."""

    def __init__(self, settings: Settings, api: Api, inventory: Inventory, credentials: Credentials) -> None:
        self._settings = settings
        self._api = api
        self._inventory = inventory
        self._credentials = credentials
        self._locks: collections.defaultdict[str, threading.Lock] = collections.defaultdict(threading.Lock)

    def answer(self, address: str, port: int, query: Mapping[str, str]) -> tuple[Node, Json]:
        """Return the node behind an address, and what it joins with."""
        found = self._inventory.find(address)
        if not found:
            raise Refused(http.HTTPStatus.FORBIDDEN, f"{address} is no node of the inventory: add it to ltsp_nodes and run the playbook")
        node, token_id = found
        self._check_sender(node, address, port)
        try:
            kubeadm = parse_version(query.get("kubeadm", ""))
        except ValueError as error:
            raise Refused(http.HTTPStatus.BAD_REQUEST, f"kubeadm: {error}") from error
        cri_socket = check_socket(query.get("cri_socket", ""))
        with self._locks[node.name]:
            try:
                token = self._mint(node, token_id, kubeadm)
            except ApiError as error:
                message = f"the Kubernetes API does not answer as it should, ask again later: {error}"
                raise Refused(http.HTTPStatus.SERVICE_UNAVAILABLE, message, API_AWAY_SECONDS) from error
        return node, join_configuration(node, self._settings, token, kubeadm, cri_socket)

    def _check_sender(self, node: Node, address: str, port: int) -> None:
        if port >= 1024:
            raise Refused(http.HTTPStatus.FORBIDDEN, f"{node.name}: source port {port} is not one of root's: ask from a port below 1024")
        mac = neighbour(pathlib.Path("/proc/net/arp").read_text(encoding="ascii"), address)
        if mac is not None and mac not in node.macs:
            raise Refused(http.HTTPStatus.FORBIDDEN, f"{node.name}: {address} is at {mac}, which is none of its ltsp_node_macs: {', '.join(node.macs)}")

    def _mint(self, node: Node, token_id: str, kubeadm: tuple[int, int]) -> str:
        version, now = self._api("GET", "/version")
        check_versions(kubeadm, parse_version(version["gitVersion"]))
        lease = self._api.find(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node.name}")
        alive = lease_seconds(lease, now) if lease else 0
        if alive:
            raise Refused(http.HTTPStatus.CONFLICT, f"{node.name}: its kubelet is alive, and only a node that boots may join: ask again in {alive} s", alive)
        for _attempt in range(3):
            try:
                self._reconcile(node, now)
                return self._credentials.mint(node, token_id, now)
            except ApiError as error:
                if error.status != http.HTTPStatus.CONFLICT:
                    raise
                conflict = error
        raise conflict

    def _reconcile(self, node: Node, now: datetime.datetime) -> None:
        path = f"/api/v1/nodes/{node.name}"
        current = self._api.find(path)
        if current is None:
            self._api("POST", "/api/v1/nodes", new_node(node))
            return
        if any(label in (current["metadata"].get("labels") or {}) for label in CONTROL_PLANE_LABELS):
            raise Refused(http.HTTPStatus.FORBIDDEN, f"{node.name}: the Node of this name is one of the control plane: give this machine another name")
        changes = node_changes(current, node)
        if changes:
            self._api("PATCH", path, changes, MERGE)
        if is_ready(current):
            self._api("PATCH", f"{path}/status", not_ready(now), STRATEGIC_MERGE)


class Server(http.server.ThreadingHTTPServer):
    """HTTPS for many nodes at once, of which each gets a few seconds."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext, join: Join) -> None:
        self._tls = tls
        self.join = join
        self._lock = threading.Lock()
        self._clients: collections.Counter[str] = collections.Counter()
        super().__init__(address, Handler)

    def get_request(self) -> tuple[socket.socket, t.Any]:
        """Accept a client; its own thread does the TLS handshake."""
        connection, address = super().get_request()
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def verify_request(self, request: t.Any, client_address: t.Any) -> bool:
        """Refuse a client with too many connections."""
        with self._lock:
            if self._clients.total() >= CLIENTS or self._clients[client_address[0]] >= CLIENTS_OF_ONE_ADDRESS:
                return False
            self._clients[client_address[0]] += 1
            return True

    def process_request_thread(self, request: t.Any, client_address: t.Any) -> None:
        """Serve a client, and count it out."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._clients -= collections.Counter([client_address[0]])

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """Log the error of a client in one line."""
        error = sys.exc_info()[1]
        log.warning("%s: %s: %.200s", client_address[0], type(error).__name__, error)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version = "ltsp-join"
    sys_version = ""
    timeout = CLIENT_SECONDS
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(message)s\n"

    def do_POST(self) -> None:
        """Answer with a JoinConfiguration, or with the reason in one line."""
        address, port = self.client_address[:2]
        url = urllib.parse.urlsplit(self.path)
        try:
            if url.path != PATH:
                raise Refused(http.HTTPStatus.NOT_FOUND, f"there is only {PATH}")
            query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True, max_num_fields=10))
            node, configuration = self.server.join.answer(address, port, query)
        except Refused as refused:
            log.warning("%s: refused, %d: %s", address, refused.status, refused)
            self._send(refused.status, "text/plain; charset=utf-8", f"{refused}", refused.retry_after)
        except Exception as error:
            log.exception("%s: %s", address, type(error).__name__)
            self._send(http.HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", "ltsp-join failed, its journal on the boot server says how")
        else:
            log.info("%s: %s has a credential to join with kubeadm %s", address, node.name, query["kubeadm"])
            self._send(http.HTTPStatus.OK, "application/json", json.dumps(configuration, indent=2))

    def _send(self, status: http.HTTPStatus, content_type: str, text: str, retry_after: int = 0) -> None:
        body = (" ".join(text.split()) if content_type.startswith("text/plain") else text).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if retry_after:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: t.Any) -> None:
        """Log nothing: each decision has its line already."""


def main() -> None:
    """Serve, with the files of the directory that is named first and the secrets of the second."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    directory, private = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    api = Api(private / "kubeconfig")
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    settings = Settings(**{**config, "ca_hashes": config["ca_hashes"] or ca_hashes(api.ca)})
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "tls.crt", private / "tls.key")
    credentials = Credentials(api, settings.token_ttl)
    threading.Thread(target=credentials.serve, name="approver", daemon=True).start()
    server = Server(("", settings.port), tls, Join(settings, api, Inventory(directory / "nodes.json"), credentials))
    log.info("listening on port %d for %s", settings.port, settings.endpoint)
    server.serve_forever()


if __name__ == "__main__":
    main()
