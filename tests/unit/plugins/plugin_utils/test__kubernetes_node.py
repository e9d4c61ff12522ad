# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import stat
import typing as t

import pytest

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.node import NodeError, Plan, parse_version, plan_node, reported_version

VERSION_SKEW_CASES = json.loads((pathlib.Path(__file__).parents[2] / "version_skew_cases.json").read_text(encoding="utf-8"))
RUNTIME = pathlib.Path(__file__).parents[4] / "roles" / "kubernetes_node" / "files" / "runtime"
SETTINGS: dict[str, t.Any] = {
    "version": "1.36.3",
    "source": "repository",
    "directory": "",
    "engine": "containerd",
    "engine_source": "distribution",
    "suite": "trixie",
    "docker_options": {"iptables": False},
    "cri_dockerd": "",
    "images": [],
    "tmpfs": "40%",
    "apparmor": True,
    "apparmor_disabled": [],
    "image": "node",
    "runtime": "/role/files/runtime",
}
DIRECTORY = {"source": "directory", "directory": "/k8s/bin"}
DIGEST = "sha256:" + "0123456789abcdef" * 4


def plan(
    nodes: t.Sequence[t.Mapping[str, t.Any]] = (),
    runtime: t.Sequence[t.Mapping[str, t.Any]] = (),
    control_plane: str = "",
    kubelet: str = "",
    missing: t.Sequence[str] = (),
    **settings: t.Any,
) -> Plan:
    return plan_node({**SETTINGS, **settings}, nodes, runtime, control_plane, kubelet, exists=lambda path: path not in missing)


def node(*kernel_args: str, name: str = "node1", image: str = "node") -> dict[str, t.Any]:
    return {"name": name, "image": image, "kernel_args": list(kernel_args)}


def commands(planned: Plan) -> list[str]:
    return [" ".join(command["argv"]) for command in planned["commands"]]


@pytest.mark.parametrize(("value", "pin"), [("1.36", "1.36.*"), ("1.36.3", "1.36.3-*"), (" v1.30.0 ", "1.30.0-*")])
def test_a_version_is_a_minor_or_exact(value: str, pin: str) -> None:
    assert parse_version(value).pin() == pin


@pytest.mark.parametrize("value", [1.3, 1, None, "", "1", "latest", "2.0", "1.36.", "1.36.3-1.1", "1.036", "1.36.*", "１.36"])
def test_a_malformed_version_is_refused(value: t.Any) -> None:
    with pytest.raises(NodeError, match=r"kubernetes_node_version: .* (in quotes|as in '1\.36')"):
        plan(version=value)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("v1.36.3", "1.36.3"),
        ("Kubernetes v1.36.3\n", "1.36.3"),
        ("v1.30.2+k3s1", "1.30.2"),
        ("v1.31.0-eks-1", "1.31.0"),
        ("", None),
        ("command not found", None),
    ],
)
def test_what_a_program_says_of_itself_is_read(said: str, version: str | None) -> None:
    found = reported_version(said)
    assert (str(found) if found else None) == version


def test_packages_are_pinned_and_held() -> None:
    planned = plan()
    assert planned["packages"][0] == "containerd"
    assert {"kubelet=1.36.3-*", "kubeadm=1.36.3-*", "kubectl=1.36.3-*", "cri-tools", "kubernetes-cni", "apparmor", "conntrack"} <= set(planned["packages"])
    assert commands(planned)[:2] == ["apt-mark hold kubelet kubeadm kubectl cri-tools kubernetes-cni", "systemctl disable kubelet.service"]
    assert "kubelet" not in commands(planned)[-1].replace("var-lib-kubelet.mount", "")


def test_binaries_come_from_a_directory_and_plugins_from_the_distribution() -> None:
    planned = plan(missing=["/k8s/bin/crictl"], kubelet="Kubernetes v1.36.3", **DIRECTORY)
    assert planned["files"] == [{"path": f"/usr/bin/{name}", "src": f"/k8s/bin/{name}", "mode": "0755"} for name in ("kubelet", "kubeadm", "kubectl")]
    assert "containernetworking-plugins" in planned["packages"]
    assert not [package for package in planned["packages"] if package.startswith("kube")]
    assert "/opt/cni/bin /usr/lib/cni/*" in commands(planned)[0]
    assert any("/boot/config-*" in command and "/usr/lib/modules/" in command for command in commands(planned))


