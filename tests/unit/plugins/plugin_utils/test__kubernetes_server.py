# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import re
import subprocess
import typing as t

import pytest
from samples import BOOT_SERVER

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes import server

IMAGE = "registry.example.org:5000/farm/ltsp@sha256:" + "0123456789abcdef" * 4
HOST_NETWORK = {**BOOT_SERVER, "image": IMAGE, "servers": {"kube-1": "10.9.0.3", "Kube-2.example.org": "10.9.0.4"}}
LOAD_BALANCER = {**HOST_NETWORK, "exposure": "load_balancer", "servers": {"boot": "10.9.0.2"}, "replicas": 1}


def made(kind: str, given: dict[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    everything = server.objects(server.read_settings({**given, **changes}))
    [found] = [manifest for manifest in [everything["namespace"], *everything["server"]] if manifest["kind"] == kind]
    return found


def kinds(given: dict[str, t.Any]) -> list[str]:
    return [manifest["kind"] for manifest in server.objects(server.read_settings(given))["server"]]


def pod(given: dict[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    spec: dict[str, t.Any] = made("Deployment", given, **changes)["spec"]["template"]["spec"]
    return spec


def containers(given: dict[str, t.Any], **changes: t.Any) -> dict[str, dict[str, t.Any]]:
    return {container["name"]: container for container in pod(given, **changes)["containers"]}


def test_each_exposure_has_what_works_for_it() -> None:
    assert kinds(HOST_NETWORK) == ["ServiceAccount", "PodDisruptionBudget", "Deployment"]
    assert kinds(LOAD_BALANCER) == ["ServiceAccount", "NetworkPolicy", "Service", "PodDisruptionBudget", "Deployment"]


def test_the_namespace_admits_what_runs_in_it_and_nothing_more() -> None:
    enforce = "pod-security.kubernetes.io/enforce"
    assert made("Namespace", HOST_NETWORK)["metadata"]["labels"][enforce] == "privileged"
    assert made("Namespace", LOAD_BALANCER)["metadata"]["labels"][enforce] == "restricted"


def test_behind_a_load_balancer_nothing_has_a_right() -> None:
    security = pod(LOAD_BALANCER)["securityContext"]
    assert security["runAsNonRoot"] and security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["sysctls"] == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    for container in containers(LOAD_BALANCER).values():
        own = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container["securityContext"] == own


def test_on_the_host_network_only_low_ports_need_a_right() -> None:
    spec = pod(HOST_NETWORK)
    assert spec["hostNetwork"] is True
    assert "sysctls" not in spec["securityContext"]
    security = {name: container["securityContext"] for name, container in containers(HOST_NETWORK).items()}
    assert [name for name, context in security.items() if context.get("runAsUser") == 0] == ["tftp", "http"]
    assert security["tftp"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert security["nbd"]["runAsNonRoot"] and security["nbd"]["capabilities"] == {"drop": ["ALL"]}
    assert containers(HOST_NETWORK, ports={"http": 8080})["http"]["securityContext"]["runAsNonRoot"]


def test_no_pod_has_a_token_of_the_api() -> None:
    for given in (HOST_NETWORK, LOAD_BALANCER):
        assert made("ServiceAccount", given)["automountServiceAccountToken"] is False
        assert pod(given)["automountServiceAccountToken"] is False


def test_one_image_runs_three_daemons() -> None:
    assert {name: (container["args"], container["image"]) for name, container in containers(HOST_NETWORK).items()} == {
        "tftp": (["tftp"], IMAGE),
        "http": (["http"], IMAGE),
        "nbd": (["nbd"], IMAGE),
    }


def test_two_servers_never_share_a_machine() -> None:
    ports = [port for container in containers(HOST_NETWORK).values() for port in container["ports"]]
    assert [(port["hostPort"], port["protocol"]) for port in ports] == [(69, "UDP"), (80, "TCP"), (10809, "TCP")]
    [apart] = pod(HOST_NETWORK)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    labels = made("Deployment", HOST_NETWORK)["spec"]["template"]["metadata"]["labels"]
    assert apart["topologyKey"] == "kubernetes.io/hostname" and apart["labelSelector"]["matchLabels"].items() <= labels.items()


def test_a_pod_of_the_host_network_does_not_keep_the_one_of_a_load_balancer_away() -> None:
    [apart] = pod(HOST_NETWORK)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    other = made("Deployment", LOAD_BALANCER)["spec"]["template"]["metadata"]["labels"]
    assert not apart["labelSelector"]["matchLabels"].items() <= other.items()
    assert made("Deployment", HOST_NETWORK)["spec"]["selector"] == made("Deployment", LOAD_BALANCER)["spec"]["selector"]


def test_the_old_pod_frees_the_ports_before_the_new_one_starts() -> None:
    assert made("Deployment", HOST_NETWORK)["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert made("Deployment", LOAD_BALANCER)["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_a_server_stands_on_its_host_whatever_else_is_asked_for() -> None:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["kube-1", "kube-2", "kube-2.example.org"]}
    disk, rack = {"key": "disk", "operator": "Exists"}, {"key": "rack", "operator": "In", "values": ["a"]}
    given = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [disk]}, {"matchExpressions": [rack]}]}}
    }
    before = copy.deepcopy(given)
    found = pod(HOST_NETWORK, affinity=given)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert found == [{"matchExpressions": [disk, here]}, {"matchExpressions": [rack, here]}]
    assert given == before
    [alone] = pod(HOST_NETWORK)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert alone == {"matchExpressions": [here]}


