# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections
import typing as t

import pytest
from ansible.errors import AnsibleUndefinedVariable
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils import _nodes, _variables
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._variables import InventoryError

SERVERS = {"ltsp-1": {"ansible_host": "10.77.0.1"}, "ltsp-2": {"ansible_host": "srv.example.org", "ltsp_server_address": "10.77.0.2"}}
NODE = {"ltsp_node_macs": ["52:54:00:77:00:01"], "ltsp_node_ip": "10.77.0.11"}
TEXTS = ("ram", "overlay", "kernel_args", "lts_conf", "kubernetes_labels", "kubernetes_taints", "kubelet_args")


def describe(nodes: dict[str, t.Any], servers: t.Optional[dict[str, t.Any]] = None) -> list[_nodes.Node]:
    servers = SERVERS if servers is None else servers
    return _nodes.describe_nodes({**servers, **nodes}, list(nodes), list(servers))


def refusal(nodes: dict[str, t.Any], servers: t.Optional[dict[str, t.Any]] = None) -> str:
    with pytest.raises(InventoryError) as caught:
        describe(nodes, servers)
    return str(caught.value)


def test_a_node_with_nothing_but_its_addresses_has_the_defaults() -> None:
    (node,) = describe({"node1": NODE}, {"ltsp-1": SERVERS["ltsp-1"]})
    assert node == {
        "name": "node1",
        "macs": ["52:54:00:77:00:01"],
        "ip": "10.77.0.11",
        "image": "node",
        "image_version": None,
        "server": "ltsp-1",
        "server_address": "10.77.0.1",
        "transports": ["http", "nbd"],
        "ram": True,
        "overlay": "50%",
        "kernel_args": [],
        "lts_conf": {},
        "kubernetes_name": "node1",
        "kubernetes_labels": {},
        "kubernetes_taints": [],
        "kubelet_args": {},
    }


def test_everything_can_be_said_as_yaml_and_as_the_text_of_a_survey() -> None:
    expected = {
        "name": "node1",
        "macs": ["52:54:00:77:00:01", "52:54:00:77:01:01"],
        "ip": "10.77.0.11",
        "image": "big-1.0",
        "image_version": "20261120T223000Z-0123456789ab",
        "server": "ltsp-2",
        "server_address": "10.77.0.2",
        "transports": ["nbd", "http"],
        "ram": False,
        "overlay": "2G",
        "kernel_args": ["console=ttyS0,115200n8", "netconsole=@/vmbr0,@10.9.0.15/"],
        "lts_conf": {"RCFILE_20_HELLO": "echo hello", "TIMEOUT": 5},
        "kubernetes_name": "node1",
        "kubernetes_labels": {"example.org/rack": "r1", "empty": ""},
        "kubernetes_taints": [
            {"key": "example.org/gpu", "value": "true", "effect": "NoSchedule"},
            {"key": "drain", "value": "", "effect": "NoExecute"},
        ],
        "kubelet_args": {"max-pods": "250", "fail-swap-on": "false", "eviction-hard": "memory.available<200Mi"},
    }
    common = {
        "ansible_host": "10.77.0.11",
        "ltsp_node_image": "big-1.0",
        "ltsp_node_image_version": "20261120T223000Z-0123456789ab",
        "ltsp_node_server": "ltsp-2",
        "ltsp_node_overlay": "2G",
    }
    yaml = {
        **common,
        "ltsp_node_macs": ["52:54:00:77:00:01", "52-54-00-77-01-01"],
        "ltsp_node_transports": ["nbd", "http"],
        "ltsp_node_ram": False,
        "ltsp_node_kernel_args": ["console=ttyS0,115200n8", "netconsole=@/vmbr0,@10.9.0.15/"],
        "ltsp_node_lts_conf": {"RCFILE_20_HELLO": "echo hello", "TIMEOUT": 5},
        "ltsp_node_kubernetes_labels": {"example.org/rack": "r1", "empty": ""},
        "ltsp_node_kubernetes_taints": ["example.org/gpu=true:NoSchedule", "drain:NoExecute"],
        "ltsp_node_kubelet_args": {"max-pods": 250, "fail-swap-on": False, "eviction-hard": "memory.available<200Mi"},
    }
    survey = {
        **common,
        "ltsp_node_ip": "",
        "ltsp_node_macs": "5254.0077.0001, 525400770101",
        "ltsp_node_transports": '["nbd", "http"]',
        "ltsp_node_ram": "no",
        "ltsp_node_kernel_args": "console=ttyS0,115200n8 netconsole=@/vmbr0,@10.9.0.15/",
        "ltsp_node_lts_conf": '{"RCFILE_20_HELLO": "echo hello", "TIMEOUT": 5}',
        "ltsp_node_kubernetes_labels": '{"example.org/rack": "r1", "empty": ""}',
        "ltsp_node_kubernetes_taints": "example.org/gpu=true:NoSchedule, drain:NoExecute",
        "ltsp_node_kubelet_args": '{"max-pods": 250, "fail-swap-on": false, "eviction-hard": "memory.available<200Mi"}',
    }
    assert describe({"node1": yaml}) == [expected]
    assert describe({"node1": survey}) == [expected]