def test_crictl_comes_along_when_it_is_there() -> None:
    assert plan(**DIRECTORY)["files"][-1]["path"] == "/usr/bin/crictl"


@pytest.mark.parametrize(
    ("settings", "packages"),
    [
        ({}, ["containerd"]),
        ({"engine_source": "docker"}, ["containerd.io"]),
        ({"engine": "docker", "cri_dockerd": "/b/cri-dockerd"}, ["docker.io", "docker-cli"]),
        ({"engine": "docker", "cri_dockerd": "/b/cri-dockerd", "suite": "bookworm"}, ["docker.io"]),
        ({"engine": "docker", "cri_dockerd": "/b/cri-dockerd", "engine_source": "docker"}, ["containerd.io", "docker-ce", "docker-ce-cli"]),
    ],
)
def test_the_engine_is_of_its_source(settings: dict[str, t.Any], packages: list[str]) -> None:
    planned = plan(**settings)
    assert planned["packages"][: len(packages)] == packages
    assert planned["packages"][len(packages)] == "ca-certificates"


@pytest.mark.parametrize(
    ("settings", "socket", "units"),
    [
        ({}, "unix:///run/containerd/containerd.sock", "containerd.service"),
        (
            {"engine": "docker", "cri_dockerd": "/b/cri-dockerd"},
            "unix:///run/cri-dockerd.sock",
            "containerd.service docker.service var-lib-docker.mount cri-docker.service",
        ),
        ({"engine": "docker", "version": "1.23.17"}, "/var/run/dockershim.sock", "containerd.service docker.service var-lib-docker.mount"),
    ],
)
def test_kubelet_finds_the_engine(settings: dict[str, t.Any], socket: str, units: str) -> None:
    planned = plan(**settings)
    assert planned["cri_socket"] == socket
    assert commands(planned)[-1].startswith(f"systemctl enable {units} var-lib-ltsp\\x2dkubernetes.mount")
    assert commands(planned)[-1].endswith("kubernetes-images.service kubernetes-join.service kubernetes-leave.service")


def test_cri_dockerd_is_nothing_to_containerd() -> None:
    planned = plan(cri_dockerd="/b/cri-dockerd")
    assert not planned["shim"]
    assert planned["files"] == []


def test_the_runtime_is_installed_file_by_file() -> None:
    found = [{"path": "/role/files/runtime/usr/b", "xusr": False}, {"path": "/role/files/runtime/usr/a", "xusr": True}]
    assert plan(runtime=found)["files"] == [
        {"path": "/usr/a", "src": "/role/files/runtime/usr/a", "mode": "0755"},
        {"path": "/usr/b", "src": "/role/files/runtime/usr/b", "mode": "0644"},
    ]


def test_on_a_node_only_root_may_write_the_runtime_and_its_programs_can_be_run() -> None:
    files = [path for path in RUNTIME.rglob("*") if path.is_file()]
    found = [{"path": str(path), "xusr": bool(path.stat().st_mode & stat.S_IXUSR)} for path in files]
    modes = {file["path"]: file["mode"] for file in plan_node({**SETTINGS, "runtime": str(RUNTIME)}, runtime=found)["files"]}
    assert set(modes.values()) == {"0755", "0644"}
    assert {path for path, mode in modes.items() if mode == "0755"} == {f"/usr/lib/ltsp/kubernetes-{name}" for name in ("images", "join", "leave")}