def test_the_files_of_nodes_come_and_go_without_another_pod() -> None:
    [volume] = [volume for volume in pod(LOAD_BALANCER)["volumes"] if volume["name"] == "nodes"]
    common, *shards = [source["configMap"] for source in volume["projected"]["sources"]]
    assert common == {"name": "ltsp-common"}
    assert [shards[0], shards[-1]] == [{"name": "ltsp-nodes-00", "optional": True}, {"name": "ltsp-nodes-3f", "optional": True}]
    assert len(shards) == server.SHARDS


def test_the_service_keeps_the_addresses_of_nodes() -> None:
    spec = made("Service", LOAD_BALANCER)["spec"]
    assert (spec["type"], spec["externalTrafficPolicy"], spec["loadBalancerIP"]) == ("LoadBalancer", "Local", "10.9.0.2")
    assert [(port["port"], port["protocol"]) for port in spec["ports"]] == [(69, "UDP"), (80, "TCP"), (10809, "TCP")]


def test_external_addresses_need_no_load_balancer() -> None:
    spec = made("Service", LOAD_BALANCER, external_ips=["10.9.0.2", "10.9.0.9"])["spec"]
    assert (spec["type"], spec["externalIPs"]) == ("ClusterIP", ["10.9.0.2", "10.9.0.9"])
    assert "loadBalancerIP" not in spec


@pytest.mark.parametrize("key", ["metallb.io/loadBalancerIPs", "kube-vip.io/loadbalancerIPs"])
def test_an_annotation_that_says_the_address_says_it_alone(key: str) -> None:
    service = made("Service", LOAD_BALANCER, service_annotations={key: "10.9.0.2"}, load_balancer_class="metallb")
    assert "loadBalancerIP" not in service["spec"] and service["spec"]["loadBalancerClass"] == "metallb"
    assert service["metadata"]["annotations"] == {key: "10.9.0.2"}


def test_only_the_nodes_subnets_reach_the_pods_and_these_reach_no_address() -> None:
    spec = made("NetworkPolicy", LOAD_BALANCER, subnets="10.9.0.0/16,10.10.0.0/16", ports={"http": "8080"})["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"] and "egress" not in spec
    [rule] = spec["ingress"]
    assert rule["from"] == [{"ipBlock": {"cidr": "10.9.0.0/16"}}, {"ipBlock": {"cidr": "10.10.0.0/16"}}]
    assert rule["ports"] == [{"protocol": "UDP", "port": 69}, {"protocol": "TCP", "port": 8080}, {"protocol": "TCP", "port": 10809}]


