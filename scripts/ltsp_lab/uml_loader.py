# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loader of a machine without firmware: boots user-mode Linux, again after each reboot, as its boot server describes it.

It reads the files that GRUB reads, by HTTP, and gives the kernel the command line that GRUB would give.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request

from ltsp_lab import uml
from ltsp_lab.description import BUILDER_ADDRESS, Machine
from ltsp_lab.files import Files
from ltsp_lab.initramfs import extended

# Images have no modules of user-mode Linux: the node mounts those of this machine by hostfs.
_MODULES_OF_THIS_KERNEL = f"""\
release=$(uname -r)
mkdir -p "/usr/lib/modules/$release"
mount -t hostfs -o "{uml.MODULES}/$release" none "/usr/lib/modules/$release"
echo 'for path in "/usr/lib/modules/$(uname -r)"; do mkdir -p "$rootmnt$path"; mount -o move "$path" "$rootmnt$path"; done' >>/scripts/init-bottom/ORDER
"""
# After a panic the kernel of a real machine restarts it, and user-mode Linux ends.
_RESTARTS = (b"reboot: Restarting system", b"Kernel panic - not syncing")
_RETRY_SECONDS = 10
_FETCH_SECONDS = 30
_ASSIGNMENT = re.compile(r'set (\w+)="(.*)"')
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")

Fetch = t.Callable[[str], bytes]


class NothingToBoot(Exception):
    """The boot server has no description for the machine, or lacks a file of it."""


class Missing(NothingToBoot):
    """The boot server says that it has no such file."""


def read(name: str, fetch: Fetch, variables: dict[str, str]) -> dict[str, str]:
    """The variables of a file of GRUB's and of those that it sources, which may be missing, as they may for GRUB."""
    for line in fetch(name).decode().splitlines():
        words = shlex.split(line, comments=True)[:2]
        if assignment := _ASSIGNMENT.fullmatch(line):
            variables[assignment[1]] = _VARIABLE.sub(lambda found: variables.get(found[1], ""), assignment[2])
        elif words[:1] == ["source"]:
            with contextlib.suppress(Missing):
                read(words[1], fetch, variables)
    return variables


def describe(mac: str, fetch: Fetch) -> dict[str, str]:
    """The boot description of a machine as GRUB's variables; raises NothingToBoot."""
    dashes = mac.replace(":", "-")
    variables = {"ltsp_mac": dashes, "net_default_server": BUILDER_ADDRESS}
    try:
        read(f"/boot/nodes/{dashes}.cfg", fetch, variables)
    except Missing:
        read("/boot/nodes/default.cfg", fetch, variables)
    if "ltsp_initrd" not in variables:
        raise NothingToBoot(f"{variables.get('ltsp_node', dashes)} has no image {variables.get('ltsp_wanted', '')}")
    return variables


def _fetcher(server: str) -> Fetch:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetch(path: str) -> bytes:
        try:
            with opener.open(f"http://{server}{path}", timeout=_FETCH_SECONDS) as answer:
                return bytes(answer.read())
        except (OSError, http.client.HTTPException) as error:
            kind = Missing if isinstance(error, urllib.error.HTTPError) and error.code == 404 else NothingToBoot
            raise kind(f"http://{server}{path}: {error}") from error

    return fetch


def command(machine: Machine, files: Files, command_line: str) -> list[str]:
    """User-mode Linux as it runs within its root directory, where /mnt has the machine's files."""
    cards = [f"vec{index}:transport=tap,ifname={tap},mac={mac},depth=128,gro=1" for index, (mac, tap) in enumerate(zip(machine.macs, machine.taps))]
    disks = [f"ubd{index}=/mnt/{path.name}" for index, path in enumerate(files.make_disks(machine.disks))]
    console = ["con=null", "con0=null,fd:1", "console=tty0"]
    return [
        uml.PROGRAM,
        *(f"mem={machine.memory}M", f"umid={machine.name}", "uml_dir=/tmp", f"initrd=/mnt/{files.initrd.name}", "noreboot"),
        *(*console, *cards, *disks, *command_line.split(), *machine.kernel_args),
    ]


def boot(tree: pathlib.Path, machine: Machine, files: Files, console: t.BinaryIO) -> bool:
    """One boot, to its end; returns whether the machine starts again."""
    fetch = _fetcher(BUILDER_ADDRESS)
    variables = describe(machine.macs[0], fetch)
    say(console, f"ltsp: {variables['ltsp_node']} boots {variables['ltsp_image']} {variables['ltsp_version']}")
    files.initrd.write_bytes(extended(fetch(variables["ltsp_initrd"]), {"conf/conf.d/uml": (0o644, _MODULES_OF_THIS_KERNEL.encode())}))
    begin = console.tell()
    run([*uml.enter(tree, files.run), *command(machine, files, variables["ltsp_command_line"])], console)
    console.seek(begin)
    words = console.read()
    return any(restart in words for restart in _RESTARTS)


def run(linux: list[str], console: t.BinaryIO) -> None:
    """Run user-mode Linux to its end, or to ours: it has a session of its own, where no signal to the loader's reaches it."""
    # A pipe, because user-mode Linux cannot wait for a file.
    process = subprocess.Popen(linux, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout
    try:
        while words := os.read(process.stdout.fileno(), 65536):
            console.write(words)
    finally:
        process.kill()
        process.wait()


def say(console: t.BinaryIO, line: str) -> None:
    console.write(f"{line}\r\n".encode())


def main(tree: pathlib.Path, record: pathlib.Path) -> None:
    machine = Machine.restore(json.loads(record.read_text(encoding="utf-8"))["machine"])
    files = Files(record.parent, machine.name)
    with files.console_log.open("w+b", buffering=0) as console:
        again = True
        while again:
            try:
                again = boot(tree, machine, files, console)
            except NothingToBoot as error:
                say(console, f"ltsp: {machine.macs[0]} cannot boot: {error}")
                time.sleep(_RETRY_SECONDS)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit())
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