def test_images_are_files_or_fetched() -> None:
    planned = plan(images=[{"archive": "/a/pause.tar"}, {"name": "registry.k8s.io/kube-proxy:v1.36.3"}, {"name": f"localhost:5000/a/b:1@{DIGEST}"}])
    assert planned["files"] == [{"path": "/usr/share/ltsp/container-images/pause.tar", "src": "/a/pause.tar"}]
    (build,) = planned["builds"]
    assert build["paths"] == [
        "/usr/share/ltsp/container-images/registry.k8s.io_kube-proxy_v1.36.3.tar",
        "/usr/share/ltsp/container-images/localhost_5000_a_b_1.tar",
    ]
    assert [command["argv"][2:] for command in build["commands"][1:]] == [
        ["docker://registry.k8s.io/kube-proxy:v1.36.3", f"docker-archive:{build['paths'][0]}:registry.k8s.io/kube-proxy:v1.36.3"],
        [f"docker://localhost:5000/a/b@{DIGEST}", f"docker-archive:{build['paths'][1]}:localhost:5000/a/b:1"],
    ]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"archive": "pause.tar"}, "pause.tar is not an absolute path: .*inventory_dir"),
        ({"archive": "/a/none.tar"}, "/a/none.tar is not on the controller"),
        ({"archive": "/a/pause.tar.gz"}, "has not the extension .tar"),
        ({"name": "pause:3.10"}, "'pause:3.10' is not the whole name .*registry.k8s.io/pause:3.10.1"),
        ({"name": "registry.k8s.io/pause"}, "not the whole name"),
        ({"name": f"registry.k8s.io/pause@{DIGEST}"}, "not the whole name"),
        ({"name": "registry.k8s.io/pause:1;reboot"}, "not the whole name"),
        ({"name": None}, "in quotes"),
        ({"archive": "/other/taken.tar"}, "two images would be .*remove or rename /other/taken.tar"),
    ],
)
def test_an_image_that_cannot_be_there_is_refused(item: dict[str, t.Any], message: str) -> None:
    with pytest.raises(NodeError, match=f"kubernetes_node_images: .*{message}"):
        plan(images=[{"archive": "/a/taken.tar"}, item], missing=["/a/none.tar"])


REFUSED: list[tuple[dict[str, t.Any], str]] = [
    ({"engine": "docker"}, "kubernetes_node_engine: kubelet 1.36.3 cannot use docker by itself .*set kubernetes_node_cri_dockerd"),
    (
        {"engine": "docker", "cri_dockerd": "/b/cri-dockerd", "missing": ["/b/cri-dockerd"]},
        "kubernetes_node_cri_dockerd: /b/cri-dockerd is not on the controller",
    ),
    ({"suite": "bullseye"}, r"needs containerd 1\.6 or later, and bullseye has 1\.4: set kubernetes_node_engine_source to docker"),
    ({"version": "1.37"}, r"kubelet 1\.37 needs containerd 2\.0 or later, and trixie has 1\.7"),
    ({"source": "directory"}, "kubernetes_node_directory is not set: set it to a directory"),
    ({"source": "directory", "directory": "bin"}, "kubernetes_node_directory: bin/kubelet is not an absolute path"),
    ({**DIRECTORY, "missing": ["/k8s/bin/kubeadm"]}, "kubernetes_node_directory: /k8s/bin/kubeadm is not on the controller"),
    ({**DIRECTORY, "kubelet": "Kubernetes v1.35.3"}, r"/k8s/bin/kubelet is 1\.35\.3 and kubernetes_node_version is 1\.36\.3: set the version"),
    (
        {"nodes": [node("systemd.unified_cgroup_hierarchy=0")]},
        "kubelet 1.36.3 does not start on cgroup v1, with which node1 would boot: remove systemd.unified",
    ),
    ({"nodes": [node("systemd.unified_cgroup_hierarchy=1"), node("systemd.unified_cgroup_hierarchy=no", name="node2")]}, "v1, with which node2 would boot"),
    ({"suite": "focal"}, "cgroup v1, with which every node of the suite focal would boot"),
    ({"version": "1.18.20"}, "kubelet 1.18.20 does not know cgroup v2, .*add systemd.unified_cgroup_hierarchy=0"),
    ({"version": "1.18.20", "suite": "focal", "nodes": [node("systemd.unified_cgroup_hierarchy")]}, "does not know cgroup v2, with which node1"),
    ({"control_plane": "v1.35.2"}, r"kubelet 1\.36\.3 is newer than the control plane \(1\.35\.2\).*set kubernetes_node_version to '1\.35'"),
    ({"version": "1.32", "control_plane": "v1.36.3"}, r"kubelet 1\.32 is too old for the control plane \(1\.36\.3\), which needs 1\.33 or later"),
    ({"version": "1.24", "control_plane": "v1.27.0"}, r"too old for the control plane \(1\.27\.0\), which needs 1\.25"),
    ({"version": "1.30", "control_plane": "v1.31.0"}, r"kubeadm 1\.30 cannot read the configuration \(v1beta4\) of the control plane .*or 1\.31 at least"),
    ({"tmpfs": "much"}, "kubernetes_node_tmpfs: 'much' is not the size of a tmpfs"),
    ({"tmpfs": "0%"}, "kubernetes_node_tmpfs: '0%'"),
    ({"apparmor": "perhaps"}, "kubernetes_node_apparmor: 'perhaps' is neither true nor false"),
    ({"apparmor_disabled": ["/etc/apparmor.d/x"]}, "kubernetes_node_apparmor_disabled: '/etc/apparmor.d/x' is not a pattern"),
    ({"docker_options": "[]"}, r"kubernetes_node_docker_options: .*not a dictionary"),
]


