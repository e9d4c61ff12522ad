# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes' programs: those of a release on this machine's own server of HTTP, and those that a stand-in for Go builds."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from ltsp_lab import programs
from ltsp_lab.messages import LabError
from ltsp_lab.programs import PROGRAMS, kubernetes_programs

if t.TYPE_CHECKING:
    from conftest import Commands, Site

    from ltsp_lab.settings import Settings

SCRIPTS = pathlib.Path(__file__).parents[3] / "scripts"
RELEASE = "release/v1.36.3/bin/linux/amd64"
NO_RELEASE = "http://127.0.0.1:1/release"
# A toolchain in the module cache is a directory with a go in it.
GO = """
case $* in
    "env GOVERSION") echo $HAVE ;;
    "mod download -json k8s.io/kubernetes@v1.36.3") printf '{\\n\\t"Path": "x",\\n\\t"GoMod": "%s/kubernetes.mod",\\n\\t"Dir": "y"\\n}\\n' "$PLACE" ;;
    "mod download -json golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64") printf '{\\n\\t"Dir": "%s/toolchain"\\n}\\n' "$PLACE" ;;
    "mod download -json k8s.io/kubernetes@"*) printf '{\\n\\t"Error": "unknown revision"\\n}\\n' && exit 1 ;;
    "mod init"* | "mod edit"*) ;;
    build*)
        while [ "$1" != -o ]; do shift; done
        [ -z "$BROKEN" ] || { echo "no space left on device"; exit 1; }
        [ -z "$SLOW" ] || { echo "$GOCACHE" >"$PLACE/gocache"; sleep 1000 & echo $! $$ >"$PLACE/compilers"; wait; }
        bin=$2
        shift 2
        for package; do
            echo "built by $0 with ${GOTOOLCHAIN-unset} and ${GOROOT-no root}" >"$bin${package##*/}" && chmod 0755 "$bin${package##*/}"
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
def release(site: Site, packages_are_there: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A release whose programs contain their names."""
    monkeypatch.setattr(programs, "PAUSES", (0, 0))
    for name in PROGRAMS:
        site.add(f"{RELEASE}/{name}", name.encode())
        site.add(f"{RELEASE}/{name}.sha256", hashlib.sha256(name.encode()).hexdigest().encode())
    return dataclasses.replace(settings, kubernetes_url=f"{site.url}/release")


