# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories that the role ltsp_lab writes, as Ansible writes and reads them."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[3]
ROLE = ROOT / "roles/ltsp_lab"
NODES = [
    {"name": "node1", "number": 11, "macs": ["52:54:00:12:34:56"], "variables": {"ltsp_node_ram": False, "ltsp_node_kernel_args": ["a: b #c", "on"]}},
    {"name": "node2", "number": 12, "macs": ["52:54:00:77:00:02", "52:54:00:77:00:03"]},
]
KUBERNETES = {
    "ltsp_lab_kubernetes_version": "1.36.3",
    "ltsp_lab_kubernetes_programs": "/cache/kubernetes/bin",
    "ltsp_lab_kubernetes_images": "/cache/container-images",
}
SERVER = {
    "ltsp_lab_registry": "10.77.0.1:5000",
    "ltsp_lab_server_group": "ltsp_builders",
    "ltsp_lab_containers": [{"name": "cp-1", "number": 2, "group": "kube_control_plane"}],
    "ltsp_lab_machines": [{"name": "kube-1", "number": 3, "group": "ltsp_kubernetes_servers"}],
}


def ansible(directory: pathlib.Path, command: str, *arguments: str) -> str:
    """Run one of Ansible's commands; returns what it says."""
    environment = {**os.environ, "ANSIBLE_HOME": str(directory / "home"), "ANSIBLE_PIPELINING": "1", "LC_ALL": "C.UTF-8"}
    words = [sys.executable, "-m", "ansible", command, *arguments]
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write(directory: pathlib.Path, **variables: t.Any) -> str:
    """Let the role write the inventories of a lab; returns what Ansible says."""
    (directory / "id_ed25519.pub").write_text("ssh-ed25519 AAAA lab\n", encoding="utf-8")
    role = {"name": str(ROLE), "tasks_from": "inventory"}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": role}]}
    playbook = directory / "play.yml"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    wanted = {"ansible_python_interpreter": sys.executable, "ltsp_lab_directory": str(directory), "ltsp_lab_nodes": NODES, **variables}
    return ansible(directory, "playbook", "--inventory=localhost,", f"--extra-vars={json.dumps(wanted)}", str(playbook))


def read(path: pathlib.Path) -> dict[str, t.Any]:
    content: dict[str, t.Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of a lab with a boot server on Kubernetes."""
    directory = tmp_path_factory.mktemp("lab")
    write(directory, **KUBERNETES, **SERVER)
    return directory


def test_ansible_reads_the_machines_as_they_are_given(lab: pathlib.Path) -> None:
    sources = [f"--inventory={lab / name}" for name in ("inventory.yml", "kubernetes.yml", "kubernetes-server.yml")]
    found = json.loads(ansible(lab, "inventory", "--list", *sources))
    groups = {name: group.get("hosts", []) for name, group in found.items() if name != "_meta"}
    assert groups["ltsp_nodes"] == ["node1", "node2"]
    assert groups["ltsp_builders"] == groups["dhcp_servers"] == ["ltsp-1"]
    assert groups["kube_control_plane"] == ["cp-1"]
    assert groups["ltsp_kubernetes_servers"] == ["kube-1"]
    assert found["ltsp_servers"]["children"] == ["ltsp_kubernetes_servers"]
    machines = found["_meta"]["hostvars"]
    assert {name: machine["ansible_host"] for name, machine in machines.items()} == {
        "ltsp-1": "10.77.0.1",
        "cp-1": "10.77.0.2",
        "kube-1": "10.77.0.3",
        "node1": "10.77.0.11",
        "node2": "10.77.0.12",
    }
    for node in NODES:
        expected = {"ltsp_node_macs": node["macs"], **node.get("variables", {})}
        assert {name: value for name, value in machines[node["name"]].items() if name.startswith("ltsp_node_")} == expected


def test_ssh_knows_the_machines(lab: pathlib.Path) -> None:
    lines = (lab / "ssh_config").read_text(encoding="utf-8").splitlines()
    assert [line.split()[1] for line in lines if line.startswith("Host ")] == ["ltsp-1", "cp-1", "kube-1", "node1", "node2", "*"]


def test_what_kubernetes_adds_is_complete(lab: pathlib.Path) -> None:
    variables = read(lab / "kubernetes.yml")["all"]["vars"]
    assert variables["kubernetes_node_version"] == "1.36.3"
    assert variables["kubernetes_node_directory"] == "/cache/kubernetes/bin"
    assert [image["archive"] for image in variables["kubernetes_node_images"]] == [f"/cache/container-images/{name}.tar" for name in ("pause", "busybox")]
    (part,) = variables["ltsp_image_parts"]
    network = json.loads(next(file["content"] for file in part["files"] if file["path"].endswith(".conflist")).replace("NUMBER", "11"))
    assert network["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.11.0/24"}]]
    unit = next(file["content"] for file in part["files"] if file["path"].endswith(".service"))
    assert """'sed "s/NUMBER/$${IPV4ADDR##*.}/" /usr/local/share/pod-network.conflist >""" in unit


def test_the_credentials_of_the_registry_are_read_when_they_are_needed(lab: pathlib.Path) -> None:
    (lab / "registry").mkdir()
    (lab / "registry/password").write_text("secret\n", encoding="utf-8")
    (lab / "registry/ca.crt").write_text("certificate\n", encoding="utf-8")
    sources = [f"--inventory={lab / name}" for name in ("inventory.yml", "kubernetes-server.yml")]
    said = ansible(lab, "adhoc", "ltsp-1", *sources, "--module-name=debug", "--args=msg={{ [ltsp_container_registry_password, ltsp_container_registry_ca] }}")
    assert '"secret"' in said
    assert '"certificate"' in said
    servers = read(lab / "kubernetes-server.yml")
    assert servers["ltsp_builders"]["vars"]["ltsp_container_name"] == "10.77.0.1:5000/ltsp"
    assert servers["ltsp_kubernetes_servers"]["vars"]["kubernetes_server_kubeconfig"] == str(lab / "kubeconfig")


def test_variables_of_roles_in_the_inventories_exist(lab: pathlib.Path) -> None:
    known: set[str] = set()
    for role in (ROOT / "roles").iterdir():
        known |= set(read(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"])
    for name in ("inventory.yml", "kubernetes.yml", "kubernetes-server.yml"):
        given = {variable for group in read(lab / name).values() for variable in group.get("vars", {})}
        assert {variable for variable in given if not variable.startswith("ansible_")} <= known


def test_a_second_run_changes_nothing_and_inventories_that_are_no_longer_wanted_go(lab: pathlib.Path) -> None:
    """The last test of this module: the lab is another one afterwards."""
    assert "changed=0 " in write(lab, **KUBERNETES, **SERVER)
    write(lab, ltsp_lab_nodes=[])
    assert [path.name for path in sorted(lab.glob("*.yml"))] == ["inventory.yml", "play.yml"]
    found = json.loads(ansible(lab, "inventory", "--list", f"--inventory={lab / 'inventory.yml'}"))
    assert list(found["_meta"]["hostvars"]) == found["ltsp_servers"]["hosts"] == ["ltsp-1"]