def test_nodes_come_sorted_and_none_is_none() -> None:
    nodes = {name: {"ltsp_node_macs": f"5254007700{i:02x}", "ltsp_node_ip": f"10.77.0.{i}"} for i, name in enumerate(("b", "c", "a"), 11)}
    assert [node["name"] for node in describe(nodes)] == ["a", "b", "c"]
    assert describe({}, {}) == []


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ltsp_node_macs", None, "ltsp_node_macs is not set: set it for this host"),
        ("ltsp_node_macs", [], "the list is empty"),
        ("ltsp_node_macs", ["52:54:00:77:00"], "'52:54:00:77:00' is not a MAC address: write six pairs"),
        ("ltsp_node_macs", [41135085296], "41135085296 is not text: write the MAC address in quotes"),
        ("ltsp_node_macs", ["525400770001", "52-54-00-77-00-01"], "52:54:00:77:00:01 stands in the list twice"),
        ("ltsp_node_macs", '["525400770001"', "is not valid JSON"),
        ("ltsp_node_macs", {"eth0": "525400770001"}, "is not a list"),
        ("ltsp_node_ip", "10.77.0.300", "'10.77.0.300' is not an IPv4 address: write it as in 10.77.0.11"),
        ("ltsp_node_ip", "fd00::1", "is not an IPv4 address"),
        ("ltsp_node_ip", "127.0.0.1", "is not the address of one machine"),
        ("ltsp_node_ip", "224.0.0.1", "is not the address of one machine"),
        ("ltsp_node_image", "Node", "'Node' is not an image name"),
        ("ltsp_node_image", "../etc", "is not an image name"),
        ("ltsp_node_image", "current", "is not an image name"),
        ("ltsp_node_image_version", "latest", "'latest' is not an image version"),
        ("ltsp_node_image_version", "20261120T223000Z-0123456789AB", "is not an image version"),
        ("ltsp_node_server", "ltsp-3", "'ltsp-3' is not in the group ltsp_servers: use one of ltsp-1, ltsp-2"),
        ("ltsp_node_transports", ["http", "nfs"], "'nfs' is not a transport: use http or nbd"),
        ("ltsp_node_transports", [], "is not a transport"),
        ("ltsp_node_transports", "nbd,nbd", "nbd stands in the list twice"),
        ("ltsp_node_ram", "perhaps", "'perhaps' is neither true nor false"),
        ("ltsp_node_overlay", "0", "'0' is not the size of a tmpfs"),
        ("ltsp_node_overlay", "101%", "is not the size of a tmpfs"),
        ("ltsp_node_overlay", True, "is not the size of a tmpfs"),
        ("ltsp_node_overlay", "1 G", "is not the size of a tmpfs"),
        ("ltsp_node_kernel_args", ["a b"], "'a b' cannot pass every boot loader"),
        ("ltsp_node_kernel_args", ['dyndbg="file x"'], "cannot pass every boot loader"),
        ("ltsp_node_kernel_args", ["memmap=10M$1G"], "cannot pass every boot loader"),
        ("ltsp_node_kernel_args", ["quiet\nboot"], "cannot pass every boot loader"),
        ("ltsp_node_kernel_args", ["x={{ nothing }}"], ""),
        ("ltsp_node_kernel_args", [{"console": "ttyS0"}], "is not text"),
        ("ltsp_node_lts_conf", ["A"], "is not a dictionary"),
        ("ltsp_node_lts_conf", {"A": ["x"]}, "'A' has a list, which is not one value"),
        ("ltsp_node_kubernetes_labels", ["rack"], "is not a dictionary"),
        ("ltsp_node_kubernetes_labels", {"gpu": True}, "True is not text: write the value of the label gpu in quotes"),
        ("ltsp_node_kubernetes_labels", {"Example.org/rack": "r1"}, "'Example.org/rack' is not a key of Kubernetes"),
        ("ltsp_node_kubernetes_labels", {"/rack": "r1"}, "'/rack' is not a key of Kubernetes"),
        ("ltsp_node_kubernetes_labels", {"rack": "row 1"}, "'row 1' is not a value of a label or taint"),
        ("ltsp_node_kubernetes_labels", {"rack": "r" * 64}, "is not a value of a label or taint"),
        ("ltsp_node_kubernetes_labels", {"node-role.kubernetes.io/control-plane": ""}, "is not for the inventory"),
        ("ltsp_node_kubernetes_taints", ["gpu"], "'gpu' is not a taint: write key=value:EFFECT"),
        ("ltsp_node_kubernetes_taints", ["gpu:noschedule"], "is not a taint"),
        ("ltsp_node_kubernetes_taints", ["gpu=a=b:NoSchedule"], "'a=b' is not a value of a label or taint"),
        ("ltsp_node_kubernetes_taints", ["=a:NoSchedule"], "'' is not a key of Kubernetes"),
        ("ltsp_node_kubernetes_taints", ["a=1:NoSchedule", "a=2:NoSchedule"], "a:NoSchedule stands in the list twice"),
        ("ltsp_node_kubernetes_taints", ["node-role.kubernetes.io/control-plane:NoSchedule"], "is not for the inventory"),
        ("ltsp_node_kubelet_args", {"--max-pods": 250}, "'--max-pods' is not the name of an argument"),
        ("ltsp_node_kubelet_args", {"node-labels": "a=b"}, "use ltsp_node_kubernetes_labels"),
        ("ltsp_node_kubelet_args", {"kubeconfig": "/tmp/x"}, "kubeadm sets it"),
        ("ltsp_node_kubelet_args", {"v": [4]}, "v has a list, which is not one value"),
        ("ltsp_node_kubelet_args", {"feature-gates": "A=true B=true"}, "does not come through to the kubelet"),
        ("ltsp_node_kubelet_args", {"root-dir": "$HOME"}, "does not come through to the kubelet"),
    ],
)
def test_a_wrong_value_is_named_with_host_variable_and_remedy(variable: str, value: t.Any, message: str) -> None:
    assert refusal({"node1": {**NODE, variable: value}}).startswith(f"node1: {variable}")
    assert message in refusal({"node1": {**NODE, variable: value}})


