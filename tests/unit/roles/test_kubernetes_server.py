# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The former names of kubernetes_server and join, as of 0.3.0: variables, role, playbooks and tags."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
import yaml

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._renamed import RENAMED

ROOT = pathlib.Path(__file__).parents[3]
IMAGE = "registry.example.org/ltsp@sha256:" + "0123456789abcdef" * 4
FORMER: dict[str, t.Any] = {
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": []}]}}},
    "context": "farm",
    "directory": "/srv/{{ site }}/objects",
    "exposure": "load_balancer",
    "external_ips": ["{{ ltsp_server_address }}"],
    "grace_period": 60,
    "image": IMAGE,
    "kubeconfig": "/root/kubeconfig",
    "labels": {"site": "{{ site }}"},
    "load_balancer_class": "",
    "load_balancer_ip": "",
    "name": "{{ site }}-ltsp",
    "namespace": "boot",
    "node_selector": {"disk": "ssd"},
    "pod_annotations": {"a": "b"},
    "pull_secrets": ["registry"],
    "replicas": 2,
    "resources": {"limits": {"cpu": "1"}},
    "rollout_timeout": 20,
    "service_annotations": {"c": "d"},
    "state": "present",
    "tolerations": [{"key": "role", "operator": "Exists"}],
}
READ = {
    **FORMER,
    "directory": "/srv/berlin/objects",
    "external_ips": ["10.9.0.2"],
    "labels": {"site": "berlin"},
    "name": "berlin-ltsp",
}


def play(directory: pathlib.Path) -> dict[str, t.Any]:
    """Run the former role's entry point on a builder and then the checks of the role; returns what they make of the former variables."""
    names = ["kubernetes_server_" + name for name in FORMER]
    inventory = {
        "all": {"vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "site": "berlin", "store": str(directory / "store")}},
        "ltsp_builders": {"hosts": {"builder": {"ltsp_container_name": "registry.example.org/ltsp", "kubernetes_deploy_store": "{{ store }}"}}},
        "ltsp_servers": {
            "children": {"ltsp_kubernetes_servers": {"hosts": {"boot": {"ltsp_server_address": "10.9.0.2"}}}},
            "vars": {"ltsp_server_subnets": ["10.9.0.0/16"], **{f"kubernetes_deploy_{name}": value for name, value in FORMER.items()}},
        },
    }
    result = "{{ {'values': lookup('ansible.builtin.vars', *names), 'objects': __kubernetes_server_objects} | to_json }}"
    plays = [
        {"hosts": "builder", "tasks": [{"import_role": {"name": "serverfarm.ltsp.kubernetes_deploy", "tasks_from": "builder.yml"}}]},
        {
            "hosts": "boot",
            "vars": {"names": names},
            "tasks": [
                {"include_role": {"name": "serverfarm.ltsp.kubernetes_server", "tasks_from": "check", "public": True}},
                {
                    "copy": {
                        "dest": f"{directory}/result.json",
                        "content": result,
                        "mode": "0600",
                    }
                },
            ],
        },
    ]
    (directory / "store/private/containers").mkdir(parents=True)
    (directory / "store/private/containers/ltsp.json").write_text(json.dumps({"image": IMAGE, "images": []}), encoding="utf-8")
    (directory / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    (directory / "play.json").write_text(json.dumps([{"gather_facts": False, **item} for item in plays]), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_HOME": str(directory / "home"), "ANSIBLE_PIPELINING": "1"}
    command = [sys.executable, "-m", "ansible", "playbook", f"--inventory={directory}/inventory.json", str(directory / "play.json")]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=directory)
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads((directory / "result.json").read_text(encoding="utf-8"))
    return {"values": dict(zip(FORMER, made["values"])), "objects": made["objects"]}


def test_the_variables_of_0_3_0_are_read(tmp_path: pathlib.Path) -> None:
    made = play(tmp_path)
    # ansible-core 2.18 makes text of a number.
    assert {name: type(READ[name])(value) for name, value in made["values"].items()} == READ
    service, deployment = (next(item for item in made["objects"]["server"] if item["kind"] == kind) for kind in ("Service", "Deployment"))
    assert (service["metadata"]["name"], service["metadata"]["namespace"], service["spec"]["externalIPs"]) == ("berlin-ltsp", "boot", ["10.9.0.2"])
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE


def test_each_variable_of_the_role_has_a_former_name() -> None:
    defaults = yaml.safe_load((ROOT / "roles/kubernetes_server/defaults/main.yml").read_text(encoding="utf-8"))
    former = {name: new for name, new in RENAMED.items() if new.startswith("kubernetes_server_")}
    assert former == {name.replace("kubernetes_server_", "kubernetes_deploy_"): name for name in defaults}
    assert set(former) == {f"kubernetes_deploy_{name}" for name in FORMER}


@pytest.mark.parametrize(("former", "name"), [("kubernetes", "join"), ("deploy", "kubernetes_server")])
def test_the_playbooks_and_tags_of_0_3_0_do_the_same(former: str, name: str) -> None:
    [wrapper] = yaml.safe_load((ROOT / f"playbooks/{former}.yml").read_text(encoding="utf-8"))
    assert wrapper["ansible.builtin.import_playbook"] == f"{name}.yml"
    for item in yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text(encoding="utf-8")):
        assert item["tags"] == [name, former]
