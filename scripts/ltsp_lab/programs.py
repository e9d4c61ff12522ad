# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes' programs for amd64: those of the release, or built from the release's Go module where the release cannot be reached."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request

from ltsp_lab.locks import waiting_lock
from ltsp_lab.messages import LabError, say
from ltsp_lab.packages import need_packages
from ltsp_lab.settings import Settings

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROGRAMS = ("kubeadm", "kubelet", "kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
PAUSES = (1, 2, 4)
"""Seconds before a download that broke off is tried again."""


def kubernetes_programs(settings: Settings) -> pathlib.Path:
    """Get the programs that are not in the cache; returns their directory."""
    programs = settings.cache / f"kubernetes-{settings.kubernetes}/bin"
    if _absent(programs):
        with waiting_lock(settings.cache / "kubernetes.lock", "Waiting for Kubernetes' programs, which another command gets"):
            absent = _absent(programs)
            if absent:
                _get(settings, absent, programs)
    return programs


def _absent(programs: pathlib.Path) -> list[str]:
    """List the missing programs. The cache may have a part of them from an older release of the lab."""
    return [name for name in PROGRAMS if not os.access(programs / name, os.X_OK)]


def _get(settings: Settings, names: list[str], programs: pathlib.Path) -> None:
    # The directory of an interrupted run is used again, with the packages that Go has compiled.
    new = settings.cache / f"kubernetes-{settings.kubernetes}.new"
    (new / "bin").mkdir(parents=True, exist_ok=True)
    need_packages(settings, "ca-certificates")
    url = f"{settings.kubernetes_url}/v{settings.kubernetes}/bin/linux/amd64"
    reason = _why_no_release(url)
    if not reason:
        say(f"Downloading Kubernetes {settings.kubernetes} from {url}")
        _download(url, names, new / "bin")
    else:
        say(f"Building Kubernetes {settings.kubernetes} from its Go module (some minutes and 5 GB in {new}), because there is no release to be had: {reason}")
        _build(settings, names, new)
    programs.mkdir(parents=True, exist_ok=True)
    for name in names:
        (new / "bin" / name).replace(programs / name)
    shutil.rmtree(new)


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        return t.cast("bytes", response.read())


def _why_no_release(url: str) -> str:
    try:
        _fetch(f"{url}/kubeadm.sha256")
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {error}"
    return ""


def _fetch_patiently(url: str, pauses: tuple[float, ...]) -> bytes:
    try:
        return _fetch(url)
    except (OSError, http.client.HTTPException) as error:
        refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
        if refused or not pauses:
            raise LabError(f"{url}: the download broke off; try again: {error}") from None
    time.sleep(pauses[0])
    return _fetch_patiently(url, pauses[1:])


def _download(url: str, names: Iterable[str], directory: pathlib.Path) -> None:
    for name in names:
        say(f"  {name}")
        wanted = _fetch_patiently(f"{url}/{name}.sha256", PAUSES).decode().strip()
        content = _fetch_patiently(f"{url}/{name}", PAUSES)
        digest = hashlib.sha256(content).hexdigest()
        if digest != wanted:
            raise LabError(f"{url}/{name}: its SHA-256 is {digest}, and {url}/{name}.sha256 says {wanted}")
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o755)


