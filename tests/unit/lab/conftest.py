# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the lab share: stand-ins for programs, settings, servers of HTTP and a mirror of Debian."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import os
import pathlib
import subprocess
import threading
import typing as t

import pytest
from stand_ins import Commands, Machines

from ltsp_lab import ansible, power, qemu, watch
from ltsp_lab.description import describe
from ltsp_lab.files import known
from ltsp_lab.power import Power
from ltsp_lab.settings import Settings

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ltsp_lab.description import Machine

# The Debian architecture of this machine does not matter: these packages are for all of them.
CONTROL = "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Tests <tests@example.org>\nDescription: test\n"
APT_CONFIG = """
Dir::Etc::SourceList "{directory}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "{directory}/lists";
Dir::State::Status "/dev/null";
Dir::Cache "{directory}/cache";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "true";
Acquire::AllowInsecureRepositories "true";
Acquire::Retries "0";
Acquire::http::Proxy "DIRECT";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"""


@pytest.fixture
def commands(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    directory = tmp_path / "commands"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return Commands(directory)


@pytest.fixture
def packages_are_there(commands: Commands) -> None:
    """A machine on which every Debian package is installed."""
    commands.add("dpkg-query", 'shift 2; for package; do echo "$package installed"; done')


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    return Settings(name="test", directory=tmp_path / "lab", cache=tmp_path / "cache", kubernetes="1.36.3")


class Site:
    """A server of HTTP on this machine, with the files of a directory."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.requests: list[str] = []
        self.broken = ""
        """The end of the path whose download breaks off."""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, site=self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def add(self, path: str, content: bytes) -> None:
        (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (self.directory / path).write_bytes(content)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments: t.Any, site: Site) -> None:
        self.site = site
        super().__init__(*arguments, directory=str(site.directory))

    def do_GET(self) -> None:
        self.site.requests.append(self.path)
        # Dates have whole seconds, and tests publish two versions of a file within one.
        del self.headers["If-Modified-Since"]
        if self.site.broken and self.path.endswith(self.site.broken):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"the beginning")
        else:
            super().do_GET()

    def log_message(self, *arguments: t.Any) -> None:
        pass


@contextlib.contextmanager
def serve(directory: pathlib.Path) -> Iterator[Site]:
    directory.mkdir()
    site = Site(directory)
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        thread.join()
        site.server.server_close()


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Iterator[Site]:
    with serve(tmp_path / "site") as site:
        yield site


class Mirror:
    """A mirror with packages for the suites `stable`, which apt-get on this machine has, and `sid`."""

    def __init__(self, site: Site, work: pathlib.Path) -> None:
        self.site = site
        self.work = work

    def publish(self, suite: str, name: str, version: str, files: dict[str, bytes]) -> None:
        """Put a package into a suite, in place of all that is there."""
        tree = self.work / f"{name}-{version}"
        for path, content in {"DEBIAN/control": CONTROL.format(name=name, version=version).encode(), **files}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
            (tree / path).chmod(0o755)
        pool = self.site.directory / "debian/pool" / suite
        for old in pool.glob("*"):
            old.unlink()
        pool.mkdir(parents=True, exist_ok=True)
        package = pool / f"{name}_{version.rpartition(':')[2]}_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, package], check=True, stdout=subprocess.DEVNULL)
        content = package.read_bytes()
        index = f"Filename: pool/{suite}/{package.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        for architecture in ("all", _architecture()):
            text = CONTROL.format(name=name, version=version) + index if architecture != "all" else ""
            self.site.add(f"debian/dists/{suite}/main/binary-{architecture}/Packages", text.encode())


@functools.cache
def _architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def mirror(site: Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    apt = tmp_path / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb {site.url}/debian stable main\n", encoding="utf-8")
    (apt / "apt.conf").write_text(APT_CONFIG.format(directory=apt), encoding="utf-8")
    monkeypatch.setenv("APT_CONFIG", str(apt / "apt.conf"))
    return Mirror(site, tmp_path)


@pytest.fixture
def farm(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Power]:
    """A lab in which something may be switched on. It is quick, its machine has KVM, and in the end all is off."""
    settings.run.mkdir(parents=True)
    monkeypatch.setattr(power, "END_SECONDS", 0.3)
    monkeypatch.setattr(watch, "INTERVAL", 0.02)
    monkeypatch.setattr(qemu, "kvm_opens", lambda: True)
    farm = Power(settings)
    yield farm
    for machine in known(settings.run):
        farm.off(machine)


@pytest.fixture
def machines(commands: Commands, farm: Power) -> Machines:
    return Machines(commands, farm)


@pytest.fixture
def node(machines: Machines) -> Machine:
    """A machine with a BIOS."""
    return describe(1).nodes[0]


@pytest.fixture
def other(machines: Machines) -> Machine:
    """Another machine; it has a BIOS, too, because that of UEFI need not be installed."""
    return describe(3).nodes[2]


@pytest.fixture
def playbook(commands: Commands, packages_are_there: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A stand-in for ansible-playbook, where the lab finds it; each call is written down."""

    def fill(venv: pathlib.Path, requirements: str) -> None:
        (venv / "bin").mkdir(parents=True)
        (venv / "bin/ansible-playbook").symlink_to(script)
        (venv / "complete").touch()

    script = commands.add("ansible-playbook", "")
    monkeypatch.setattr(ansible, "_fill", fill)
    monkeypatch.setattr(ansible, "_get_collection", lambda venv, others: others.mkdir())
    ansible.Ansible.prepare(settings)
    return script