@pytest.fixture
def go(commands: Commands, packages_are_there: None, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A machine with a Go of 1.26.8."""
    commands.add("go", GO)
    (commands.directory / "kubernetes.mod").write_text(MOD, encoding="utf-8")
    for name in ("GOCACHE", "GOMODCACHE", "GOTOOLCHAIN", "GOROOT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HAVE": "go1.26.8", "PLACE": str(commands.directory), "BROKEN": "", "SLOW": ""}.items():
        monkeypatch.setenv(name, value)
    return commands


@pytest.fixture
def no_release(settings: Settings) -> Settings:
    return dataclasses.replace(settings, kubernetes_url=NO_RELEASE)


def programs_of(settings: Settings) -> dict[str, str]:
    directory = settings.cache / f"kubernetes-{settings.kubernetes}/bin"
    return {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*") if os.access(path, os.X_OK)}


def directories(settings: Settings) -> list[str]:
    return [path.name for path in settings.cache.iterdir() if path.is_dir()]


def test_kubernetes_comes_from_its_release_once(release: Settings, site: Site, commands: Commands, capfd: pytest.CaptureFixture[str]) -> None:
    commands.add("go", "exit 1")
    assert kubernetes_programs(release) == release.cache / "kubernetes-1.36.3/bin"
    assert programs_of(release) == {name: name for name in PROGRAMS}
    assert commands.calls("go") == []
    assert capfd.readouterr().out.splitlines() == [f"Downloading Kubernetes 1.36.3 from {site.url}/{RELEASE}", *(f"  {name}" for name in PROGRAMS)]
    requests, calls = list(site.requests), commands.calls()
    kubernetes_programs(release)
    assert (site.requests, commands.calls(), capfd.readouterr().out) == (requests, calls, "")
    assert directories(release) == ["kubernetes-1.36.3"]


def test_a_cache_that_has_some_programs_gets_the_others(release: Settings, site: Site) -> None:
    directory = kubernetes_programs(release)
    (directory / "kube-proxy").unlink()
    (directory / "kubelet").write_text("as it was", encoding="utf-8")
    site.requests.clear()
    kubernetes_programs(release)
    assert programs_of(release) == {**{name: name for name in PROGRAMS}, "kubelet": "as it was"}
    assert not [path for path in site.requests if "kubelet" in path]


def test_a_program_that_is_missing_is_built_alone(release: Settings, go: Commands) -> None:
    (kubernetes_programs(release) / "kube-proxy").unlink()
    kubernetes_programs(dataclasses.replace(release, kubernetes_url=NO_RELEASE))
    assert programs_of(release)["kubelet"] == "kubelet"
    assert programs_of(release)["kube-proxy"].startswith("built by ")


def test_a_program_that_is_not_the_released_one_is_refused(release: Settings, site: Site) -> None:
    site.add(f"{RELEASE}/kubectl", b"evil")
    with pytest.raises(LabError, match=r"bin/linux/amd64/kubectl: its SHA-256 is [0-9a-f]{64}, and http.*/kubectl.sha256 says [0-9a-f]{64}$"):
        kubernetes_programs(release)
    assert not programs_of(release)


def test_a_download_that_breaks_off_is_tried_again_and_no_reason_to_build(release: Settings, site: Site) -> None:
    site.broken = "/kubelet"
    with pytest.raises(LabError, match="bin/linux/amd64/kubelet: the download broke off"):
        kubernetes_programs(release)
    assert not programs_of(release)
    assert len([path for path in site.requests if path.endswith("/kubelet")]) == 3


def test_a_program_that_the_release_does_not_have_is_asked_for_once(release: Settings, site: Site) -> None:
    (site.directory / RELEASE / "kubelet").unlink()
    with pytest.raises(LabError, match=r"bin/linux/amd64/kubelet: the download broke off; .*404"):
        kubernetes_programs(release)
    assert len([path for path in site.requests if path.endswith("/kubelet")]) == 1


def test_kubernetes_is_built_where_its_release_cannot_be_reached(
    no_release: Settings, go: Commands, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOTOOLCHAIN", "go1.26.8+auto")
    kubernetes_programs(no_release)
    out = capfd.readouterr().out
    assert NO_RELEASE in out
    assert "Connection refused" in out
    assert programs_of(no_release) == dict.fromkeys(PROGRAMS, f"built by {go.directory}/go with go1.26.8+auto and no root\n")
    assert go.calls("go mod edit") == [
        "go mod edit -require=k8s.io/kubernetes@v1.36.3 -replace=k8s.io/api=k8s.io/api@v0.36.3 -replace=k8s.io/kube-proxy=k8s.io/kube-proxy@v0.36.3",
    ]
    (build,) = go.calls("go build")
    for word in ("gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"):
        assert f"k8s.io/component-base/version.{word}" in build
    assert directories(no_release) == ["kubernetes-1.36.3"]


def test_a_go_that_is_too_old_gets_the_one_that_the_module_asks_for(
    no_release: Settings, go: Commands, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    toolchain = go.directory / "toolchain"
    for path in ("bin/go", "pkg/tool/linux_amd64/compile", "src/_go.mod", "src/cmd/_go.mod"):
        (toolchain / path).parent.mkdir(parents=True, exist_ok=True)
        (toolchain / path).write_text(f"#!/bin/sh\n{GO}" if path == "bin/go" else "", encoding="utf-8")
    for name, value in {"HAVE": "go1.19.8", "GOTOOLCHAIN": "go1.19.8", "GOROOT": "/usr/lib/go-1.19"}.items():
        monkeypatch.setenv(name, value)
    kubernetes_programs(no_release)
    assert "go1.19.8 is older than go1.26.0" in capfd.readouterr().out
    assert programs_of(no_release)["kubelet"] == f"built by {toolchain}/bin/go with local and no root\n"
    assert os.access(toolchain / "pkg/tool/linux_amd64/compile", os.X_OK)
    assert (toolchain / "src/go.mod").exists()
    assert (toolchain / "src/cmd/go.mod").exists()


def test_a_build_that_fails_says_what_go_said(no_release: Settings, go: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "yes")
    with pytest.raises(LabError, match=r"Kubernetes 1\.36\.3 could not be built; .*/log, which ends with:\nno space left on device$"):
        kubernetes_programs(no_release)
    assert not programs_of(no_release)
    monkeypatch.setenv("BROKEN", "")
    kubernetes_programs(no_release)
    assert set(programs_of(no_release)) == set(PROGRAMS)


def test_a_version_that_is_none_is_named(no_release: Settings, go: Commands) -> None:
    with pytest.raises(LabError, match=r"Go cannot get k8s.io/kubernetes@v1\.99\.0: unknown revision"):
        kubernetes_programs(dataclasses.replace(no_release, kubernetes="1.99.0"))


def is_alive(process: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_no_compilers_and_goes_on_the_next_time(
    no_release: Settings, go: Commands, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    variables = {"LTSP_LAB_CACHE": str(no_release.cache), "LTSP_LAB_KUBERNETES": "1.36.3", "LTSP_LAB_KUBERNETES_URL": NO_RELEASE}
    environment = {**os.environ, **variables, "PYTHONPATH": str(SCRIPTS), "SLOW": "yes"}
    process = subprocess.Popen([sys.executable, "-B", "-m", "ltsp_lab.programs"], env=environment, stdout=subprocess.DEVNULL)
    compilers = go.directory / "compilers"
    while not compilers.exists() or not compilers.read_text(encoding="utf-8").endswith("\n"):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=60) == 130
    limit = time.monotonic() + 30
    while any(is_alive(int(compiler)) for compiler in compilers.read_text(encoding="utf-8").split()):
        assert time.monotonic() < limit
        time.sleep(0.05)
    new = no_release.cache / "kubernetes-1.36.3.new"
    assert (go.directory / "gocache").read_text(encoding="utf-8") == f"{new}/go-build\n"
    (new / "go-build").mkdir()
    kubernetes_programs(no_release)
    assert set(programs_of(no_release)) == set(PROGRAMS)
    assert not new.exists()


def test_the_programs_alone_say_why_they_are_not_to_be_had(no_release: Settings, go: Commands) -> None:
    variables = {"LTSP_LAB_CACHE": str(no_release.cache), "LTSP_LAB_KUBERNETES": "1.99.0", "LTSP_LAB_KUBERNETES_URL": NO_RELEASE}
    environment = {**os.environ, **variables, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run([sys.executable, "-B", "-m", "ltsp_lab.programs"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "ltsp_lab.programs: Go cannot get k8s.io/kubernetes@v1.99.0: unknown revision\n"