@dataclasses.dataclass(frozen=True)
class _Go:
    """Go at work in a directory."""

    directory: pathlib.Path
    environment: Mapping[str, str]

    def run(self, *arguments: str) -> str:
        done = self._run(arguments)
        if done.returncode != 0:
            raise LabError(f"go {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout

    def module(self, module: str, field: str) -> str:
        """Download a module; returns a field of its description by Go."""
        done = self._run(["mod", "download", "-json", module])
        answer = json.loads(done.stdout or "{}")
        if done.returncode != 0:
            raise LabError(f"Go cannot get {module}: {answer.get('Error') or done.stderr.strip()}")
        return str(answer[field])

    def at_least(self, version: str) -> _Go:
        """Return Go in the version that a module asks for, of which Go's own module proxy has a copy that Go checks like every module."""
        present = self.run("env", "GOVERSION").strip()
        if _numbers(present) >= _numbers(version):
            return self
        say(f"  {present} is older than go{version}, which comes from the Go module proxy")
        toolchain = pathlib.Path(self.module(f"golang.org/toolchain@v0.0.1-go{version}.linux-amd64", "Dir"))
        _complete(toolchain)
        environment = {name: value for name, value in self.environment.items() if name != "GOROOT"}
        return _Go(self.directory, {**environment, "GOTOOLCHAIN": "local", "PATH": f"{toolchain}/bin:{environment['PATH']}"})

    def build(self, log: pathlib.Path, *arguments: str) -> bool:
        """Build; says from time to time how far it is. Everything that Go says is in `log`."""
        with log.open("wb") as output:
            # Go has a process group of its own, so that its compilers end with it.
            compiler = subprocess.Popen(
                ["go", "build", *arguments],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        try:
            return _watch(compiler, log) == 0
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(compiler.pid, signal.SIGTERM)
            compiler.wait()
            raise

    def _run(self, arguments: Iterable[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["go", *arguments], cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _complete(toolchain: pathlib.Path) -> None:
    """Restore the parts of a toolchain that a Go module cannot hold: execute bits, and nested modules."""
    for program in (*toolchain.glob("bin/*"), *toolchain.glob("pkg/tool/*/*")):
        program.chmod(0o755)
    for file in (toolchain / "src/_go.mod", toolchain / "src/cmd/_go.mod"):
        if file.exists():
            file.rename(file.with_name("go.mod"))


def _watch(compiler: subprocess.Popen[bytes], log: pathlib.Path) -> int:
    begin = time.monotonic()
    while True:
        try:
            return compiler.wait(timeout=30)
        except subprocess.TimeoutExpired:
            packages = [line for line in log.read_text(encoding="utf-8").splitlines() if not line.startswith("go: ")]
            say(f"  {time.monotonic() - begin:.0f} s, {len(packages)} packages")


def _build(settings: Settings, names: Iterable[str], new: pathlib.Path) -> None:
    if not shutil.which("go"):
        need_packages(settings, "golang-go")
    version = settings.kubernetes
    go, mod = _module(version, new)
    go.run("mod", "init", "lab")
    # The staging modules are not in the published module: their own published versions replace them.
    minor = version.removeprefix("1.")
    staging = re.findall(r"^\s*(k8s\.io/[a-z-]*) => \./staging/", mod, re.MULTILINE)
    go.run("mod", "edit", f"-require=k8s.io/kubernetes@v{version}", *(f"-replace={name}={name}@v0.{minor}" for name in staging))
    variables = {"gitVersion": f"v{version}", "gitMajor": "1", "gitMinor": minor.partition(".")[0]}
    flags = " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in variables.items())])
    packages = [f"k8s.io/kubernetes/cmd/{name}" for name in names]
    log = new / "log"
    if not go.build(log, "-mod=mod", "-trimpath", "-v", "-ldflags", flags, "-o", f"{new}/bin/", *packages):
        end = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
        raise LabError(f"Kubernetes {version} could not be built; all that Go said is in {log}, which ends with:\n{end}")


def _module(version: str, new: pathlib.Path) -> tuple[_Go, str]:
    """Get Kubernetes' module; returns Go in the version that it asks for, in an empty directory, and the module's go.mod."""
    source = new / "src"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir()
    # The caches are gigabytes and go with the build, unless the user has set their places. -modcacherw makes them removable.
    caches = {name: os.environ.get(name) or f"{new}/{folder}" for name, folder in (("GOCACHE", "go-build"), ("GOMODCACHE", "go-mod"))}
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw"
    go = _Go(source, {**os.environ, **caches, "GOFLAGS": flags, "GOWORK": "off", "CGO_ENABLED": "0"})
    mod = pathlib.Path(go.module(f"k8s.io/kubernetes@v{version}", "GoMod")).read_text(encoding="utf-8")
    asked = re.search(r"^go (\S+)", mod, re.MULTILINE)
    return go.at_least(asked[1]) if asked else go, mod


def main() -> int:
    """Get the programs only. SIGINT and SIGTERM end the child processes, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        kubernetes_programs(Settings.read(os.environ))
    except LabError as error:
        print(f"ltsp_lab.programs: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
