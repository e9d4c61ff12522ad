# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ltsp-join decides, against an API of a few lines. tests/e2e has the real one."""

from __future__ import annotations

import base64
import datetime
import importlib.util
import json
import pathlib
import sys
import time
import types
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROGRAM = pathlib.Path(__file__).parents[3] / "roles" / "kubernetes_join" / "files" / "ltsp_join.py"
VERSION_SKEW_CASES = json.loads((pathlib.Path(__file__).parents[1] / "version_skew_cases.json").read_text(encoding="utf-8"))
NOW = datetime.datetime(2026, 11, 21, 3, 0, 0, tzinfo=datetime.timezone.utc)
QUERY = {"kubeadm": "v1.36.3", "cri_socket": "unix:///run/containerd/containerd.sock"}
USAGES = ["digital signature", "client auth"]


def load() -> t.Any:
    for library in ("kubernetes", "urllib3"):
        if importlib.util.find_spec(library) is None:
            sys.modules[library] = types.ModuleType(library)
    specification = importlib.util.spec_from_file_location("ltsp_join", PROGRAM)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules["ltsp_join"] = module
    specification.loader.exec_module(module)
    return module


join = load()


def node(**values: t.Any) -> t.Any:
    return join.Node(**{"name": "node1", "macs": ["52:54:00:77:00:01"], "labels": {}, "taints": [], "kubelet_args": {}, **values})


def credential(**values: t.Any) -> t.Any:
    return join.Credential(**{"node": "node1", "token_id": "abc123", "group": f"{join.GROUP}:node1:00ff", "expires": time.monotonic() + 600, **values})


class Api:
    """A stand-in for the API: objects by path, a record of requests, and failures by request."""

    def __init__(self, **objects: t.Any) -> None:
        self.objects: dict[str, t.Any] = {"/version": {"gitVersion": "v1.36.3"}, **objects}
        self.asked: list[tuple[str, str]] = []
        self.sent: dict[str, t.Any] = {}
        self.failures: dict[tuple[str, str], list[int]] = {}

    def __call__(self, method: str, path: str, body: t.Any = None, content_type: str = "", **query: str) -> tuple[t.Any, datetime.datetime]:
        self.asked.append((method, path))
        if self.failures.get((method, path)):
            raise join.ApiError(self.failures[method, path].pop(0), "failed")
        if method == "GET" and path == join.REQUESTS:
            return {"items": [value for key, value in self.objects.items() if key.startswith(f"{path}/")]}, NOW
        if method in ("GET", "DELETE") and path not in self.objects:
            raise join.ApiError(404, "not found")
        if method == "DELETE":
            del self.objects[path]
        if method == "POST":
            self.objects[f"{path}/{body['metadata']['name']}"] = body
        if method == "PUT":
            self.objects[path.rpartition("/")[0]] = body
        if method != "GET":
            self.sent[path] = body
        return self.objects.get(path), NOW

    find = join.Api.find
    delete = join.Api.delete


# What comes in


@pytest.mark.parametrize(("text", "version"), [("v1.36.3", (1, 36)), ("v1.37.0-alpha.1", (1, 37)), ("v1.30.2+k3s1", (1, 30))])
def test_a_version_is_read(text: str, version: tuple[int, int]) -> None:
    assert join.parse_version(text) == version


