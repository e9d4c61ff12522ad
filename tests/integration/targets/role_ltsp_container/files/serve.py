# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""serve.py IMAGE VERSION ADDRESS DIRECTORY: a boot server of the image alone, as it runs on Kubernetes.

It is asked by its network and by ADDRESS, which is of another one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Callable

CONFINED = "--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges".split()
CONTAINERS = "ltsp-all ltsp-volume ltsp-tftp ltsp-http ltsp-nbd ltsp-second".split()
FETCH = "curl --silent --show-error --fail --max-time 10".split()
STATUS = ["curl", "--silent", "--max-time", "10", "--output", "/dev/null", "--write-out", "%{http_code}"]
FOR_ALL = "boot/grub/i386-pc/core.0 boot/grub/x86_64-efi/core.efi boot/grub/grub.cfg boot/nodes/default.cfg images/node/current/boot.cfg".split()
IN_VOLUME = "default.cfg default.json lts.conf 52-54-00-97-00-01.cfg 52-54-00-97-00-01.conf".split()


class UnexpectedError(Exception):
    """A check came out otherwise than expected."""


def check(what: str, expected: object, came: object) -> None:
    if came != expected:
        raise UnexpectedError(f"{what}: expected {expected!r}, came {came!r}")


def check_has(what: str, expected: str, came: str) -> None:
    if expected not in came:
        raise UnexpectedError(f"{what}: expected {expected!r} in it, came:\n{came}")


def output(*command: str, timeout: float | None = None) -> str:
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, timeout=timeout).stdout.strip()


def succeeds(*command: str) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode == 0


