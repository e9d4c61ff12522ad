# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two commands: what they say before they touch anything, and the functions that they share."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import typing as t
import zipfile

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(params=["dash", "busybox sh"])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return request.param.split()


class Commands:
    """Stand-ins for the programs that the scripts call; every call is written down."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.calls_file = directory / "calls"
        self.calls_file.touch()

    def add(self, name: str, script: str) -> None:
        path = self.directory / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls_file}\n{script}\n', encoding="utf-8")
        path.chmod(0o755)

    def calls(self) -> list[str]:
        return self.calls_file.read_text(encoding="utf-8").splitlines()

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": f"{self.directory}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "LTSP_LAB_DIRECTORY": f"{self.directory}/lab",
            **environment,
        }
        return subprocess.run(command, capture_output=True, text=True, check=False, env=variables)


@pytest.fixture
def commands(tmp_path: pathlib.Path) -> Commands:
    return Commands(tmp_path)


def lab(*arguments: str) -> list[str]:
    return [str(ROOT / "scripts/lab"), *arguments]


def functions(shell: list[str], script: str) -> list[str]:
    return [*shell, "-euc", f'root={ROOT}; . "$root/scripts/lib/common.sh"; {script}']


def test_help_is_for_everybody(commands: Commands) -> None:
    commands.add("id", "echo 1000")
    done = commands.run(lab("--help"))
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: scripts/lab")
    for option in ("--kubernetes", "--server", "--nodes", "--console", "--down"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--up"], "what is --up?"),
        (["node1"], "what is node1?"),
        (["--nodes"], "--nodes wants a value"),
        (["--nodes", "two"], "--nodes wants a number, not two"),
        (["--nodes", ""], "--nodes wants a number, not"),
        (["--nodes", "0"], "--nodes wants a number from 1 to 99, not 0"),
        (["--nodes", "100"], "--nodes wants a number from 1 to 99, not 100"),
        (["--nodes=two"], "--nodes wants a number, not two"),
        (["--console"], "--console wants a value"),
        (["--server"], "--server wants a value"),
        (["--server=pod"], "--server wants systemd or kubernetes, not pod"),
        (["--server", ""], "--server wants systemd or kubernetes, not"),
        (["--kubernetes=yes"], "what is --kubernetes=yes?"),
    ],
)
def test_wrong_arguments_are_named(commands: Commands, arguments: list[str], message: str) -> None:
    done = commands.run(lab(*arguments))
    assert done.returncode == 2
    assert done.stderr.startswith(f"lab: {message}")
    assert "Usage:" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--kubernetes"], ["--server=kubernetes"], ["--down"], ["--console", "node1"]])
def test_who_is_not_root_is_told_so_and_nothing_happens(commands: Commands, arguments: list[str]) -> None:
    commands.add("id", "echo 1000")
    done = commands.run(lab(*arguments))
    assert done.returncode == 1
    assert "needs root" in done.stderr
    assert "sudo" in done.stderr
    assert sorted(path.name for path in commands.directory.iterdir()) == ["calls", "id"]


def test_the_console_of_a_node_that_does_not_run(commands: Commands) -> None:
    commands.add("id", "echo 0")
    done = commands.run(lab("--console", "node7"), LTSP_LAB_NAME="other")
    assert done.returncode == 1
    assert done.stderr == "lab: no node node7 is running in the lab other\n"


def test_a_second_lab_of_the_same_name_has_to_wait(commands: Commands) -> None:
    commands.add("id", "echo 0")
    commands.add("flock", "exit 1")
    done = commands.run(lab(), LTSP_LAB_CACHE=f"{commands.directory}/cache")
    assert done.returncode == 1
    assert "another scripts/lab is at work on ltsp-lab" in done.stderr


def test_the_ansible_to_install_is_what_the_collection_supports(commands: Commands, shell: list[str]) -> None:
    requires = re.search(r'requires_ansible: "(.*)"', (ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    assert requires
    assert commands.run(functions(shell, "supported_ansible")).stdout == f"ansible-core{requires[1]}\n"
    oldest = re.match(r">=(\d+\.\d+)", requires[1])
    assert oldest
    assert commands.run(functions(shell, "oldest_ansible")).stdout == f"ansible-core=={oldest[1]}.*\n"


def test_packages_that_are_there_are_not_installed(commands: Commands, shell: list[str]) -> None:
    commands.add("dpkg-query", "echo installed")
    commands.add("apt-get", "exit 1")
    done = commands.run(functions(shell, "need_packages socat ovmf"))
    assert done.returncode == 0, done.stderr
    assert [call for call in commands.calls() if call.startswith("apt-get")] == []


def test_only_missing_packages_are_installed(commands: Commands, shell: list[str]) -> None:
    commands.add("id", "echo 0")
    commands.add("dpkg-query", 'for package; do :; done; [ "$package" = ovmf ] || echo installed')
    commands.add("apt-get", "")
    done = commands.run(functions(shell, "need_packages socat ovmf"))
    assert done.returncode == 0, done.stderr
    install = [call for call in commands.calls() if "install" in call and call.startswith("apt-get")]
    assert len(install) == 1
    assert install[0].endswith(" ovmf")


def test_missing_packages_are_named_to_who_cannot_install_them(commands: Commands, shell: list[str]) -> None:
    commands.add("id", "echo 1000")
    commands.add("dpkg-query", "exit 1")
    commands.add("apt-get", "")
    done = commands.run(functions(shell, "need_packages socat ovmf"))
    assert done.returncode == 1
    assert "apt-get install socat ovmf" in done.stderr


def test_an_environment_that_was_not_finished_is_made_again(commands: Commands, shell: list[str]) -> None:
    commands.add("dpkg-query", "echo installed")
    commands.add("python", 'case $1 in -VV) echo 3 ;; *) mkdir -p "$3/bin" && cp "$(command -v pip)" "$3/bin/pip" ;; esac')
    commands.add("pip", "")
    broken = functions(shell, "python=python; mkdir -p $cache; make_venv x y; rm $venv/complete; : >$venv/half; make_venv x y; make_venv x y; ls $venv")
    done = commands.run(broken, LTSP_LAB_CACHE=f"{commands.directory}/cache")
    assert done.returncode == 0, done.stderr
    assert "half" not in done.stdout.split()
    assert "complete" in done.stdout.split()
    assert len([call for call in commands.calls() if call.startswith("python -m venv")]) == 2


def collection_from(machine: Commands, shell: list[str]) -> subprocess.CompletedProcess[str]:
    """need_collections twice, in an environment whose pip finds a package with two collections."""
    with zipfile.ZipFile(machine.directory / "ansible.whl", "w") as wheel:
        for name in ("kubernetes/core/MANIFEST.json", "community/general/MANIFEST.json"):
            wheel.writestr(f"ansible_collections/{name}", "{}")
    script = "mkdir -p $cache; venv=$HOME/venv; need_collections; need_collections; cd $others; find . -type f"
    return machine.run(functions(shell, script), LTSP_LAB_CACHE=f"{machine.directory}/cache")


@pytest.fixture
def environment(commands: Commands) -> Commands:
    (commands.directory / "venv/bin").mkdir(parents=True)
    commands.add("venv/bin/python", f'exec {sys.executable} "$@"')
    commands.add("venv/bin/pip", 'for option; do case $option in --dest=*) cp "$HOME/ansible.whl" "${option#*=}/" ;; esac; done')
    return commands


def test_the_collection_of_others_comes_from_galaxy_once(environment: Commands, shell: list[str]) -> None:
    environment.add(
        "venv/bin/ansible-galaxy",
        'for option; do case $option in --collections-path=*) mkdir "${option#*=}/x"; : >"${option#*=}/x/from-galaxy" ;; esac; done',
    )
    done = collection_from(environment, shell)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["./x/from-galaxy"]
    (call,) = environment.calls()
    assert re.search(r" kubernetes\.core:[0-9.]+$", call)


def test_where_galaxy_cannot_be_reached_it_comes_out_of_a_package(environment: Commands, shell: list[str]) -> None:
    environment.add("venv/bin/ansible-galaxy", "exit 1")
    done = collection_from(environment, shell)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2:] == ["./ansible_collections/kubernetes/core/MANIFEST.json"]


def test_a_collection_that_cannot_be_had_leaves_nothing_that_looks_like_it(environment: Commands, shell: list[str]) -> None:
    environment.add("venv/bin/ansible-galaxy", "exit 1")
    environment.add("venv/bin/pip", "exit 1")
    done = collection_from(environment, shell)
    assert done.returncode == 1
    assert "could not get the collection kubernetes.core" in done.stderr
    assert not [path for path in (environment.directory / "cache").iterdir() if re.search("core-[0-9.]*[0-9]$", path.name)]


PROGRAMS = ("kubeadm", "kubelet", "kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
# A download: what --output names gets the program's name, or its checksum, from the URL.
CURL = """
while [ $# -gt 1 ]; do
    [ "$1" != --output ] || file=$2
    shift
done
case $1 in
    *.sha256) basename "$1" .sha256 | tr -d '\\n' | sha256sum | cut -d ' ' -f 1 >"$file" ;;
    *) basename "$1" | tr -d '\\n' >"$file" ;;