@pytest.mark.parametrize("text", ["", "1.36.3", "v1.36", "v1.36.3;id", "v1.36.3\n", "v1.36.3 ", "v\u0661.36.3"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version of Kubernetes"):
        join.parse_version(text)


SKEWS = {"newer": "may not be newer", "older": "minor versions older", "kubeadm": "kubeadm before 1.31"}


@pytest.mark.parametrize("case", VERSION_SKEW_CASES, ids=[case["name"] for case in VERSION_SKEW_CASES])
def test_the_version_skew_is_judged_as_by_the_role_kubernetes_node(case: dict[str, str]) -> None:
    of_node, of_control_plane = (join.parse_version(f"v{case[key]}.9") for key in ("node", "control_plane"))
    if not case["problem"]:
        join.check_versions(of_node, of_control_plane)
        return
    with pytest.raises(join.Refused, match=SKEWS[case["problem"]]) as caught:
        join.check_versions(of_node, of_control_plane)
    assert caught.value.status == 400


@pytest.mark.parametrize(("of_node", "of_control_plane", "most"), [((1, 32), (1, 36), 3), ((1, 22), (1, 25), 2), ((0, 36), (1, 36), 2)])
def test_a_node_that_is_too_old_is_told_how_old_it_may_be(of_node: tuple[int, int], of_control_plane: tuple[int, int], most: int) -> None:
    with pytest.raises(join.Refused, match=f"at most {most} minor versions older"):
        join.check_versions(of_node, of_control_plane)


@pytest.mark.parametrize("socket", ["", "tcp://1.2.3.4:1", "unix:///run/x y.sock", "unix:///run/x.sock\n"])
def test_what_is_no_socket_is_refused(socket: str) -> None:
    with pytest.raises(join.Refused, match="is not a socket"):
        join.check_socket(socket)


def test_the_neighbour_table_is_read() -> None:
    table = (
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.77.0.11       0x1         0x2         52:54:00:77:00:01     *        br0\n"
        "10.77.0.12       0x1         0x0         00:00:00:00:00:00     *        br0\n"
    )
    assert join.neighbour(table, "10.77.0.11") == "52:54:00:77:00:01"
    assert join.neighbour(table, "10.77.0.12") is None
    assert join.neighbour(table, "10.77.0.1") is None


def test_token_ids_are_the_same_each_time_and_no_two_nodes_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"node{number}" for number in range(5000)]
    ids = join.token_ids(names)
    assert ids == join.token_ids(reversed(names))
    assert len(set(ids.values())) == 5000
    assert all(len(token_id) == 6 and set(token_id) <= set(join.DIGITS) for token_id in ids.values())
    monkeypatch.setattr(join, "_token_id", lambda text: "same00" if text.endswith("0") else text[:6])
    assert len(set(join.token_ids(["node1", "node2"]).values())) == 2


# Whether a kubelet is alive


def lease(renewed: str, created: str = "2026-11-21T02:00:00Z", seconds: int = 40, **entry: t.Any) -> t.Any:
    renewal = {"time": renewed, "fieldsV1": {"f:spec": {"f:renewTime": {}}}, **entry}
    other = {"time": "2026-11-21T02:59:59Z", "fieldsV1": {"f:metadata": {}}}
    spec = {"leaseDurationSeconds": seconds, "renewTime": "2099-01-01T00:00:00.000000Z"}
    return {"metadata": {"creationTimestamp": created, "managedFields": [renewal, other]}, "spec": spec}


def test_a_kubelet_is_alive_by_the_clock_of_the_api_server_alone() -> None:
    assert join.lease_seconds(lease("2026-11-21T02:59:50Z"), NOW) == 30
    assert join.lease_seconds(lease("2026-11-21T02:59:20Z"), NOW) == 0
    assert join.lease_seconds(lease("2026-11-21T03:00:01Z"), NOW) == 41


def test_a_lease_without_renewal_counts_from_its_creation() -> None:
    assert join.lease_seconds({"metadata": {"creationTimestamp": "2026-11-21T02:59:55Z"}, "spec": {}}, NOW) == 35


# The Node object

GPU = {"key": "gpu", "value": "", "effect": "NoSchedule"}


def current(labels: dict[str, str] | None = None, taints: list[t.Any] | None = None, managed: t.Any = None) -> t.Any:
    annotations = {"note": "x", **({join.MANAGED: managed if isinstance(managed, str) else json.dumps(managed, sort_keys=True)} if managed is not None else {})}
    metadata = {"name": "node1", "resourceVersion": "7", "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "spec": {"taints": taints} if taints else {}}


def test_a_node_that_is_as_it_should_be_is_left_alone() -> None:
    managed = {"labels": {"rack": "r1"}, "taints": [GPU]}
    # The API server leaves an empty value out.
    now = current({"rack": "r1", "mine": "1"}, [{"key": "gpu", "effect": "NoSchedule"}, {"key": "mine", "effect": "NoExecute", "timeAdded": "x"}], managed)
    assert join.node_changes(now, node(labels={"rack": "r1"}, taints=[GPU])) is None


def test_what_is_new_is_added_and_what_the_operator_set_stays() -> None:
    mine = {"key": "mine", "value": "1", "effect": "NoSchedule"}
    patch = join.node_changes(current({"mine": "1", "rack": "r9"}, [mine]), node(labels={"rack": "r1"}, taints=[GPU]))
    assert patch["metadata"]["labels"] == {"rack": "r1"}
    assert patch["spec"]["taints"] == [mine, GPU]
    assert patch["metadata"]["resourceVersion"] == "7"
    assert json.loads(patch["metadata"]["annotations"][join.MANAGED]) == {"labels": {"rack": "r1"}, "taints": [GPU]}


def test_what_left_the_inventory_goes_unless_the_operator_made_it_his() -> None:
    managed = {"labels": {"rack": "r1", "zone": "a"}, "taints": [GPU, {"key": "old", "value": "1", "effect": "NoSchedule"}]}
    changed = {"key": "old", "value": "2", "effect": "NoSchedule"}
    patch = join.node_changes(current({"rack": "r1", "zone": "b"}, [{"key": "gpu", "effect": "NoSchedule"}, changed], managed), node())
    assert patch["metadata"]["labels"] == {"rack": None}
    assert patch["spec"]["taints"] == [changed]


@pytest.mark.parametrize("managed", ["", "{", "[]", '{"labels": 5}', '{"labels": {}, "taints": null}'])
def test_an_annotation_that_cannot_be_read_removes_nothing(managed: str) -> None:
    patch = join.node_changes(current({"rack": "r1"}, [GPU], managed), node())
    assert set(patch["metadata"]) == {"annotations", "resourceVersion"}
    assert "spec" not in patch


# What a node gets


@pytest.mark.parametrize(
    ("kubeadm", "version", "arguments"),
    [
        ((1, 36), "v1beta4", [{"name": "max-pods", "value": "50"}, {"name": "v", "value": "2"}]),
        ((1, 31), "v1beta4", [{"name": "max-pods", "value": "50"}, {"name": "v", "value": "2"}]),
        ((1, 30), "v1beta3", {"v": "2", "max-pods": "50"}),
        ((1, 22), "v1beta3", {"v": "2", "max-pods": "50"}),
        ((1, 21), "v1beta2", {"v": "2", "max-pods": "50"}),
    ],
)
def test_the_configuration_is_what_this_kubeadm_reads(kubeadm: tuple[int, int], version: str, arguments: t.Any) -> None:
    settings = join.Settings(port=1, endpoint="10.0.0.1:6443", ca_hashes=["sha256:00"], token_ttl=600)
    made = join.join_configuration(node(kubelet_args={"v": "2", "max-pods": "50"}), settings, "abc123.secret", kubeadm, "unix:///x")
    token = {"apiServerEndpoint": "10.0.0.1:6443", "token": "abc123.secret", "caCertHashes": ["sha256:00"]}
    timeout = {"timeouts": {"discovery": "1m0s"}} if version == "v1beta4" else {}
    assert made == {
        "apiVersion": f"kubeadm.k8s.io/{version}",
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": token} if timeout else {"bootstrapToken": token, "timeout": "1m0s"},
        **timeout,
        "nodeRegistration": {"name": "node1", "criSocket": "unix:///x", "kubeletExtraArgs": arguments, "taints": []},
    }


def test_the_token_is_in_its_own_group_and_ends() -> None:
    made = join.token_secret(credential(), "s" * 16, NOW)
    assert made["type"] == "bootstrap.kubernetes.io/token"
    assert made["metadata"] == {"name": "bootstrap-token-abc123", "namespace": "kube-system"}
    assert made["stringData"]["auth-extra-groups"] == "system:bootstrappers:ltsp,system:bootstrappers:ltsp:node1:00ff"
    assert made["stringData"]["expiration"] == "2026-11-21T03:00:00Z"


# Requests for certificates


def pkcs10(*subject: tuple[t.Any, str], names: tuple[str, ...] = ()) -> bytes:
    subject = subject or ((NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, "system:node:node1"))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in subject]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def request(pem: bytes | None = None, token_id: str = "abc123", name: str = "csr-1", **spec: t.Any) -> t.Any:
    groups = ["system:bootstrappers", join.GROUP, f"{join.GROUP}:node1:00ff"]
    encoded = base64.b64encode(pkcs10() if pem is None else pem).decode()
    return {
        "metadata": {"name": name},
        "spec": {"request": encoded, "username": f"system:bootstrap:{token_id}", "groups": groups, "usages": USAGES, **spec},
        "status": {},
    }


ORGANIZATION, COMMON_NAME = NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME


@pytest.mark.parametrize("usages", [USAGES, [*USAGES, "key encipherment"]])
def test_the_request_of_a_kubelet_is_right(usages: list[str]) -> None:
    assert join.request_problem(request(usages=usages), credential()) is None


def broken_signature() -> bytes:
    der = bytearray(x509.load_pem_x509_csr(pkcs10()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(bytes(der)) + b"-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize(
    ("asked", "held", "message"),
    [
        (request(pkcs10((ORGANIZATION, "system:nodes"), (COMMON_NAME, "system:node:node2"))), credential(), "CN=system:node:node1 only"),
        (request(pkcs10((ORGANIZATION, "system:masters"), (COMMON_NAME, "system:node:node1"))), credential(), "its subject is"),
        (request(pkcs10((COMMON_NAME, "system:node:node1"))), credential(), "its subject is"),
        (
            request(pkcs10((ORGANIZATION, "system:nodes"), (ORGANIZATION, "system:masters"), (COMMON_NAME, "system:node:node1"))),
            credential(),
            "its subject is",
        ),
        (
            request(pkcs10((ORGANIZATION, "system:nodes"), (COMMON_NAME, "system:node:node1"), (COMMON_NAME, "system:node:node2"))),
            credential(),
            "its subject is",
        ),
        (request(pkcs10(names=("node2",))), credential(), "subject alternative names"),
        (request(usages=[*USAGES, "server auth"]), credential(), "server auth are not those"),
        (request(usages=[]), credential(), "are not those"),
        (request(groups=["system:bootstrappers", join.GROUP, f"{join.GROUP}:node1:ee"]), credential(), "an earlier credential of node1"),
        (request(groups=[]), credential(), "an earlier credential"),
        (request(), credential(spent=True), "was used already"),
        (request(b""), credential(), "cannot be read"),
        (request(pkcs10() + pkcs10()), credential(), "cannot be read"),
        (request(b"x\n" + pkcs10()), credential(), "cannot be read"),
        (request(pkcs10().replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST")), credential(), "cannot be read"),
        (request(broken_signature()), credential(), "its signature is wrong"),
    ],
)
def test_any_other_request_has_a_problem(asked: t.Any, held: t.Any, message: str) -> None:
    assert message in str(join.request_problem(asked, held))


def minted(api: Api) -> tuple[t.Any, str]:
    """A node's credential and the group in it."""
    credentials = join.Credentials(api, 600)
    token = credentials.mint(node(), "abc123", NOW)
    assert token.startswith("abc123.") and len(token) == 23
    return credentials, api.objects["/api/v1/namespaces/kube-system/secrets/bootstrap-token-abc123"]["stringData"]["auth-extra-groups"].split(",")[1]


def put(api: Api, asked: t.Any) -> None:
    api.objects[f"{join.REQUESTS}/{asked['metadata']['name']}"] = asked


def condition(api: Api, name: str) -> t.Any:
    conditions = api.objects[f"{join.REQUESTS}/{name}"]["status"].get("conditions")
    return conditions and conditions[0]["type"]


SECRET = "/api/v1/namespaces/kube-system/secrets/bootstrap-token-abc123"


def test_a_credential_is_good_for_one_certificate_and_goes_when_that_is_there() -> None:
    api = Api()
    credentials, group = minted(api)
    put(api, request(groups=[join.GROUP, group]))
    credentials.answer_requests()
    assert condition(api, "csr-1") == "Approved"
    assert SECRET in api.objects
    put(api, request(name="csr-2", groups=[join.GROUP, group]))
    credentials.answer_requests()
    assert condition(api, "csr-2") == "Denied"
    api.objects[f"{join.REQUESTS}/csr-1"]["status"]["certificate"] = "x"
    credentials.answer_requests()
    assert SECRET not in api.objects
    put(api, request(name="csr-3", groups=[join.GROUP, group]))
    credentials.answer_requests()
    assert condition(api, "csr-3") == "Denied"


def test_an_approval_whose_answer_was_lost_counts() -> None:
    api = Api()
    credentials, group = minted(api)
    approved = request(name="csr-9", groups=[join.GROUP, group])
    approved["status"]["conditions"] = [{"type": "Approved"}]
    put(api, approved)
    put(api, request(name="csr-1", groups=[join.GROUP, group]))
    credentials.answer_requests()
    assert condition(api, "csr-1") == "Denied"


def test_others_requests_are_left_alone() -> None:
    api = Api()
    credentials, group = minted(api)
    put(api, request(token_id="zzz999", groups=[join.GROUP, group]))
    put(api, request(name="csr-2", username="system:node:node1", groups=["system:nodes"]))
    credentials.answer_requests()
    assert [condition(api, name) for name in ("csr-1", "csr-2")] == [None, None]


def test_nothing_is_asked_for_while_no_credential_is_out() -> None:
    api = Api()
    join.Credentials(api, 600).answer_requests()
    assert api.asked == []
    credentials, _group = minted(api)
    credentials._live["abc123"].expires = 0
    api.asked.clear()
    credentials.answer_requests()
    assert api.asked == []


def test_asking_again_revokes_the_former_one_and_forgets_what_came_with_it() -> None:
    api = Api()
    credentials, former = minted(api)
    put(api, request(groups=[join.GROUP, former]))
    put(api, request(name="csr-2", username="system:node:node1", groups=["system:nodes"]))
    put(api, request(name="csr-3", username="system:node:node2", groups=["system:nodes"]))
    put(api, request(name="csr-4", groups=["system:bootstrappers:kubeadm:default-node-token"]))
    credentials._requests_from = -1e9
    credentials.mint(node(), "abc123", NOW)
    assert ("DELETE", SECRET) in api.asked
    assert sorted(path for path in api.objects if path.startswith(join.REQUESTS)) == [f"{join.REQUESTS}/csr-3", f"{join.REQUESTS}/csr-4"]
    put(api, request(name="csr-5", groups=[join.GROUP, former]))
    credentials.answer_requests()
    assert condition(api, "csr-5") == "Denied"


def test_a_failed_mint_leaves_no_credential() -> None:
    api = Api()
    credentials, _group = minted(api)
    api.failures["POST", "/api/v1/namespaces/kube-system/secrets"] = [503]
    with pytest.raises(join.ApiError):
        credentials.mint(node(), "abc123", NOW)
    assert credentials._live == {} and SECRET not in api.objects


@pytest.mark.parametrize("status", [409, 404])
def test_a_request_that_another_client_decided_is_no_error(status: int) -> None:
    api = Api()
    credentials, group = minted(api)
    put(api, request(groups=[join.GROUP, group]))
    api.failures["PUT", f"{join.REQUESTS}/csr-1/approval"] = [status]
    credentials.answer_requests()
    credentials.answer_requests()
    assert condition(api, "csr-1") == "Approved"


def test_the_approver_survives_whatever_the_api_does(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    class End(BaseException):
        pass

    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            raise End

    credentials = join.Credentials(Api(), 600)
    errors = iter([*[join.ApiError(0, "away")] * 5, KeyError("items"), None, join.ApiError(0, "away")])

    def answer() -> None:
        error = next(errors)
        if error:
            raise error

    monkeypatch.setattr(credentials, "answer_requests", answer)
    monkeypatch.setattr(join.time, "sleep", sleep)
    with pytest.raises(End):
        credentials.serve()
    assert [round(pause) for pause in pauses] == [2, 4, 5, 5, 5, 5, 1, 2]
    assert [record.getMessage().count("away") for record in caplog.records] == [1, 0, 1]


# Who gets a credential

NODES = {"10.77.0.11": {"name": "node1", "macs": ["52:54:00:77:00:01"], "labels": {"rack": "r1"}, "taints": [], "kubelet_args": {}}}
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node1"


@pytest.fixture
def inventory(tmp_path: pathlib.Path) -> t.Any:
    (tmp_path / "nodes.json").write_text(json.dumps(NODES), encoding="utf-8")
    return join.Inventory(tmp_path / "nodes.json")


def ask(api: Api, inventory: t.Any, address: str = "10.77.0.11", port: int = 1023, **query: str) -> t.Any:
    settings = join.Settings(port=1, endpoint="10.0.0.1:6443", ca_hashes=["sha256:00"], token_ttl=600)
    return join.Join(settings, api, inventory, join.Credentials(api, 600)).answer(address, port, {**QUERY, **query})[1]


def refusal(*arguments: t.Any, **query: t.Any) -> t.Any:
    with pytest.raises(join.Refused) as caught:
        ask(*arguments, **query)
    return caught.value


def test_an_unknown_node_is_made(inventory: t.Any) -> None:
    api = Api()
    made = ask(api, inventory)
    assert made["nodeRegistration"]["name"] == "node1"
    assert api.objects["/api/v1/nodes/node1"]["metadata"]["labels"] == {"rack": "r1"}


def test_a_node_that_says_it_is_ready_is_made_unknown(inventory: t.Any) -> None:
    ready = {**current({}), "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    api = Api(**{"/api/v1/nodes/node1": ready})
    ask(api, inventory)
    assert api.sent["/api/v1/nodes/node1"]["metadata"]["labels"] == {"rack": "r1"}
    (said,) = api.sent["/api/v1/nodes/node1/status"]["status"]["conditions"]
    assert (said["status"], said["reason"]) == ("Unknown", "NodeBooting")


def test_who_is_refused_and_why(inventory: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (refusal(Api(), inventory, "10.77.0.99").status, refusal(Api(), inventory, port=1024).status) == (403, 403)
    assert refusal(Api(), inventory, kubeadm="1.36").status == 400
    assert refusal(Api(), inventory, kubeadm="v1.37.0").status == 400
    monkeypatch.setattr(join, "neighbour", lambda _table, _address: "52:54:00:77:00:02")
    thief = refusal(Api(), inventory)
    assert thief.status == 403 and "52:54:00:77:00:02, which is none of its ltsp_node_macs: 52:54:00:77:00:01" in str(thief)


def test_a_node_that_is_up_is_told_when_to_ask_again(inventory: t.Any) -> None:
    api = Api(**{LEASE: lease("2026-11-21T02:59:50Z")})
    late = refusal(api, inventory)
    assert (late.status, late.retry_after) == (409, 30)
    assert [method for method, _path in api.asked] == ["GET", "GET"]


def test_a_node_of_the_control_plane_is_refused(inventory: t.Any) -> None:
    api = Api(**{"/api/v1/nodes/node1": current({"node-role.kubernetes.io/control-plane": ""})})
    assert refusal(api, inventory).status == 403
    assert {method for method, _path in api.asked} == {"GET"}


def test_an_api_that_is_away_is_said_and_nothing_is_minted(inventory: t.Any) -> None:
    api = Api()
    api.failures["GET", LEASE] = [0]
    away = refusal(api, inventory)
    assert (away.status, away.retry_after) == (503, 10)
    assert {method for method, _path in api.asked} == {"GET"}


def test_a_change_of_the_node_in_between_is_tried_again(inventory: t.Any) -> None:
    api = Api(**{"/api/v1/nodes/node1": current({})})
    api.failures["PATCH", "/api/v1/nodes/node1"] = [409, 409]
    assert ask(api, inventory)
    api.failures["PATCH", "/api/v1/nodes/node1"] = [409, 409, 409]
    assert refusal(api, inventory).status == 503


def test_the_inventory_is_read_again_when_it_changes_and_kept_when_it_is_broken(tmp_path: pathlib.Path, inventory: t.Any) -> None:
    path = tmp_path / "nodes.json"
    assert inventory.find("10.77.0.12") is None
    path.write_text(json.dumps({**NODES, "10.77.0.12": {**NODES["10.77.0.11"], "name": "node2"}}), encoding="utf-8")
    assert inventory.find("10.77.0.12")[0].name == "node2"
    for broken in ("{", "[]", '{"10.77.0.12": {"name": "node2"}}'):
        path.write_text(broken, encoding="utf-8")
        assert inventory.find("10.77.0.12")[0].name == "node2"