def fetch(url: str) -> bytes:
    return subprocess.run([*FETCH, url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout


def check_status(expected: str, url: str, *options: str) -> None:
    """The exit status of curl does not count: 000 is its answer without one of the server."""
    came = subprocess.run([*STATUS, *options, url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False).stdout
    check(" ".join(["status of", url, *options]), expected, came)


def read_export(*arguments: str) -> None:
    output("/usr/bin/python3", str(Path(__file__).with_name("read_export.py")), *arguments)


def log(container: str) -> str:
    command = ["docker", "logs", container]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False).stdout


def start(container: str, image: str, *options: str, daemon: str = "") -> None:
    output("docker", "run", "--detach", "--name", container, *options, *CONFINED, image, *daemon.split())


def inspect(container: str, field: str) -> str:
    return output("docker", "inspect", "--format", "{{." + field + "}}", container)


def address(container: str) -> str:
    return inspect(container, "NetworkSettings.IPAddress")


def stop(*containers: str) -> None:
    output("docker", "stop", *containers)


def check_stopped(container: str) -> None:
    check(f"exit status of {container}", "0", inspect(container, "State.ExitCode"))


def check_fails(container: str, message: str) -> None:
    check(f"exit status of {container}", "1", output("docker", "wait", container, timeout=20))
    check_has(f"log of {container}", message, log(container))


def wait_for(container: str, what: str, ready: Callable[[], bool]) -> None:
    for _attempt in range(30):
        if ready():
            return
        time.sleep(1)
    raise UnexpectedError(f"{container}: expected {what}, came nothing in 30 attempts; its log:\n{log(container)}")


def up(container: str, ip: str) -> None:
    """All three services answer there."""
    for url in (f"http://{ip}/healthz", f"tftp://{ip}/boot/grub/grub.cfg"):
        wait_for(container, f"an answer from {url}", partial(succeeds, *FETCH, "--output", "/dev/null", url))
    listens = ["docker", "exec", container, "grep", "-q", ":2A39 [0-9A-F:]* 0A ", "/proc/net/tcp"]
    wait_for(container, "a listener on TCP port 10809", partial(succeeds, *listens))


def check_rights(container: str, *expected: str) -> None:
    came = output("docker", "exec", container, "grep", "-E", "^(Uid|CapEff):", "/proc/1/status")
    for right in expected:
        check_has(f"rights of {container}", right, came)


def check_hidden(container: str) -> None:
    """The exit status of find does not count: a directory may be closed to the user of the container."""
    command = ["docker", "exec", container, *"find /srv /usr/lib/ltsp /etc/nginx /etc/nbd-server -name .*".split()]
    came = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False).stdout
    check(f"hidden files in {container}", "", came)


def check_files(ip: str, version: str) -> None:
    for path in FOR_ALL:
        by_tftp, by_http = fetch(f"tftp://{ip}/{path}"), fetch(f"http://{ip}/{path}")
        if by_tftp != by_http:
            came = f"{len(by_tftp)} bytes {by_tftp[:80]!r} and {len(by_http)} bytes {by_http[:80]!r}"
            raise UnexpectedError(f"{path}: expected the same by TFTP and HTTP, came {came}")
    check_has(FOR_ALL[-1], version, by_http.decode())
    check_has("default.json", '"server": null', fetch(f"http://{ip}/config/nodes/default.json").decode())
    fetch(f"http://{ip}/config/lts.conf")


def check_export(ip: str, version: str, stranger: str, work: Path) -> None:
    fetched = work / "fetched"
    fetched.write_bytes(fetch(f"http://{ip}/images/node/{version}/root.squashfs"))
    read_export(ip, f"node-{version}", str(fetched), stranger)


def check_refusals(ip: str, stranger: str) -> None:
    check_status("404", f"http://{ip}/boot/nodes/52-54-00-97-00-01.cfg")
    check_status("404", f"http://{ip}/images/")
    check_status("403", f"http://{ip}/config/lts.conf", "--interface", stranger)
    check_status("200", f"http://{ip}/healthz", "--interface", stranger)


def check_log(version: str) -> None:
    squashfs = f"/srv/ltsp/public/images/node/{version}/root.squashfs"
    closes = re.compile(f"nbd: .* closes {re.escape(squashfs)}")
    wait_for("ltsp-all", f"a line {closes.pattern!r} in the log", lambda: bool(closes.search(log("ltsp-all"))))
    came = log("ltsp-all")
    check_has("log of ltsp-all", "sent /srv/ltsp/public/boot/grub/i386-pc/core.0 to 172.17.0.1", came)
    check_has("log of ltsp-all", 'GET /config/lts.conf HTTP/1.1" 200', came)
    check_has("log of ltsp-all", f"nbd: 172.17.0.1 opens {squashfs}", came)


def all_without_rights(image: str, version: str, stranger: str, work: Path) -> None:
    """All three daemons run without any right."""
    start("ltsp-all", image)
    ip = address("ltsp-all")
    up("ltsp-all", ip)
    check_rights("ltsp-all", "Uid:\t65532\t", "CapEff:\t0000000000000000")
    check_hidden("ltsp-all")
    check_files(ip, version)
    check_export(ip, version, stranger, work)
    check_refusals(ip, stranger)
    check_log(version)
    stop("ltsp-all")
    check_stopped("ltsp-all")


def daemon_that_dies() -> None:
    """The container ends with the first of its daemons, and says which."""
    output("docker", "start", "ltsp-all")
    up("ltsp-all", address("ltsp-all"))
    processes = output("docker", "top", "ltsp-all", "-eo", "pid,comm")
    found = re.findall(r"^ *(\d+) *dnsmasq$", processes, re.MULTILINE)
    if len(found) != 1:
        raise UnexpectedError(f"processes of ltsp-all: expected one dnsmasq, came:\n{processes}")
    os.kill(int(found[0]), signal.SIGKILL)
    check_fails("ltsp-all", "tftp ended with status 137")


def make_volume(nodes: Path) -> None:
    """Kubernetes mounts names that point into a hidden directory, which is replaced as a whole."""
    (nodes / "..first").mkdir(parents=True)
    for name in IN_VOLUME:
        (nodes / "..first" / name).write_text(f"{name}\n")
        (nodes / name).symlink_to(f"..data/{name}")
    (nodes / "..data").symlink_to("..first")
    output("chmod", "-R", "go+rX", str(nodes))


def replace_volume(nodes: Path) -> None:
    shutil.copytree(nodes / "..first", nodes / "..second")
    (nodes / "..second/lts.conf").write_text("changed\n")
    (nodes / "..data_tmp").symlink_to("..second")
    (nodes / "..data_tmp").replace(nodes / "..data")


def check_volume(ip: str) -> None:
    for path in ("boot/nodes/52-54-00-97-00-01.cfg", "config/nodes/52-54-00-97-00-01.conf", "config/lts.conf"):
        for scheme in ("tftp", "http"):
            url = f"{scheme}://{ip}/{path}"
            check(url, f"{Path(path).name}\n".encode(), fetch(url))
    check_status("404", f"http://{ip}/boot/nodes/..data/lts.conf")


def nodes_from_volume(image: str, nodes: Path) -> None:
    """What a node boots comes from one volume, and follows its changes."""
    make_volume(nodes)
    start("ltsp-volume", image, "--volume", f"{nodes}:/srv/ltsp/public/boot/nodes:ro")
    ip = address("ltsp-volume")
    up("ltsp-volume", ip)
    check_volume(ip)
    replace_volume(nodes)
    check("config/lts.conf of the replaced volume", b"changed\n", fetch(f"http://{ip}/config/lts.conf"))
    stop("ltsp-volume")


def one_daemon_a_container(image: str, version: str) -> None:
    """The containers are in the network of the machine: the first two need one capability."""
    for daemon in ("tftp", "http"):
        start(f"ltsp-{daemon}", image, *"--network host --user 0 --cap-add NET_BIND_SERVICE".split(), daemon=daemon)
        check_rights(f"ltsp-{daemon}", "CapEff:\t0000000000000400")
    start("ltsp-nbd", image, "--network", "host", daemon="nbd")
    up("ltsp-nbd", "127.0.0.1")
    read_export("127.0.0.1", f"node-{version}")
    start("ltsp-second", image, "--network", "host", daemon="nbd")
    check_fails("ltsp-second", "TCP port 10809 is in use")
    stop("ltsp-tftp", "ltsp-http", "ltsp-nbd")
    for daemon in ("tftp", "http", "nbd"):
        check_stopped(f"ltsp-{daemon}")


def main(image: str, version: str, stranger: str, directory: str) -> None:
    work = Path(directory)
    try:
        all_without_rights(image, version, stranger, work)
        daemon_that_dies()
        nodes_from_volume(image, work / "nodes")
        one_daemon_a_container(image, version)
    finally:
        subprocess.run(["docker", "rm", "--force", *CONTAINERS], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
