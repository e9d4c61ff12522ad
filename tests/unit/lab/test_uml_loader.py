# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loader of machines without firmware, with files of the boot server as the collection renders them and a server of HTTP on this machine."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
import typing as t

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import boot_files, version_files
from ltsp_lab import uml, uml_loader
from ltsp_lab.description import Firmware, Machine
from ltsp_lab.files import Files
from ltsp_lab.uml_loader import Missing, NothingToBoot

if t.TYPE_CHECKING:
    from conftest import Site

MAC, STRANGER = "52:54:00:77:00:01", "52:54:00:77:00:63"
VERSION = "20260101T000000Z-0123456789ab"
MANIFEST = {
    "name": "debian",
    "version": VERSION,
    "files": {"root.squashfs": {"sha256": "5" * 64}},
    "verity": {"root_hash": "9" * 64, "offset": 4096},
}
UNKNOWN = {
    "image": "debian",
    "image_version": None,
    "server_address": None,
    "transports": ["nbd", "http"],
    "ram": True,
    "overlay": "50%",
    "kernel_args": ["quiet"],
}
NODE = {**UNKNOWN, "name": "node1", "macs": [MAC], "ip": "10.77.0.11", "server_address": "10.77.0.1", "ram": False, "kernel_args": ["console=tty0", "net.x=1"]}


