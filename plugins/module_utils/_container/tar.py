# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of an archive in GNU's format. Those of Python's tarfile differ between versions."""

from __future__ import annotations

BLOCK = 512
REGULAR, HARD_LINK, SYMBOLIC_LINK, DIRECTORY, LONG_NAME, LONG_LINK = (b"0", b"1", b"2", b"5", b"L", b"K")


def header(name: bytes, kind: bytes, mode: int, uid: int = 0, gid: int = 0, size: int = 0, mtime: int = 0, link: bytes = b"") -> bytes:
    """Return the header of one member, preceded by the headers of a long name."""
    long_names = b""
    for long_kind, text in ((LONG_LINK, link), (LONG_NAME, name)):
        if len(text) > 100:
            long_names += header(b"././@LongLink", long_kind, 0, size=len(text) + 1) + padded(text + b"\0")
    fields = [
        name[:100].ljust(100, b"\0"),
        *(_number(value, width) for value, width in ((mode, 8), (uid, 8), (gid, 8), (size, 12), (mtime, 12))),
        b" " * 8,
        kind,
        link[:100].ljust(100, b"\0"),
        b"ustar  \0",
    ]
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return long_names + block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _number(value: int, width: int) -> bytes:
    if value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)
