# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of the container image, with stand-ins for the daemons."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import typing as t

import pytest

FILES = pathlib.Path(__file__).parents[3] / "roles" / "ltsp_container" / "files"
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}
DAEMONS = ("dnsmasq", "nginx", "nbd-server")
# Heads of /proc/net/tcp as Linux 6.12 writes them: a socket that listens on port 10809, and one of a client of 10.9.1.1.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:2A39 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65532        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100090A:2A39 0101090A:C001 01 00000000:00000000 00:00000000 00000000 65532        0 4712 1 0000000000000000 20 4 30 10 -1
"""


class Container:
    """A directory that stands for the root of a container, and the entry point in it."""

    def __init__(self, root: pathlib.Path, shell: list[str]) -> None:
        self.root = root
        # The interpreter line names the shell under test, also for calls of the entry point by itself.
        for name in ("ltsp-serve", "nbd-client"):
            text = (FILES / "programs" / name).read_text(encoding="utf-8").replace("#!/bin/sh", f"#!{shutil.which('env')} -S {' '.join(shell)}", 1)
            (root / name).write_text(text, encoding="utf-8")
            (root / name).chmod(0o755)
        self.services = shutil.copytree(FILES / "services", root / "usr/lib/ltsp/services")
        for directory in ("bin", "proc/net", "etc/nbd-server"):
            (root / directory).mkdir(parents=True)
        (root / "proc/net/tcp").write_text(TCP.splitlines(keepends=True)[0], encoding="utf-8")
        (root / "etc/nbd-server/ltsp.conf").write_text("[generic]\n\tport = 10809\n\n[a]\n\texportname = /a\n\n[b]\n\texportname = /b\n", encoding="utf-8")
        for daemon in DAEMONS:
            self.command(daemon, f'echo "{daemon} $*"')

    def command(self, name: str, script: str) -> None:
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def daemon(self, name: str) -> None:
        """A stand-in that runs until it gets a signal, and tells of it."""
        self.command(name, f"trap 'echo {name} stopped; exit 0' TERM\necho $$ >{self.root}/{name}.pid\nwhile :; do sleep 0.05; done")

    @contextlib.contextmanager
    def start(self, *arguments: str, program: str = "ltsp-serve") -> t.Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            # Background processes ignore SIGINT, and a shell cannot undo that.
            ["env", "--default-signal=INT", str(self.root / program), *arguments],
            env={"PATH": f"{self.root}/bin:{os.environ['PATH']}", "LTSP_SERVE_ROOT": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # In a container its processes have a group of their own, too.
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, *arguments: str, program: str = "ltsp-serve") -> tuple[int, str]:
        with self.start(*arguments, program=program) as process:
            output, _errors = process.communicate(timeout=30)
            return process.returncode, output

    def pid(self, name: str) -> int:
        path = self.root / f"{name}.pid"
        for _attempt in range(400):
            if path.exists() and path.read_text(encoding="utf-8").strip():
                return int(path.read_text(encoding="utf-8"))
            time.sleep(0.02)
        pytest.fail(f"{name} did not start")


@pytest.fixture(params=SHELLS)
def container(request: t.Any, tmp_path: pathlib.Path) -> Container:
    if not shutil.which(SHELLS[request.param][0]):
        pytest.skip(f"{request.param} is not installed")
    return Container(tmp_path, SHELLS[request.param])


@pytest.mark.parametrize("arguments", [["all"], ["tftp", "http"], ["*"], [""], ["-h"]])
def test_what_it_does_not_know_it_refuses(container: Container, arguments: list[str]) -> None:
    assert container.run(*arguments) == (2, "Usage: ltsp-serve [http|nbd|tftp]\n")


def test_tftp_answers_from_one_port(container: Container) -> None:
    container.command("id", "echo 65532")
    status, output = container.run("tftp")
    assert status == 0
    for option in ("--port=0", "--enable-tftp", "--tftp-root=/srv/ltsp/public", "--tftp-single-port", "--log-facility=-", "--keep-in-foreground"):
        assert f" {option}" in output
    assert "--no-daemon" not in output


def test_root_needs_no_capability_but_that_for_the_port(container: Container) -> None:
    container.command("id", "echo 0")
    assert container.run("tftp")[1].rstrip().endswith(" --no-daemon")
    assert container.run("http")[1] == "nginx -e stderr -c /etc/nginx/ltsp.conf -g daemon off; user root;\n"


def test_http_is_in_the_foreground(container: Container) -> None:
    container.command("id", "echo 65532")
    assert container.run("http") == (0, "nginx -e stderr -c /etc/nginx/ltsp.conf -g daemon off;\n")


def test_nbd_says_where_it_is_and_runs(container: Container) -> None:
    assert container.run("nbd") == (0, "ltsp-serve: nbd: port 10809, 2 exports\nnbd-server -n -C /etc/nbd-server/ltsp.conf\n")


def test_a_port_in_use_is_named(container: Container) -> None:
    (container.root / "proc/net/tcp").write_text(TCP, encoding="utf-8")
    status, output = container.run("nbd")
    assert status == 1
    assert "TCP port 10809 is in use on this host" in output
    assert "nbd-server -n" not in output


def test_a_client_of_the_port_does_not_keep_it_in_use(container: Container) -> None:
    (container.root / "proc/net/tcp").write_text("".join(line for line in TCP.splitlines(keepends=True) if " 0A " not in line), encoding="utf-8")
    assert container.run("nbd")[0] == 0


@pytest.mark.parametrize("daemon", ["tftp", "http", "nbd"])
def test_the_status_of_a_daemon_is_that_of_the_container(container: Container, daemon: str) -> None:
    for name in DAEMONS:
        container.command(name, "exit 7")
    assert container.run(daemon)[0] == 7


def test_one_daemon_takes_the_place_of_the_entry_point(container: Container) -> None:
    container.daemon("nginx")
    with container.start("http") as process:
        assert container.pid("nginx") == process.pid
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_a_client_is_told_by_its_address(container: Container) -> None:
    (container.root / "proc/net/tcp").write_text(TCP, encoding="utf-8")
    descriptors = container.root / "proc/42/fd"
    descriptors.mkdir(parents=True)
    for number, target in enumerate(("/dev/null", "socket:[4711]", "socket:[4712]")):
        (descriptors / str(number)).symlink_to(target)
    assert container.run("opens", "42", "/srv/a b", program="nbd-client") == (0, "ltsp-serve: nbd: 10.9.1.1 opens /srv/a b\n")


def test_a_client_that_is_gone_is_a_client(container: Container) -> None:
    (container.root / "proc/net/tcp").write_text(TCP, encoding="utf-8")
    assert container.run("closes", "42", "/srv/a", program="nbd-client") == (0, "ltsp-serve: nbd: a client closes /srv/a\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_daemons_in_good_order(container: Container, number: signal.Signals) -> None:
    for name in DAEMONS:
        container.daemon(name)
    with container.start() as process:
        pids = [container.pid(name) for name in DAEMONS]
        process.send_signal(number)
        output, _errors = process.communicate(timeout=10)
    assert process.returncode == 0
    for name in DAEMONS:
        assert f"{name} stopped" in output
    assert not [pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("name", DAEMONS)
@pytest.mark.parametrize(("script", "status"), [("kill -KILL", 137), ("kill -TERM", 0)])
def test_a_daemon_that_ends_takes_the_others_along(container: Container, name: str, script: str, status: int) -> None:
    for other in DAEMONS:
        container.daemon(other)
    with container.start() as process:
        pids = {other: container.pid(other) for other in DAEMONS}
        subprocess.run([*script.split(), str(pids[name])], check=True)
        output, _errors = process.communicate(timeout=10)
    assert process.returncode == 1
    service = {"dnsmasq": "tftp", "nginx": "http", "nbd-server": "nbd"}[name]
    assert re.findall(r"(\w+) ended with status (\d+)", output)[0] == (service, str(status))
    assert not [pid for pid in pids.values() if pathlib.Path(f"/proc/{pid}").exists()]


def test_a_daemon_that_does_not_start_ends_the_container(container: Container) -> None:
    for name in ("dnsmasq", "nginx"):
        container.daemon(name)
    container.command("nbd-server", "exit 3")
    status, output = container.run()
    assert status == 1
    assert "nbd ended with status 3" in output


def test_a_further_daemon_is_a_file(container: Container) -> None:
    (container.services / "nfs.sh").write_text("serve() {\n\texec nfsd --foreground\n}\n", encoding="utf-8")
    for name in DAEMONS:
        container.daemon(name)
    container.command("nfsd", "echo nfsd $*; exit 7")
    assert container.run("nfs") == (7, "nfsd --foreground\n")
    status, output = container.run()
    assert status == 1
    assert "nfs ended with status 7" in output
    assert container.run("-h")[1] == "Usage: ltsp-serve [http|nbd|nfs|tftp]\n"
