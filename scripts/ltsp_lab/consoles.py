# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of a boot, and its end, as its console shows them."""

from __future__ import annotations

import dataclasses
import re
import typing as t

if t.TYPE_CHECKING:
    import pathlib

STAGES = (
    ("started", r"login:"),
    ("systemd", r"systemd\[1\]"),
    ("initramfs", r"ltsp: root from|THIS NODE CANNOT BOOT"),
    ("kernel", r"Linux version"),
    ("boot loader", r"GRUB|ltsp: \S+ (boots|cannot boot)"),
    ("firmware asks for a boot loader", r"PXE"),
    ("firmware", r""),
)
"""The stages of a boot from its end to its beginning, each with the first words that a console shows of it."""

STOPS = (
    ("firmware", r"No bootable (device|option or device)|Nothing to boot", "the DHCP server's log: did the firmware ask, and for which loader?"),
    ("boot loader", r"ltsp: \S+ cannot boot: .*", "the lines of the loader below it say what to do"),
    ("kernel", r"Kernel panic - not syncing.*", "the kernel's last lines above it"),
    ("initramfs", r"THIS NODE CANNOT BOOT", "the block on its console names the transports, why each failed and what to do"),
    ("initramfs", r"^\(initramfs\) ", "the initramfs has started a shell: its last lines say why"),
    ("systemd", r"You are in emergency mode", "journalctl -b on its console: a unit that the boot needs has failed"),
)
"""Words after which a boot does not go on by itself: the stage, a pattern, and where to look."""

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])|[\r\x00]")
"""Sequences of ECMA-48, with parameters (CSI), with a text (OSC) and short ones such as the reset of a terminal, in this order."""


@dataclasses.dataclass(frozen=True)
class Stop:
    """A boot that does not go on."""

    stage: str
    words: str
    look: str


def read(path: pathlib.Path, offset: int = 0) -> str:
    """The text of a console from `offset` on, without control sequences; empty without a console."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return _ESCAPES.sub("", file.read().decode("utf-8", "replace"))
    except FileNotFoundError:
        return ""


def stage(text: str) -> str:
    """The stage of a boot."""
    return next(name for name, pattern in STAGES if re.search(pattern, text))


def stop(text: str) -> Stop | None:
    """The first sign that a boot has stopped."""
    found = [(match.start(), Stop(name, match[0].strip(), look)) for name, pattern, look in STOPS if (match := re.search(pattern, text, re.MULTILINE))]
    return min(found, key=lambda sign: sign[0])[1] if found else None


def last_lines(text: str, count: int = 15) -> str:
    """The end of a console, without empty lines."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])
