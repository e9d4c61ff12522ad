# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's command lines, and what it runs guests with."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest

from ltsp_lab import qemu
from ltsp_lab.description import Firmware, Machine, describe
from ltsp_lab.files import Files

if t.TYPE_CHECKING:
    from ltsp_lab.power import Power
    from ltsp_lab.settings import Settings


def values(command: list[str], option: str) -> list[str]:
    return [value for name, value in zip(command, command[1:]) if name == option]


@pytest.fixture
def firmware(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The variables of a UEFI firmware as they are installed."""
    path = tmp_path / "OVMF_VARS.fd"
    path.write_bytes(b"new")
    monkeypatch.setattr(qemu, "_FIRMWARE_VARIABLES", str(path))
    return path


def command(settings: Settings, machine: Machine, acceleration: str = "tcg") -> list[str]:
    return qemu.command(settings, machine, Files(settings.run, machine.name), acceleration)


def test_kvm_is_used_where_it_opens(farm: Power, monkeypatch: pytest.MonkeyPatch) -> None:
    assert qemu.accelerator(farm.settings) == "kvm"
    monkeypatch.setattr(qemu, "kvm_opens", lambda: False)
    assert qemu.accelerator(farm.settings) == "tcg"


def test_the_lab_remembers_and_the_user_decides(farm: Power) -> None:
    assert qemu.remembered(farm.settings) == ""
    qemu.remember(farm.settings, "tcg")
    assert (farm.settings.run / "accelerator").read_text(encoding="utf-8") == "tcg"
    assert qemu.accelerator(farm.settings) == qemu.remembered(farm.settings) == "tcg"
    assert qemu.accelerator(dataclasses.replace(farm.settings, accelerator="kvm")) == "kvm"


def test_what_is_not_kvm_does_not_open_as_kvm(tmp_path: pathlib.Path) -> None:
    (tmp_path / "kvm").touch()
    for device in (tmp_path / "kvm", tmp_path / "none", pathlib.Path("/dev/null")):
        assert not qemu.kvm_opens(str(device))


def test_emulation_has_a_processor_that_boots_debian_13(farm: Power) -> None:
    words = command(farm.settings, describe(1).nodes[0])
    assert (values(words, "-accel"), values(words, "-cpu")) == (["tcg,thread=multi"], ["qemu64,-cx16"])
    words = command(farm.settings, describe(1).nodes[0], "kvm")
    assert (values(words, "-accel"), values(words, "-cpu")) == (["kvm"], ["host"])


def test_a_bios_boots_from_the_card_that_brings_a_network_stack(farm: Power) -> None:
    words = command(farm.settings, describe(1).nodes[0])
    assert words[0] == "qemu-system-x86_64"
    assert "virtio-net-pci,netdev=card1,mac=52:54:00:77:00:01,bootindex=1" in values(words, "-device")
    assert values(words, "-netdev") == ["tap,id=card1,ifname=node1,script=no,downscript=no"]
    assert [value.partition("file=")[2] for value in values(words, "-drive")] == [f"{farm.settings.run}/node1.disk"]
    assert values(words, "-boot") == ["reboot-timeout=10000"]


def test_uefi_has_variables_that_stay(farm: Power, firmware: pathlib.Path) -> None:
    own = farm.settings.run / "node2.vars"
    node = describe(2).nodes[1]
    words = command(farm.settings, node)
    assert own.read_bytes() == b"new"
    assert [value for value in values(words, "-drive") if "pflash" in value][1] == f"if=pflash,unit=1,format=raw,file={own}"
    assert "virtio-net-pci,netdev=card1,mac=52:54:00:77:00:02,bootindex=1,romfile=" in values(words, "-device")
    own.write_bytes(b"used")
    command(farm.settings, node)
    assert own.read_bytes() == b"used"


def test_an_installed_machine_has_kernel_and_disk_of_its_own(farm: Power) -> None:
    (machine,) = describe(1, server="kubernetes").machines
    words = command(farm.settings, machine)
    place = farm.settings.directory / "kube-1"
    assert (values(words, "-kernel"), values(words, "-initrd")) == ([f"{place}/vmlinuz"], [f"{place}/initrd.img"])
    assert [value.partition("file=")[2] for value in values(words, "-drive")] == [f"{place}/disk"]
    assert (values(words, "-m"), values(words, "-smp")) == (["2048"], ["2"])
    assert list(farm.settings.run.iterdir()) == []


def test_each_card_and_each_disk_is_there_once(farm: Power) -> None:
    words = command(farm.settings, Machine("two", 50, Firmware.BIOS, ("52:54:00:77:00:50", "52:54:00:77:01:50"), 512, disks=(1, 2)))
    assert [value.split(",")[2] for value in values(words, "-netdev")] == ["ifname=two", "ifname=two.2"]
    assert [value for value in values(words, "-device") if "bootindex" in value] == [
        "virtio-net-pci,netdev=card1,mac=52:54:00:77:00:50,bootindex=1",
        "virtio-net-pci,netdev=card2,mac=52:54:00:77:01:50,bootindex=2",
    ]
    assert [(farm.settings.run / name).stat().st_size >> 30 for name in ("two.disk", "two.disk2")] == [1, 2]
