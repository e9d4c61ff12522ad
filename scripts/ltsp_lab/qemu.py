# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of QEMU for a machine, and its accelerator."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import typing as t

from ltsp_lab.description import Firmware

if t.TYPE_CHECKING:
    from ltsp_lab.description import Machine
    from ltsp_lab.files import Files
    from ltsp_lab.settings import Settings

KVM, EMULATION = "kvm", "tcg"
# Debian 12's QEMU kills Debian 13's kernel at cmpxchg16b when it emulates.
_ACCELERATION = {
    KVM: ("-accel", "kvm", "-cpu", "host"),
    EMULATION: ("-accel", "tcg,thread=multi", "-cpu", "qemu64,-cx16"),
}
_FIRMWARE_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
_FIRMWARE_VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
_KVM_GET_API_VERSION, _KVM_CREATE_VM = 0xAE00, 0xAE01


def accelerator(settings: Settings) -> str:
    """The accelerator of the next machine: the user's choice, else that of an earlier machine of this lab, else KVM where it opens."""
    return settings.accelerator or remembered(settings) or (KVM if kvm_opens() else EMULATION)


def remembered(settings: Settings) -> str:
    """The accelerator that worked for an earlier machine of this lab; empty without one."""
    with contextlib.suppress(FileNotFoundError):
        return _note(settings).read_text(encoding="utf-8")
    return ""


def remember(settings: Settings, name: str) -> None:
    """Note the accelerator for the other machines of this lab."""
    _note(settings).write_text(name, encoding="utf-8")


def kvm_opens(device: str = "/dev/kvm") -> bool:
    """Whether KVM creates a machine. Only its boot shows whether KVM can run it."""
    with contextlib.suppress(OSError):
        kvm = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(kvm, _KVM_GET_API_VERSION)
            os.close(fcntl.ioctl(kvm, _KVM_CREATE_VM, 0))
            return True
        finally:
            os.close(kvm)
    return False


def command(settings: Settings, machine: Machine, files: Files, acceleration: str) -> list[str]:
    """The command line. Creates the files that it names, if they are missing."""
    return [
        "qemu-system-x86_64",
        *("-name", machine.name, "-machine", "q35,graphics=off"),
        *_ACCELERATION[acceleration],
        *("-m", str(machine.memory), "-smp", str(machine.processors), "-nodefaults", "-display", "none"),
        *("-chardev", f"socket,id=console,path={files.console},server=on,wait=off,logfile={files.console_log}", "-serial", "chardev:console"),
        *("-qmp", f"unix:{files.qmp},server=on,wait=off"),
        *("-device", "virtio-rng-pci"),
        *_cards(machine),
        *_disks(settings, machine, files),
        *_FIRMWARE[machine.firmware](settings, machine, files),
    ]


def _note(settings: Settings) -> pathlib.Path:
    return settings.run / "accelerator"


def _cards(machine: Machine) -> list[str]:
    # SeaBIOS boots with the iPXE ROM of QEMU's network card. OVMF has its own PXE, which is used without that ROM.
    rom = "" if machine.firmware is Firmware.BIOS else ",romfile="
    words = []
    for index, (mac, tap) in enumerate(zip(machine.macs, machine.taps), 1):
        words += ["-netdev", f"tap,id=card{index},ifname={tap},script=no,downscript=no"]
        words += ["-device", f"virtio-net-pci,netdev=card{index},mac={mac},bootindex={index}{rom}"]
    return words


def _disks(settings: Settings, machine: Machine, files: Files) -> list[str]:
    paths = [settings.directory / machine.name / "disk"] if machine.firmware is Firmware.KERNEL else files.make_disks(machine.disks)
    words = []
    for index, path in enumerate(paths, 1):
        words += ["-drive", f"if=none,id=disk{index},format=raw,discard=unmap,file={path}", "-device", f"virtio-blk-pci,drive=disk{index}"]
    return words


def _bios(_settings: Settings, _machine: Machine, _files: Files) -> list[str]:
    return ["-boot", "reboot-timeout=10000"]


def _uefi(settings: Settings, machine: Machine, files: Files) -> list[str]:
    if not files.variables.exists():
        shutil.copyfile(_FIRMWARE_VARIABLES, files.variables)
    return [
        *_bios(settings, machine, files),
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_FIRMWARE_CODE}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={files.variables}"),
    ]


def _kernel(settings: Settings, machine: Machine, _files: Files) -> list[str]:
    place = settings.directory / machine.name
    return ["-kernel", f"{place}/vmlinuz", "-initrd", f"{place}/initrd.img", "-append", "root=/dev/vda rw console=ttyS0,115200n8 panic=10"]


_FIRMWARE: dict[Firmware, t.Callable[[Settings, Machine, Files], list[str]]] = {
    Firmware.BIOS: _bios,
    Firmware.UEFI: _uefi,
    Firmware.KERNEL: _kernel,
}
