# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What consoles say."""

from __future__ import annotations

import pathlib

import pytest

from ltsp_lab import consoles

SEABIOS = "SeaBIOS (version 1.16.2)\n"
PXE = f"{SEABIOS}iPXE (PCI 00:02.0)\nPXE boot\n"
GRUB = f"{PXE}Welcome to GRUB!\nltsp: node1 boots debian 20260101T000000Z-0123456789ab\n"
KERNEL = f"{GRUB}[    0.000000] Linux version 6.12.0\n"
INITRAMFS = f"{KERNEL}ltsp: root from nbd:10.77.0.1\n"
SYSTEMD = f"{INITRAMFS}[    5.000000] systemd[1]: Detected virtualization kvm.\n"


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("", "firmware"),
        (SEABIOS, "firmware"),
        (PXE, "firmware asks for a boot loader"),
        (GRUB, "boot loader"),
        ("ltsp: node1 boots debian 1\n", "boot loader"),
        ("ltsp: 52:54:00:77:00:01 cannot boot: it is gone\n", "boot loader"),
        (KERNEL, "kernel"),
        (INITRAMFS, "initramfs"),
        (f"{KERNEL}THIS NODE CANNOT BOOT\n", "initramfs"),
        (SYSTEMD, "systemd"),
        (f"{SYSTEMD}node1 login: ", "started"),
    ],
)
def test_a_stage_is_the_last_that_was_reached(text: str, stage: str) -> None:
    assert consoles.stage(text) == stage


@pytest.mark.parametrize(
    ("text", "stage", "words"),
    [
        ("No bootable device.  Retrying in 10 seconds.", "firmware", "No bootable device"),
        ("BdsDxe: No bootable option or device was found.", "firmware", "No bootable option or device"),
        ("Nothing to boot: No such file or directory", "firmware", "Nothing to boot"),
        ("ltsp: 52-54-00-77-00-01 cannot boot: nothing says what it boots.", "boot loader", "ltsp: 52-54-00-77-00-01 cannot boot: nothing says what it boots."),
        ("[ 1.2] Kernel panic - not syncing: VFS: no root", "kernel", "Kernel panic - not syncing: VFS: no root"),
        ("*** THIS NODE CANNOT BOOT ***", "initramfs", "THIS NODE CANNOT BOOT"),
        ("BusyBox v1.35\n\n(initramfs) ", "initramfs", "(initramfs)"),
        ("You are in emergency mode. After", "systemd", "You are in emergency mode"),
    ],
)
def test_a_stop_says_where_and_in_which_words(text: str, stage: str, words: str) -> None:
    stop = consoles.stop(f"{SYSTEMD}{text}\nmore")
    assert stop
    assert (stop.stage, stop.words) == (stage, words)
    assert stop.look


def test_the_first_stop_is_the_cause_of_the_others() -> None:
    stop = consoles.stop("THIS NODE CANNOT BOOT\nKernel panic - not syncing: Attempted to kill init!\n")
    assert stop
    assert stop.stage == "initramfs"


def test_a_boot_that_goes_on_has_no_stop() -> None:
    assert consoles.stop(f"{SYSTEMD}node1 login: ") is None
    assert consoles.stop("the line '(initramfs) ' in the middle") is None


def test_reading_a_console_leaves_out_what_is_for_terminals(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "console.log"
    # SeaBIOS resets the terminal, systemd 257 marks its units.
    log.write_bytes(
        b"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS\r\n\x1b]3008;start=1;unit=x\x1b\\a\x1b]0;title\x07b\x1b(Bc\0\x1b[38;5;245md\x1b7e\x1b[>4;1mf\r\n\xff\n"
    )
    assert consoles.read(log) == "SeaBIOS\nabcdef\n\ufffd\n"
    assert consoles.read(log, log.stat().st_size - 2) == "\ufffd\n"
    assert consoles.read(log, 1000) == ""
    assert consoles.read(tmp_path / "other") == ""


def test_the_last_lines_are_those_with_words() -> None:
    assert consoles.last_lines("a\n\nb\n  \nc\n\n", 2) == "b\nc"
    assert consoles.last_lines("") == ""