esac
"""
# A toolchain in the module cache is a directory with a go in it.
GO = """
case $* in
    "env GOVERSION") echo $HAVE ;;
    "mod download -json k8s.io/kubernetes@v1.36.3") printf '{\n\t"Path": "x",\n\t"GoMod": "%s/kubernetes.mod",\n\t"Dir": "y"\n}\n' "$HOME" ;;
    "mod download -json golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64") printf '{\n\t"Dir": "%s/toolchain"\n}\n' "$HOME" ;;
    "mod download -json k8s.io/kubernetes@"*) printf '{\n\t"Error": "unknown revision"\n}\n' && exit 1 ;;
    "mod init"* | "mod edit"*) ;;
    build*)
        echo "local ${GOTOOLCHAIN-unset} $0"
        while [ "$1" != -o ]; do shift; done
        [ -z "$BROKEN" ] || { echo "no space left on device"; exit 1; }
        bin=$2
        shift 2
        for package; do
            echo "built by $0 with ${GOTOOLCHAIN-unset}" >"$bin${package##*/}" && chmod 0755 "$bin${package##*/}"
        done ;;
    *) exit 9 ;;
esac
"""
MOD = """module k8s.io/kubernetes

go 1.26.0

require k8s.io/api v0.0.0

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/kube-proxy => ./staging/src/k8s.io/kube-proxy
)
"""


@pytest.fixture
def machine(commands: Commands) -> Commands:
    """A machine with every package and a Go of 1.26.8, on which nothing was downloaded yet."""
    commands.add("dpkg-query", "echo installed")
    commands.add("curl", CURL)
    commands.add("go", GO)
    (commands.directory / "kubernetes.mod").write_text(MOD, encoding="utf-8")
    return commands


def binaries(machine: Commands, version: str = "1.36.3", **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"LTSP_LAB_CACHE": f"{machine.directory}/cache", "HAVE": "go1.26.8", "BROKEN": "", **environment}
    return machine.run([str(ROOT / "scripts/lib/kubernetes-binaries"), version], **variables)


def programs_of(machine: Commands, version: str = "1.36.3") -> dict[str, str]:
    directory = machine.directory / f"cache/kubernetes-{version}/bin"
    return {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*") if os.access(path, os.X_OK)}


def test_kubernetes_comes_from_its_release_once(machine: Commands) -> None:
    done = binaries(machine)
    assert done.returncode == 0, done.stderr
    assert programs_of(machine) == {name: name for name in PROGRAMS}
    calls = machine.calls()
    assert not [call for call in calls if call.startswith("go ")]
    assert binaries(machine).stdout == ""
    assert machine.calls() == calls
    assert [path.name for path in (machine.directory / "cache").iterdir() if path.is_dir()] == ["kubernetes-1.36.3"]


def test_a_cache_that_has_some_programs_gets_the_others(machine: Commands) -> None:
    assert binaries(machine).returncode == 0
    directory = machine.directory / "cache/kubernetes-1.36.3/bin"
    (directory / "kube-proxy").unlink()
    (directory / "kubelet").write_text("as it was", encoding="utf-8")
    machine.calls_file.write_text("", encoding="utf-8")
    done = binaries(machine)
    assert done.returncode == 0, done.stderr
    assert programs_of(machine) == {**{name: name for name in PROGRAMS}, "kubelet": "as it was"}
    assert not [call for call in machine.calls() if "kubelet" in call]


def test_a_program_that_is_missing_is_built_alone(machine: Commands) -> None:
    assert binaries(machine).returncode == 0
    (machine.directory / "cache/kubernetes-1.36.3/bin/kube-proxy").unlink()
    machine.add("curl", "exit 7")
    done = binaries(machine)
    assert done.returncode == 0, done.stderr
    assert programs_of(machine)["kubelet"] == "kubelet"
    assert programs_of(machine)["kube-proxy"].startswith("built by ")


def test_a_program_that_is_not_the_released_one_is_refused(machine: Commands) -> None:
    machine.add("curl", CURL.replace('*) basename "$1"', '*/kubectl) echo evil >"$file" ;;\n*) basename "$1"'))
    done = binaries(machine)
    assert done.returncode == 1
    assert "bin/linux/amd64/kubectl: its SHA-256 is " in done.stderr
    assert not programs_of(machine)


def test_a_download_that_breaks_off_is_no_reason_to_build(machine: Commands) -> None:
    machine.add("curl", CURL.replace("case $1 in", "case $1 in */kubelet) exit 18 ;; esac\ncase $1 in"))
    done = binaries(machine)
    assert done.returncode == 1
    assert "bin/linux/amd64/kubelet: the download broke off" in done.stderr
    assert not programs_of(machine)


def test_kubernetes_is_built_where_its_release_cannot_be_reached(machine: Commands) -> None:
    machine.add("curl", 'echo "curl: (6) Could not resolve host: dl.k8s.io" >&2; exit 6')
    done = binaries(machine, GOTOOLCHAIN="go1.26.8+auto")
    assert done.returncode == 0, done.stderr
    assert "Could not resolve host: dl.k8s.io" in done.stdout
    assert programs_of(machine) == dict.fromkeys(PROGRAMS, f"built by {machine.directory}/go with go1.26.8+auto\n")
    edits = [call for call in machine.calls() if call.startswith("go mod edit")]
    assert edits == [
        "go mod edit -require=k8s.io/kubernetes@v1.36.3 -replace=k8s.io/api=k8s.io/api@v0.36.3 -replace=k8s.io/kube-proxy=k8s.io/kube-proxy@v0.36.3",
    ]
    build = next(call for call in machine.calls() if call.startswith("go build"))
    for word in ("gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"):
        assert f"k8s.io/component-base/version.{word}" in build
    assert [path.name for path in (machine.directory / "cache").iterdir() if path.is_dir()] == ["kubernetes-1.36.3"]


def test_a_go_that_is_too_old_gets_the_one_that_the_module_asks_for(machine: Commands) -> None:
    machine.add("curl", "exit 7")
    toolchain = machine.directory / "toolchain"
    for path in ("bin/go", "pkg/tool/linux_amd64/compile", "src/_go.mod", "src/cmd/_go.mod"):
        (toolchain / path).parent.mkdir(parents=True, exist_ok=True)
        (toolchain / path).write_text(f"#!/bin/sh\n{GO}" if path == "bin/go" else "", encoding="utf-8")
    done = binaries(machine, HAVE="go1.19.8", GOTOOLCHAIN="go1.19.8", GOROOT="/usr/lib/go-1.19")
    assert done.returncode == 0, done.stderr
    assert "go1.19.8 is older than go1.26.0" in done.stdout
    assert programs_of(machine)["kubelet"] == f"built by {toolchain}/bin/go with local\n"
    assert (toolchain / "src/go.mod").exists()
    assert (toolchain / "src/cmd/go.mod").exists()


def test_a_build_that_fails_says_what_go_said(machine: Commands) -> None:
    machine.add("curl", "exit 7")
    done = binaries(machine, BROKEN="yes")
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    assert "Kubernetes 1.36.3 could not be built" in done.stderr
    assert not programs_of(machine)
    assert binaries(machine).returncode == 0


def test_a_version_that_is_none_is_named(machine: Commands) -> None:
    machine.add("curl", "exit 22")
    done = binaries(machine, "1.99.0")
    assert done.returncode == 1
    assert "Go cannot get k8s.io/kubernetes@v1.99.0: unknown revision" in done.stderr


def images(machine: Commands) -> pathlib.Path:
    done = machine.run([str(ROOT / "scripts/lib/container-images")], LTSP_LAB_CACHE=f"{machine.directory}/cache")
    assert done.returncode == 0, done.stderr
    return pathlib.Path(done.stdout.strip())


def read_image(path: pathlib.Path) -> tuple[dict[str, t.Any], dict[str, t.Any], dict[str, tarfile.TarInfo]]:
    with tarfile.open(path) as archive:

        def content(name: str) -> bytes:
            member = archive.extractfile(name)
            assert member
            return member.read()

        (manifest,) = json.loads(content("manifest.json"))
        config = json.loads(content(manifest["Config"]))
        (layer,) = manifest["Layers"]
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(content(layer)).hexdigest()}"]
        with tarfile.open(fileobj=io.BytesIO(content(layer))) as tree:
            return manifest, config, {member.name: member for member in tree}


def test_container_images_are_made_once_and_the_same_again(machine: Commands) -> None:
    machine.add("gcc", 'while [ "$1" != -o ]; do shift; done; cat >"$2"; chmod 0755 "$2"')
    machine.add("apt-get", ": >busybox-static_1_amd64.deb")
    machine.add("dpkg-deb", "mkdir -p usr/bin; cp $(command -v busybox) usr/bin/")
    directory = images(machine)
    manifest, config, tree = read_image(directory / "pause.tar")
    assert manifest["RepoTags"] == ["localhost/pause:1"]
    assert config["config"]["Cmd"] == ["/pause"]
    assert tree["./pause"].mode == 0o755
    manifest, config, tree = read_image(directory / "busybox.tar")
    assert manifest["RepoTags"] == ["localhost/busybox:1"]
    assert tree["./bin/sh"].linkname == "busybox"
    assert {(member.uid, member.gid, member.mtime) for member in tree.values()} == {(0, 0, 0)}
    calls = machine.calls()
    assert images(machine) == directory
    assert machine.calls() == calls
    first = {path.name: path.read_bytes() for path in directory.iterdir()}
    shutil.rmtree(directory)
    assert {path.name: path.read_bytes() for path in images(machine).iterdir()} == first


def test_what_kubernetes_adds_to_the_inventory_is_complete() -> None:
    template = (ROOT / "scripts/lib/kubernetes.yml").read_text(encoding="utf-8")
    server = (ROOT / "scripts/lib/kubernetes-server.yml").read_text(encoding="utf-8")
    script = (ROOT / "scripts/lab").read_text(encoding="utf-8")
    assert set(re.findall(r"@(\w+)@", template + server)) == set(re.findall(r"s\|@(\w+)@\|", script))
    (part,) = yaml.safe_load(template)["all"]["vars"]["ltsp_image_parts"]
    network = json.loads(next(file["content"] for file in part["files"] if file["path"].endswith(".conflist")).replace("NUMBER", "11"))
    assert network["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.11.0/24"}]]


def test_variables_of_roles_in_the_inventory_exist() -> None:
    known = set()
    for role in (ROOT / "roles").iterdir():
        known |= set(yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"])
    for name in ("kubernetes.yml", "kubernetes-server.yml"):
        inventory = yaml.safe_load((ROOT / "scripts/lib" / name).read_text(encoding="utf-8"))
        given = {variable for group in inventory.values() for variable in group.get("vars", {})}
        assert given <= known
