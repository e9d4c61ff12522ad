# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of an image for a Kubernetes node, and the combinations that cannot work."""

from __future__ import annotations

import os.path
import re
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import boolean, mapping, summary, text

PROGRAMS = ("kubelet", "kubeadm", "kubectl")
IMAGES = "/usr/share/ltsp/container-images"

_VERSION = re.compile(r"v?1\.(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?", re.ASCII)
_REPORTED_VERSION = re.compile(r"(?:Kubernetes )?v?1\.([0-9]+)\.([0-9]+)\S*", re.ASCII)
_SIZE = re.compile(r"(100|[1-9][0-9]?)%|[1-9][0-9]*[kmg]?", re.IGNORECASE | re.ASCII)
_PROFILE = re.compile(r"[A-Za-z0-9_.*?\[\]-]+", re.ASCII)
_IMAGE_NAME = re.compile(
    r"(?P<repository>(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|localhost|[a-z0-9.-]+(?=:[0-9]))(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+)"
    r":(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_PLUGINS = "/opt/cni/bin"
_TOOLS = ["ca-certificates", "conntrack", "curl", "ethtool", "iptables", "nftables", "socat"]
_COMPANIONS = ["cri-tools", "kubernetes-cni"]
_UNITS = [
    "var-lib-ltsp\\x2dkubernetes.mount",
    "var-lib-containerd.mount",
    "var-lib-kubelet.mount",
    "kubernetes-images.service",
    "kubernetes-join.service",
    "kubernetes-leave.service",
]
# By engine, and whether cri-dockerd stands between engine and kubelet.
_CRI_SOCKETS = {
    ("containerd", False): "unix:///run/containerd/containerd.sock",
    ("docker", True): "unix:///run/cri-dockerd.sock",
    ("docker", False): "/var/run/dockershim.sock",
}
_UNIFIED = "systemd.unified_cgroup_hierarchy"
_SHOWN_NODES = 5

# The containerd of each suite, which may be too old for a kubelet, and the suites whose systemd starts with cgroup v1.
_CONTAINERD = {"bullseye": (1, 4), "bookworm": (1, 6), "trixie": (1, 7)}
_CGROUP_V1_SUITES = ("stretch", "buster", "bionic", "focal")
# The containerd that kubelet needs from a minor on: 1.26 dropped CRI v1alpha2, 1.37 the fallback for a runtime that does not tell its cgroup driver.
_NEEDS_CONTAINERD = ((37, (2, 0)), (26, (1, 6)))
# The suites in which docker.io comes without the command docker.
_DOCKER_CLI_SUITES = ("trixie", "forky", "sid")


class NodeError(Exception):
    """The variables cannot work; the message names variable, value and remedy."""


class Version(t.NamedTuple):
    """A version of Kubernetes. Without a patch it is the newest one of the minor."""

    minor: int
    patch: t.Optional[int]

    def __str__(self) -> str:
        return f"1.{self.minor}" if self.patch is None else f"1.{self.minor}.{self.patch}"

    def pin(self) -> str:
        """Return the version pattern for apt, of any revision of the package."""
        return f"{self}.*" if self.patch is None else f"{self}-*"

    def includes(self, other: Version) -> bool:
        """Tell whether `other` fits this version."""
        return self.minor == other.minor and self.patch in (None, other.patch)


class Image(t.NamedTuple):
    """A container image of the node: an archive on the controller, or a name and the source in a registry."""

    path: str
    archive: str = ""
    name: str = ""
    source: str = ""


class Plan(t.TypedDict):
    """The contents that the role adds; packages, files, builds and commands are as ltsp_image takes them."""

    engine: str
    shim: bool
    cri_socket: str
    docker_options: dict[str, t.Any]
    tmpfs: str
    apparmor: bool
    packages: list[str]
    files: list[dict[str, str]]
    builds: list[dict[str, t.Any]]
    commands: list[dict[str, list[str]]]


def plan_node(
    settings: Mapping[str, t.Any],
    nodes: Iterable[Mapping[str, t.Any]] = (),
    runtime: Iterable[Mapping[str, t.Any]] = (),
    control_plane: str = "",
    kubelet: str = "",
    exists: Callable[[str], bool] = os.path.isfile,
) -> Plan:
    """Check the role's variables against each other, the nodes, and the versions of the control plane and of the directory's kubelet."""
    problems: list[str] = []

    def checked(name: str, check: Callable[[t.Any], t.Any]) -> t.Any:
        try:
            return check(settings[name])
        except ValueError as error:
            problems.append(f"kubernetes_node_{name}: {error}")
            return None

    version = checked("version", parse_version)
    docker_options = checked("docker_options", mapping)
    images = checked("images", lambda value: _images(to_list(value), exists))
    tmpfs = checked("tmpfs", _size)
    apparmor = checked("apparmor", boolean)
    disabled = checked("apparmor_disabled", _profiles)
    problems.extend(_sources(settings, exists))
    if version is not None:
        problems.extend(_binaries(version, settings, kubelet))
        problems.extend(_engine(version, settings))
        problems.extend(_cgroups(version, settings["suite"], [node for node in nodes if node["image"] == settings["image"]]))
        problems.extend(_skew(version, control_plane))
    if problems:
        raise NodeError(summary(problems))
    shim = settings["engine"] == "docker" and bool(settings["cri_dockerd"])
    return Plan(
        engine=settings["engine"],
        shim=shim,
        cri_socket=_CRI_SOCKETS[settings["engine"], shim],
        docker_options=docker_options,
        tmpfs=tmpfs,
        apparmor=apparmor,
        packages=_packages(version, settings) + (["apparmor"] if apparmor else []),
        files=_runtime(settings["runtime"], runtime) + _files(settings, images, exists),
        builds=_builds([image for image in images if image.source]),
        commands=_commands(settings, shim, disabled if apparmor else []),
    )


def _packages(version: Version, settings: Mapping[str, t.Any]) -> list[str]:
    packages = engine_packages(settings["engine"], settings["engine_source"], settings["suite"]) + _TOOLS
    if settings["source"] == "directory":
        return [*packages, "containernetworking-plugins"]
    return packages + [f"{program}={version.pin()}" for program in PROGRAMS] + _COMPANIONS


def _runtime(directory: str, found: Iterable[Mapping[str, t.Any]]) -> list[dict[str, str]]:
    files = [{"path": "/" + os.path.relpath(file["path"], directory), "src": str(file["path"]), "mode": "0755" if file["xusr"] else "0644"} for file in found]
    return sorted(files, key=lambda file: file["path"])


def _files(settings: Mapping[str, t.Any], images: Iterable[Image], exists: Callable[[str], bool]) -> list[dict[str, str]]:
    programs: dict[str, str] = {}
    if settings["source"] == "directory":
        programs = {program: os.path.join(settings["directory"], program) for program in (*PROGRAMS, "crictl")}
        if not exists(programs["crictl"]):
            del programs["crictl"]
    if settings["engine"] == "docker" and settings["cri_dockerd"]:
        programs["cri-dockerd"] = settings["cri_dockerd"]
    files = [{"path": image.path, "src": image.archive} for image in images if image.archive]
    return files + [{"path": f"/usr/bin/{program}", "src": path, "mode": "0755"} for program, path in programs.items()]


def _builds(images: list[Image]) -> list[dict[str, t.Any]]:
    if not images:
        return []
    fetch = [{"argv": ["skopeo", "copy", f"docker://{image.source}", f"docker-archive:{image.path}:{image.name}"]} for image in images]
    return [
        {
            "name": "container-images",
            "packages": ["skopeo"],
            "commands": [{"argv": ["mkdir", "-p", IMAGES]}, *fetch],
            "paths": [image.path for image in images],
        }
    ]


def _commands(settings: Mapping[str, t.Any], shim: bool, disabled: list[str]) -> list[dict[str, list[str]]]:
    commands: list[list[str]] = []
    if settings["source"] == "directory":
        # Network add-ons put their plugins into this directory, and some engines read no other.
        commands.append(["sh", "-c", f"mkdir -p {_PLUGINS} && ln -sf -t {_PLUGINS} /usr/lib/cni/*"])
    else:
        commands.append(["apt-mark", "hold", *PROGRAMS, *_COMPANIONS])
        # kubeadm starts kubelet after it has written its configuration.
        commands.append(["systemctl", "disable", "kubelet.service"])
    # kubeadm checks the kernel's configuration, and the image leaves /boot out.
    copy = 'for config in /boot/config-*; do [ ! -e "$config" ] || cp "$config" "/usr/lib/modules/${config#/boot/config-}/config"; done'
    commands.append(["sh", "-c", copy])
    if disabled:
        names = " -o ".join(f"-name {name}" for name in disabled).split()
        found = ["find", "/etc/apparmor.d", "-maxdepth", "1", "-type", "f", "(", *names, ")"]
        commands.append([*found, "-exec", "ln", "-sf", "-t", "/etc/apparmor.d/disable", "{}", "+"])
    units = ["containerd.service"]
    if settings["engine"] == "docker":
        units += ["docker.service", "var-lib-docker.mount"]
    if shim:
        units.append("cri-docker.service")
    commands.append(["systemctl", "enable", *units, *_UNITS])
    return [{"argv": command} for command in commands]


def parse_version(value: t.Any) -> Version:
    """Read 1.36 or 1.36.3. It has to be text, because the number 1.30 is 1.3."""
    match = _VERSION.fullmatch(text(value, "version"))
    if not match:
        raise ValueError(f"{value!r} is not a version of Kubernetes: write a minor as in '1.36', or an exact version as in '1.36.3'")
    return Version(int(match[1]), None if match[2] is None else int(match[2]))


def reported_version(value: str) -> t.Optional[Version]:
    """Read the output of a program's --version, maybe with the suffix of a vendor; None for any other text."""
    match = _REPORTED_VERSION.fullmatch(value.strip())
    return Version(int(match[1]), int(match[2])) if match else None


def engine_packages(engine: str, source: str, suite: str) -> list[str]:
    """Name the packages of the container engine."""
    if source == "docker":
        return ["containerd.io"] if engine == "containerd" else ["containerd.io", "docker-ce", "docker-ce-cli"]
    if engine == "containerd":
        return ["containerd"]
    return ["docker.io", "docker-cli"] if suite in _DOCKER_CLI_SUITES else ["docker.io"]


def _images(items: list[t.Any], exists: Callable[[str], bool]) -> list[Image]:
    images: list[Image] = []
    for item in items:
        archive, name = item.get("archive"), item.get("name")
        if archive:
            _check_file(archive, exists)
            if not archive.endswith(".tar"):
                raise ValueError(f"{archive} has not the extension .tar: give an archive of docker save that is not compressed")
            image = Image(f"{IMAGES}/{os.path.basename(archive)}", archive=archive)
        else:
            image = _fetched(name)
        if image.path in [other.path for other in images]:
            raise ValueError(f"two images would be {image.path}: remove or rename {archive or name}")
        images.append(image)
    return images


def _fetched(name: t.Any) -> Image:
    match = _IMAGE_NAME.fullmatch(text(name, "name"))
    if not match:
        raise ValueError(
            f"{name!r} is not the whole name of an image: write registry, path and tag as in registry.k8s.io/pause:3.10.1, "
            "with @sha256:... after it to fix the content"
        )
    tagged = f"{match['repository']}:{match['tag']}"
    source = f"{match['repository']}@{match['digest']}" if match["digest"] else tagged
    return Image(f"{IMAGES}/{re.sub('[/:]', '_', tagged)}.tar", name=tagged, source=source)


def _size(value: t.Any) -> str:
    size = str(value).strip()
    if isinstance(value, bool) or not _SIZE.fullmatch(size):
        raise ValueError(f"{value!r} is not the size of a tmpfs: write 1% to 100% of the memory, or bytes as in 4G or 512m")
    return size


def _profiles(value: t.Any) -> list[str]:
    profiles = [text(item, "pattern") for item in to_list(value)]
    for profile in profiles:
        if not _PROFILE.fullmatch(profile):
            raise ValueError(f"{profile!r} is not a pattern of names in /etc/apparmor.d: write it as in usr.sbin.* without a directory")
    return profiles


def _check_file(path: str, exists: Callable[[str], bool]) -> None:
    if not path.startswith("/"):
        raise ValueError(f"{path} is not an absolute path: begin it with {{{{ inventory_dir }}}} or {{{{ playbook_dir }}}}")
    if not exists(path):
        raise ValueError(f"{path} is not on the controller: put it there, or correct the path")


def _sources(settings: Mapping[str, t.Any], exists: Callable[[str], bool]) -> Iterator[str]:
    files = {"cri_dockerd": [settings["cri_dockerd"]]} if settings["cri_dockerd"] else {}
    if settings["source"] == "directory":
        directory = settings["directory"]
        if directory:
            files["directory"] = [os.path.join(directory, program) for program in PROGRAMS]
        else:
            yield f"kubernetes_node_directory is not set: set it to a directory on the controller with {', '.join(PROGRAMS)}"
    for name, paths in files.items():
        for path in paths:
            try:
                _check_file(path, exists)
            except ValueError as error:
                yield f"kubernetes_node_{name}: {error}"


def _binaries(version: Version, settings: Mapping[str, t.Any], kubelet: str) -> Iterator[str]:
    found = reported_version(kubelet)
    if settings["source"] == "directory" and found and not version.includes(found):
        yield (
            f"kubernetes_node_directory: {settings['directory']}/kubelet is {found} and kubernetes_node_version is {version}: "
            "set the version to that of the binaries, or put the others there"
        )


def _engine(version: Version, settings: Mapping[str, t.Any]) -> Iterator[str]:
    if settings["engine"] == "docker":
        if version.minor >= 24 and not settings["cri_dockerd"]:
            yield (
                f"kubernetes_node_engine: kubelet {version} cannot use docker by itself (1.24 was the first that cannot): set kubernetes_node_cri_dockerd to "
                "the path of cri-dockerd on the controller (https://github.com/Mirantis/cri-dockerd), or kubernetes_node_engine to containerd"
            )
        return
    offered = _CONTAINERD.get(settings["suite"]) if settings["engine_source"] == "distribution" else None
    for minor, needed in _NEEDS_CONTAINERD:
        if offered and version.minor >= minor and offered < needed:
            yield (
                f"kubernetes_node_engine_source: kubelet {version} needs containerd {_dotted(needed)} or later, and {settings['suite']} has {_dotted(offered)}"
                ": set kubernetes_node_engine_source to docker, or ltsp_image_suite to a later suite"
            )
            return


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _cgroups(version: Version, suite: str, nodes: list[Mapping[str, t.Any]]) -> Iterator[str]:
    default = suite not in _CGROUP_V1_SUITES
    unified: dict[bool, list[str]] = {True: [], False: []}
    for node in nodes:
        unified[_is_unified(node["kernel_args"], default)].append(str(node["name"]))
    if not nodes:
        unified[default].append(f"every node of the suite {suite}")
    if version.minor >= 35 and unified[False]:
        yield (
            f"kubernetes_node_version: kubelet {version} does not start on cgroup v1, with which {_some(unified[False])} would boot: "
            f"remove {_UNIFIED}=0 from ltsp_node_kernel_args, or set it to 1 where the suite is older than Debian 11 and Ubuntu 22.04"
        )
    if version.minor < 19 and unified[True]:
        yield (
            f"kubernetes_node_version: kubelet {version} does not know cgroup v2, with which {_some(unified[True])} would boot: "
            f"add {_UNIFIED}=0 to ltsp_node_kernel_args, or take Kubernetes 1.19 or later"
        )


def _is_unified(arguments: Iterable[str], default: bool) -> bool:
    for argument in arguments:
        name, separator, value = argument.partition("=")
        if name == _UNIFIED:
            default = value.lower() in ("1", "yes", "y", "true", "t", "on") if separator else True
    return default


def _some(names: list[str]) -> str:
    hidden = len(names) - _SHOWN_NODES
    return ", ".join(names[:_SHOWN_NODES]) + (f" and {hidden} more" if hidden > 0 else "")


def _skew(version: Version, control_plane: str) -> Iterator[str]:
    """Judge as check_versions of roles/kubernetes_join/files/ltsp_join.py, by the same table of test cases."""
    cluster = reported_version(control_plane)
    if cluster is None:
        return
    oldest = cluster.minor - (3 if cluster.minor >= 28 else 2)
    remedy = f"set kubernetes_node_version to '1.{cluster.minor}'"
    if version.minor > cluster.minor:
        yield f"kubernetes_node_version: kubelet {version} is newer than the control plane ({cluster}): {remedy}, or upgrade the control plane first"
    elif version.minor < oldest:
        yield f"kubernetes_node_version: kubelet {version} is too old for the control plane ({cluster}), which needs 1.{oldest} or later: {remedy}"
    elif version.minor < 31 <= cluster.minor:
        yield f"kubernetes_node_version: kubeadm {version} cannot read the configuration (v1beta4) of the control plane ({cluster}): {remedy}, or 1.31 at least"