class BootServer:
    """What a boot server gives by HTTP."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.add_image("current")
        self.add_image(VERSION)
        self.describe([NODE], UNKNOWN)

    def add_image(self, directory: str) -> None:
        self.site.add(f"images/debian/{directory}/boot.cfg", version_files(MANIFEST)["boot.cfg"])
        self.site.add(f"images/debian/{directory}/initrd.img", b"the initrd")

    def describe(self, nodes: list[dict[str, t.Any]], default: dict[str, t.Any] | None) -> None:
        for path in (self.site.directory / "boot/nodes").glob("*"):
            path.unlink()
        for name, content in boot_files(nodes, default, {"http": 80, "nbd": 10809}).items():
            self.site.add(f"boot/nodes/{name}", content)

    def read(self, mac: str) -> dict[str, str]:
        return uml_loader.describe(mac, uml_loader._fetcher(self.site.url.removeprefix("http://")))


@pytest.fixture
def server(site: Site, monkeypatch: pytest.MonkeyPatch) -> BootServer:
    # The loader must not use a proxy, which is for the way out of a lab.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    return BootServer(site)


def test_a_node_boots_what_grub_would_boot(server: BootServer) -> None:
    variables = server.read(MAC)
    assert {key: variables[f"ltsp_{key}"] for key in ("node", "image", "version", "wanted")} == {
        "node": "node1",
        "image": "debian",
        "version": VERSION,
        "wanted": "debian/current",
    }
    assert variables["ltsp_initrd"] == f"/images/debian/{VERSION}/initrd.img"
    words = variables["ltsp_command_line"].split()
    assert "BOOTIF=01-52-54-00-77-00-01" in words
    assert f"ltsp.image=debian/{VERSION}" in words
    assert f"ltsp.verity={'9' * 64}" in words
    assert f"ltsp.conf=http://10.77.0.1/config/nodes/{MAC.replace(':', '-')}.conf" in words
    assert words[-2:] == ["console=tty0", "net.x=1"]
    (root,) = [word for word in words if word.startswith("ltsp.root=")]
    assert f"/debian-{VERSION}" in root
    assert "$" not in variables["ltsp_command_line"]
    assert server.site.requests == ["/boot/nodes/52-54-00-77-00-01.cfg", "/images/debian/current/boot.cfg"]


def test_a_version_of_release_0_3_0_boots(server: BootServer) -> None:
    manifest = json.loads((pathlib.Path(__file__).parents[1] / "manifest_0.3.0.json").read_text(encoding="utf-8"))
    server.site.add("images/node/current/boot.cfg", version_files(manifest)["boot.cfg"])
    server.describe([{**NODE, "image": "node"}], None)
    variables = server.read(MAC)
    assert variables["ltsp_kernel"] == f"/images/node/{manifest['version']}/vmlinuz"
    words = variables["ltsp_command_line"].split()
    assert f"ltsp.sha256={manifest['files']['root.squashfs']['sha256']}" in words
    assert f"ltsp.verity={manifest['verity']['root_hash']}" in words
    assert server.site.requests == ["/boot/nodes/52-54-00-77-00-01.cfg", "/images/node/current/boot.cfg"]


def test_an_unknown_machine_boots_as_the_server_says(server: BootServer) -> None:
    variables = server.read(STRANGER)
    assert variables["ltsp_node"] == "52-54-00-77-00-63"
    words = variables["ltsp_command_line"].split()
    assert "BOOTIF=01-52-54-00-77-00-63" in words
    assert "ltsp.conf=http://10.77.0.1/config/lts.conf" in words
    assert words[-1] == "quiet"
    assert server.site.requests[:2] == ["/boot/nodes/52-54-00-77-00-63.cfg", "/boot/nodes/default.cfg"]


def test_where_unknown_machines_boot_nothing_the_file_is_named(server: BootServer) -> None:
    server.describe([NODE], None)
    with pytest.raises(Missing, match=r"http://127\.0\.0\.1:[0-9]+/boot/nodes/default\.cfg: .*404"):
        server.read(STRANGER)


def test_a_node_without_an_image_does_not_boot_as_an_unknown_machine(server: BootServer) -> None:
    server.describe([{**NODE, "image": "other"}], UNKNOWN)
    with pytest.raises(NothingToBoot, match=r"^node1 has no image other/current$"):
        server.read(MAC)
    server.describe([{**NODE, "image_version": "20250101T000000Z-0123456789ab"}], UNKNOWN)
    with pytest.raises(NothingToBoot, match=r"^node1 has no image debian/20250101T000000Z-0123456789ab$"):
        server.read(MAC)


def test_a_node_of_a_server_with_trouble_does_not_boot_as_an_unknown_machine(server: BootServer) -> None:
    for broken in (f"{MAC.replace(':', '-')}.cfg", "boot.cfg"):
        server.site.broken = broken
        with pytest.raises(NothingToBoot, match=rf"/{broken}: ") as error:
            server.read(MAC)
        assert not isinstance(error.value, Missing)
    assert not [path for path in server.site.requests if "default" in path]


def test_a_server_that_is_away_is_named() -> None:
    with pytest.raises(NothingToBoot, match=r"http://127\.0\.0\.1:1/boot/nodes/52-54-00-77-00-01\.cfg: .*Connection refused") as error:
        uml_loader.describe(MAC, uml_loader._fetcher("127.0.0.1:1"))
    assert not isinstance(error.value, Missing)


# --- a machine that boots

LINUX = """#!/bin/sh
printf '%s\\n' "$*" >>"$0.calls"
echo "Linux version 7"
number=$(wc -l <"$0.calls")
cat "$0.$number"
"""


class Booting:
    """A machine, and a shell script in place of user-mode Linux, which says in each boot what it was told."""

    def __init__(self, tmp_path: pathlib.Path) -> None:
        self.program = tmp_path / "linux"
        self.program.write_text(LINUX, encoding="utf-8")
        self.program.chmod(0o755)
        self.machine = Machine("node1", 11, Firmware.NONE, (MAC,), 512, disks=(1,), kernel_args=("loglevel=7",))
        self.files = Files(tmp_path / "run", "node1")
        self.files.run.mkdir()

    def tell(self, *boots: str) -> None:
        for number, words in enumerate(boots, 1):
            pathlib.Path(f"{self.program}.{number}").write_text(f"{words}\n", encoding="utf-8")

    def run(self) -> str:
        """Returns what the console shows."""
        self.files.write_record(self.machine)
        uml_loader.main(pathlib.Path("/tree"), self.files.record)
        return self.files.console_log.read_text(encoding="utf-8")

    @property
    def calls(self) -> list[str]:
        return pathlib.Path(f"{self.program}.calls").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def booting(server: BootServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Booting:
    booting = Booting(tmp_path)
    monkeypatch.setattr(uml, "enter", lambda root, work: ["env", f"ROOT={root}"])
    monkeypatch.setattr(uml, "PROGRAM", str(booting.program))
    monkeypatch.setattr(uml_loader, "BUILDER_ADDRESS", server.site.url.removeprefix("http://"))
    monkeypatch.setattr(uml_loader, "_RETRY_SECONDS", 0.01)
    return booting


def test_a_machine_boots_until_it_is_switched_off(booting: Booting) -> None:
    booting.tell("[  9.0] reboot: Restarting system", "reboot: Power down")
    boots = f"ltsp: node1 boots debian {VERSION}\nLinux version 7\n"
    assert booting.run().replace("\r", "") == f"{boots}[  9.0] reboot: Restarting system\n{boots}reboot: Power down\n"
    assert len(booting.calls) == 2


def test_user_mode_linux_gets_memory_cards_disks_and_the_command_line_of_grub(booting: Booting, server: BootServer) -> None:
    booting.machine = dataclasses.replace(booting.machine, macs=(MAC, STRANGER), disks=(1, 1))
    booting.tell("")
    booting.run()
    words = booting.calls[0].split()
    assert words[:5] == ["mem=512M", "umid=node1", "uml_dir=/tmp", "initrd=/mnt/node1.initrd", "noreboot"]
    assert f"vec0:transport=tap,ifname=node1,mac={MAC},depth=128,gro=1" in words
    assert f"vec1:transport=tap,ifname=node1.2,mac={STRANGER},depth=128,gro=1" in words
    assert ("ubd0=/mnt/node1.disk" in words, "ubd1=/mnt/node1.disk2" in words) == (True, True)
    assert " ".join(words).endswith(f" {server.read(MAC)['ltsp_command_line']} loglevel=7")
    initrd = booting.files.initrd.read_bytes()
    assert initrd.startswith(b"the initrd\0\0" + b"070701")
    assert b"mount -t hostfs -o" in initrd


def test_a_machine_asks_again_until_its_server_says_what_it_boots(booting: Booting, server: BootServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.describe([], None)
    pauses: list[float] = []

    def later(seconds: float) -> None:
        """Each pause brings the server a step further."""
        pauses.append(seconds)
        if len(pauses) == 1:
            server.describe([NODE], None)
            server.site.broken = "initrd.img"
        else:
            server.site.broken = ""

    monkeypatch.setattr(time, "sleep", later)
    booting.tell("reboot: Power down")
    first, second, *rest = booting.run().splitlines()
    assert first.startswith(f"ltsp: {MAC} cannot boot: http://127.0.0.1:")
    assert "404" in first
    assert second == f"ltsp: node1 boots debian {VERSION}"
    assert rest[0].startswith(f"ltsp: {MAC} cannot boot: http://127.0.0.1:")
    assert "initrd.img" in rest[0]
    assert rest[-1] == "reboot: Power down"
    assert pauses == [0.01, 0.01]


def test_user_mode_linux_ends_when_the_loader_does(tmp_path: pathlib.Path) -> None:
    class Console:
        """It interrupts the loader at the first words."""

        def write(self, words: bytes) -> int:
            self.process = int(words)
            raise KeyboardInterrupt

    console = Console()
    with pytest.raises(KeyboardInterrupt):
        uml_loader.run(["sh", "-c", "echo $$; exec sleep 1000"], t.cast("t.BinaryIO", console))
    assert not pathlib.Path(f"/proc/{console.process}").exists()


def test_a_record_is_all_that_the_loader_needs_to_know(booting: Booting) -> None:
    booting.tell("reboot: Power down")
    booting.run()
    assert json.loads(booting.files.record.read_text(encoding="utf-8"))["machine"]["name"] == "node1"