@pytest.mark.parametrize(("case", "message"), REFUSED, ids=[message[:60] for _case, message in REFUSED])
def test_what_cannot_work_is_refused(case: dict[str, t.Any], message: str) -> None:
    with pytest.raises(NodeError, match=message):
        plan(**case)


ACCEPTED: list[dict[str, t.Any]] = [
    {"suite": "bookworm"},
    {"suite": "bookworm", "version": "1.26"},
    {"suite": "bullseye", "version": "1.25"},
    {"suite": "bullseye", "engine_source": "docker"},
    {"suite": "a-suite-of-the-future", "version": "1.37"},
    {"version": "1.37", "engine_source": "docker"},
    {"version": "1.34", "nodes": [node("systemd.unified_cgroup_hierarchy=0")]},
    {"nodes": [node("systemd.unified_cgroup_hierarchy=0", image="other")]},
    {"suite": "focal", "nodes": [node("systemd.unified_cgroup_hierarchy=1")]},
    {"version": "1.18.20", "nodes": [node("systemd.unified_cgroup_hierarchy=0")]},
    {"control_plane": "v1.36.0"},
    {"version": "1.33", "control_plane": "v1.36.3"},
    {"version": "1.25", "control_plane": "v1.28.0"},
    {"version": "1.28", "control_plane": "v1.30.9"},
    {"control_plane": "Unable to connect to the server"},
    {**DIRECTORY, "version": "1.36", "kubelet": "Kubernetes v1.36.9"},
    {**DIRECTORY, "kubelet": "exec format error"},
    {"tmpfs": "4G"},
]


@pytest.mark.parametrize("case", ACCEPTED, ids=[str(case)[:60] for case in ACCEPTED])
def test_what_works_is_accepted(case: dict[str, t.Any]) -> None:
    plan(**case)


SKEWS = {"newer": "is newer than the control plane", "older": "is too old for the control plane", "kubeadm": "cannot read the configuration"}


@pytest.mark.parametrize("case", VERSION_SKEW_CASES, ids=[case["name"] for case in VERSION_SKEW_CASES])
def test_the_version_skew_is_judged_as_by_ltsp_join(case: dict[str, str]) -> None:
    message = ""
    try:
        plan(version=case["node"], control_plane=f"v{case['control_plane']}.9")
    except NodeError as error:
        message = str(error)
    assert [problem for problem, words in SKEWS.items() if words in message] == [problem for problem in [case["problem"]] if problem]


def test_all_problems_are_said_at_once_and_not_every_node() -> None:
    nodes = [node("systemd.unified_cgroup_hierarchy=0", name=f"node{number}") for number in range(9)]
    with pytest.raises(NodeError) as caught:
        plan(engine="docker", nodes=nodes, control_plane="v1.30.0", tmpfs="")
    message = str(caught.value)
    assert message.count("kubernetes_node_version: ") == 2
    assert "kubernetes_node_engine: " in message
    assert "kubernetes_node_tmpfs: " in message
    assert "node0, node1, node2, node3, node4 and 4 more" in message


def test_values_of_a_survey_are_understood() -> None:
    planned = plan(docker_options='{"iptables": true}', apparmor="no", apparmor_disabled="usr.*, sbin.*", images="")
    assert planned["docker_options"] == {"iptables": True}
    assert planned["apparmor"] is False
    assert "apparmor" not in planned["packages"]


def test_profiles_are_disabled() -> None:
    (found,) = [command["argv"] for command in plan(apparmor_disabled="usr.*, sbin.*")["commands"] if command["argv"][0] == "find"]
    assert found[6:13] == ["(", "-name", "usr.*", "-o", "-name", "sbin.*", ")"][:7]
    assert found[-1] == "+"