def test_text_of_a_survey_means_the_same() -> None:
    typed = {
        **LOAD_BALANCER,
        "labels": {"team": "infra"},
        "replicas": 2,
        "node_selector": {"disk": "ssd"},
        "pull_secrets": ["one", "two"],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "external_ips": ["10.9.0.2"],
    }
    survey = {
        **LOAD_BALANCER,
        "labels": '{"team": "infra"}',
        "replicas": "2",
        "node_selector": '{"disk": "ssd"}',
        "pull_secrets": "one,two",
        "tolerations": '[{"key": "a", "operator": "Exists"}]',
        "external_ips": "10.9.0.2",
        "ports": {"http": "80", "nbd": "10809"},
        "grace_period": "120",
        "rollout_timeout": "300",
    }
    assert server.objects(server.read_settings(survey)) == server.objects(server.read_settings(typed))


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        (HOST_NETWORK, {"image": "registry.example.org/ltsp:latest"}, r"_image: .*:latest' does not say one content"),
        (HOST_NETWORK, {"image": IMAGE[:-1]}, r"_image: .* does not say one content"),
        (HOST_NETWORK, {"image": ""}, r"_image: there is none: run the playbook serverfarm\.ltsp\.container"),
        (HOST_NETWORK, {"exposure": "node_port"}, r"_exposure: 'node_port' is not a way .*: use host_network or load_balancer"),
        (HOST_NETWORK, {"namespace": "LTSP"}, r"_namespace: 'LTSP' is not a name for Kubernetes"),
        (HOST_NETWORK, {"name": "a" * 64}, r"_name: 'a+' is not a name"),
        (HOST_NETWORK, {"ports": {"http": "eighty"}}, r"ltsp_server_http_port: 'eighty' is not a whole number from 1 to 65535"),
        (HOST_NETWORK, {"labels": {"app.kubernetes.io/name": "x"}}, r"_labels: the label app\.kubernetes\.io/name is set by the role"),
        (HOST_NETWORK, {"replicas": 3}, r"_replicas: 3 pods for 2 machines"),
        (HOST_NETWORK, {"load_balancer_class": "x"}, r"_load_balancer_class: with host_network there is no Service"),
        (HOST_NETWORK, {"servers": {}}, r"ltsp_kubernetes_servers: the group is empty"),
        (HOST_NETWORK, {"servers": {"kube-1.a": "10.9.0.3", "kube-1.b": "10.9.0.4"}}, r"both kube-1\.a and kube-1\.b .* kube-1: rename one"),
        (HOST_NETWORK, {"servers": {"kube-1": ""}}, r"ltsp_kubernetes_servers: kube-1 has no address: set ltsp_server_address"),
        (HOST_NETWORK, {"servers": {"kube-1": "kube-1"}}, r"ltsp_kubernetes_servers: 'kube-1' is not an IPv4 address"),
        (LOAD_BALANCER, {"servers": HOST_NETWORK["servers"]}, r"_exposure: load_balancer has one address, and ltsp_kubernetes_servers has 2 hosts"),
        (LOAD_BALANCER, {"external_ips": ["10.9.0.9"]}, r"_external_ips: 10\.9\.0\.9 has not the address 10\.9\.0\.2"),
        (LOAD_BALANCER, {"external_ips": ["10.9.0.2"], "load_balancer_ip": "10.9.0.2"}, r"_external_ips: with them there is no load balancer"),
        (LOAD_BALANCER, {"node_selector": {"disk": 1}}, r"_node_selector: 1 is not text"),
        (LOAD_BALANCER, {"grace_period": 1}, r"_grace_period: 1 is not a whole number from 5"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, t.Any], changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(server.ServerError, match=message):
        server.read_settings({**given, **changes})


def test_on_the_host_network_each_host_has_a_pod() -> None:
    assert made("Deployment", HOST_NETWORK, replicas=1)["spec"]["replicas"] == 2


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(server.ServerError, match=r"_name: .*; kubernetes_server_image: .*; ltsp_server_nbd_port: "):
        server.read_settings({**HOST_NETWORK, "name": "_", "image": "x", "ports": {"nbd": 0}})


TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:2A39 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
"""


@pytest.mark.parametrize(
    ("line", "waits"),
    [
        ("   1: 0300090A:2A39 0101090A:C001 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1", True),
        ("   1: 0300090A:2A39 0101090A:C001 06 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1", False),
        ("   1: 0300090A:C001 0101090A:2A39 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1", False),
        ("", False),
    ],
)
def test_nbd_waits_for_its_clients(tmp_path: t.Any, line: str, waits: bool) -> None:
    (tmp_path / "tcp").write_text(TABLE + line + "\n", encoding="ascii")
    command = containers(HOST_NETWORK)["nbd"]["lifecycle"]["preStop"]["exec"]["command"][-1]
    command = command.replace("/proc/net", str(tmp_path)).replace("sleep 1", "exit 9")
    assert subprocess.run(["sh", "-c", command], check=False).returncode == (9 if waits else 0)


def test_tftp_is_ready_when_its_port_is_open(tmp_path: t.Any) -> None:
    program, option, pattern, path = containers(HOST_NETWORK)["tftp"]["startupProbe"]["exec"]["command"]
    assert path == "/proc/net/udp"
    table = tmp_path / "udp"
    for line, ready in (("  123: 00000000:0045 00000000:0000 07 00000000:00000000", True), ("  123: 00000000:0044 00000000:0045 07 00000000:00000000", False)):
        table.write_text(line + "\n", encoding="ascii")
        assert (subprocess.run([program, option, pattern, str(table)], check=False).returncode == 0) is ready


def test_names_of_config_maps_are_names_of_objects() -> None:
    settings = server.read_settings({**HOST_NETWORK, "name": "a" * 63})
    assert all(re.fullmatch(r"[a-z0-9-]{1,253}", name) for name in [*server.config_map_names(settings.name), server.common_name(settings.name)])


def test_the_address_of_a_server_is_the_one_for_nodes_or_that_for_ansible() -> None:
    both = {"ltsp_server_address": "10.9.0.2", "ansible_host": "a.example.org"}
    hostvars: dict[str, dict[str, str]] = {"a": both, "b": {"ltsp_server_address": "", "ansible_host": "10.9.0.3"}, "c": {}}
    assert server.server_addresses(hostvars, ["b", "a"]) == {"b": "10.9.0.3", "a": "10.9.0.2"}
    assert server.server_addresses(hostvars, ["c"]) == {"c": ""}