def test_an_address_that_comes_from_ansible_host_says_what_to_set() -> None:
    macs = {"ltsp_node_macs": ["52:54:00:77:00:01"]}
    assert "neither ltsp_node_ip nor ansible_host is set: set ltsp_node_ip" in refusal({"node1": macs})
    assert "ansible_host: 'n1.example.org' is not an IPv4 address" in refusal({"node1": {**macs, "ansible_host": "n1.example.org"}})
    assert "or set ltsp_server_address" in refusal({"node1": NODE}, {"ltsp-1": {"ansible_host": "srv.example.org"}})


@pytest.mark.parametrize("name", ["node_1", "-node", "node1.", "a" * 64, "knoten\u00e4"])
def test_an_inventory_name_that_is_no_host_name_is_refused(name: str) -> None:
    assert "its host name" in refusal({name: NODE})


@pytest.mark.parametrize(
    ("other", "change", "message"),
    [
        ("node2", {"ltsp_node_ip": "10.77.0.12"}, "node2: ltsp_node_macs: MAC address 52:54:00:77:00:01 is taken by node node1"),
        ("node2", {"ltsp_node_macs": "525400770002"}, "node2: ltsp_node_ip: IP address 10.77.0.11 is taken by node node1"),
        ("node2", {"ltsp_node_macs": "525400770002", "ltsp_node_ip": "10.77.0.2"}, "IP address 10.77.0.2 is taken by boot server ltsp-2"),
        ("node1.rack2", {"ltsp_node_macs": "525400770002", "ltsp_node_ip": "10.77.0.12"}, "host name node1 is taken by node node1"),
        ("NODE1", {"ltsp_node_macs": "525400770002", "ltsp_node_ip": "10.77.0.12"}, "host name node1 is taken by node NODE1"),
    ],
)
def test_what_two_machines_share_is_refused_with_both_names(other: str, change: dict[str, str], message: str) -> None:
    assert message in refusal({"node1": NODE, other: {**NODE, **change}})


