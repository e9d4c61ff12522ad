# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster of a lab, whose control plane is a stand-in for ssh."""

from __future__ import annotations

import json
import typing as t

import pytest

from ltsp_lab import cluster
from ltsp_lab.cluster import Cluster, condition, why_not_ready
from ltsp_lab.remote import Remote, RemoteError

if t.TYPE_CHECKING:
    import pathlib

    from stand_ins import Commands

BOOT = "0b6f9d8e"
TRUE = {"type": "Ready", "status": "True"}


def described(*taints: str, ready: dict[str, str] | None = None, boot: str = BOOT) -> cluster.Object:
    status: dict[str, t.Any] = {"nodeInfo": {"bootID": boot}, "conditions": [{"type": "MemoryPressure", "status": "False"}, ready or TRUE]}
    return {"metadata": {"name": "node1"}, "spec": {"taints": [{"key": key} for key in taints]}, "status": status}


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (described(), ""),
        (described("example.org/gpu"), ""),
        ({"spec": {}, "status": {"nodeInfo": {"bootID": BOOT}, "conditions": [TRUE]}}, ""),
        (described(boot="before"), "it has not joined in this boot"),
        ({"spec": {}, "status": {}}, "it has not joined in this boot"),
        (described(ready={"type": "Ready", "status": "False", "message": "no network"}), "it is not Ready: no network"),
        ({"spec": {}, "status": {"nodeInfo": {"bootID": BOOT}}}, "it is not Ready: its kubelet has not said why"),
        (described("node.kubernetes.io/not-ready"), "it is Ready and still has the taints ['node.kubernetes.io/not-ready']"),
    ],
)
def test_a_node_is_ready_when_it_may_have_pods_in_this_boot(node: cluster.Object, reason: str) -> None:
    assert why_not_ready(node, BOOT) == reason


def test_a_condition_that_is_not_known_is_empty() -> None:
    assert condition(described(), "Ready") == TRUE
    assert condition(described(), "DiskPressure") == {}


@pytest.fixture
def control_plane(commands: Commands, tmp_path: pathlib.Path) -> Cluster:
    return Cluster(Remote(tmp_path, "cp-1"))


def test_kubectl_runs_as_the_administrator(control_plane: Cluster, commands: Commands) -> None:
    commands.add("ssh", "cat")
    control_plane.create({"kind": "Pod"})
    assert control_plane.kubectl("get pods", "input", "/x.conf") == "input"
    first, second = commands.calls("ssh")
    assert first.endswith(" cp-1 kubectl --kubeconfig=/etc/kubernetes/admin.conf create --filename=-")
    assert second.endswith(" cp-1 kubectl --kubeconfig=/x.conf get pods")


def test_names_are_in_their_order(control_plane: Cluster, commands: Commands) -> None:
    commands.add("ssh", f"echo '{json.dumps({'items': [{'metadata': {'name': name}} for name in 'ba']})}'")
    assert control_plane.names("nodes") == ["a", "b"]


def test_a_machine_is_waited_for_until_it_is_ready(control_plane: Cluster, commands: Commands, tmp_path: pathlib.Path) -> None:
    node = Remote(tmp_path, "node1")

    def answers(found: cluster.Object) -> None:
        commands.add("ssh", f"case $* in *kubectl*) echo '{json.dumps(found)}' ;; *) echo {BOOT} ;; esac")

    answers(described())
    assert control_plane.ready(node)["metadata"]["name"] == "node1"
    answers(described(boot="before"))
    with pytest.raises(RemoteError, match=r"^node1: it has not joined in this boot$"):
        control_plane.ready(node, 0)


def test_a_machine_that_does_not_answer_for_a_moment_is_waited_for(control_plane: Cluster, commands: Commands, tmp_path: pathlib.Path) -> None:
    tired = f"[ -e {tmp_path}/asked ] || {{ touch {tmp_path}/asked; echo 'Connection timed out during banner exchange' >&2; exit 255; }}"
    commands.add("ssh", f"case $* in *kubectl*) echo '{json.dumps(described())}' ;; *) {tired}; echo {BOOT} ;; esac")
    assert control_plane.ready(Remote(tmp_path, "node1"))["metadata"]["name"] == "node1"
    with pytest.raises(RemoteError, match="banner exchange"):
        (tmp_path / "asked").unlink()
        control_plane.ready(Remote(tmp_path, "node1"), 0)