@pytest.mark.parametrize("member", ["node1", "NODE1.example.org"])
def test_a_node_may_not_have_the_name_of_a_machine_of_the_control_plane(member: str) -> None:
    with pytest.raises(InventoryError, match=f"host name node1 is taken by {member} of the group kube_control_plane already"):
        _nodes.describe_nodes({**SERVERS, "node1": NODE}, ["node1"], list(SERVERS), [member])


def test_kubernetes_calls_a_node_by_its_host_name() -> None:
    assert [node["kubernetes_name"] for node in describe({"Node1.rack2.example.org": NODE})] == ["node1"]


def test_all_problems_are_shown_at_once_but_not_thousands() -> None:
    message = refusal({f"node{i}": {} for i in range(100)})
    assert message.count("ltsp_node_macs is not set") == 20
    assert message.endswith("; and 80 more")


def test_a_node_without_boot_servers_is_refused() -> None:
    assert "ltsp_servers" in refusal({"node1": NODE}, {})


def test_an_undefined_variable_is_named_with_its_host() -> None:
    class Templated(dict[str, t.Any]):
        def get(self, key: str, default: t.Any = None) -> t.Any:
            if key == "ltsp_node_image":
                raise AnsibleUndefinedVariable("'nothing' is undefined")
            return super().get(key, default)

    assert "node1: ltsp_node_image cannot be evaluated: 'nothing' is undefined" in refusal({"node1": Templated(NODE)})


def test_a_template_that_stayed_one_is_refused_where_undefined_variables_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unsafe(str):
        __UNSAFE__ = True

    left = {**NODE, "ltsp_node_lts_conf": {"RCFILE_1": "echo {{ nothing }}"}}
    monkeypatch.setattr(_variables, "_UNDEFINED_STAYS", True)
    assert "node1: ltsp_node_lts_conf cannot be evaluated: 'echo {{ nothing }}' has an undefined variable" in refusal({"node1": left})
    assert describe({"node1": {**NODE, "ltsp_node_lts_conf": {"RCFILE_1": Unsafe("docker ps --format {{.Names}}")}}})
    monkeypatch.setattr(_variables, "_UNDEFINED_STAYS", False)
    assert describe({"node1": left})


def test_the_variables_of_a_host_are_fetched_once() -> None:
    class Counted(dict[str, t.Any]):
        fetched: collections.Counter[str] = collections.Counter()

        def __getitem__(self, key: str) -> t.Any:
            self.fetched[key] += 1
            return super().__getitem__(key)

    _nodes.describe_nodes(Counted({**SERVERS, "node1": NODE}), ["node1"], list(SERVERS))
    assert Counted.fetched == {"ltsp-1": 1, "ltsp-2": 1, "node1": 1}


def test_a_server_that_goes_moves_no_node_but_its_own() -> None:
    nodes = [f"node{i}" for i in range(300)]
    servers = ["ltsp-1", "ltsp-2", "ltsp-3"]
    before = {node: _nodes.choose_server(node, servers) for node in nodes}
    after = {node: _nodes.choose_server(node, ["ltsp-3", "ltsp-1"]) for node in nodes}
    assert all(after[node] == before[node] for node in nodes if before[node] != "ltsp-2")
    assert all(70 <= share <= 130 for share in collections.Counter(before.values()).values())
    assert _nodes.choose_server("node1", ["ltsp-1", "ltsp-2"]) == "ltsp-1"


@given(st.dictionaries(st.sampled_from([*NODE, "ansible_host", *(f"ltsp_node_{v}" for v in TEXTS)]), st.text()))
def test_no_text_breaks_anything_but_is_refused_or_taken(variables: dict[str, str]) -> None:
    try:
        (node,) = describe({"node1": {**NODE, **variables}})
    except InventoryError as error:
        assert str(error).startswith("node1: ")
    else:
        assert not set("\"'`$\\\n ") & set("".join(node["kernel_args"]))
