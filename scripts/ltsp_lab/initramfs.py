# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that the kernel unpacks as its initramfs, one after the other."""

from __future__ import annotations

import pathlib
import typing as t

_FILE, _DIRECTORY = 0o100000, 0o040000


def archive(files: t.Mapping[str, tuple[int, bytes]]) -> bytes:
    """A cpio archive (newc) of files, name to mode and content, and of the directories that they are in."""
    directories = {str(parent) for name in files for parent in pathlib.PurePath(name).parents if str(parent) != "."}
    entries = [(name, _DIRECTORY | 0o755, b"") for name in sorted(directories)]
    entries += [(name, _FILE | mode, content) for name, (mode, content) in files.items()]
    return b"".join(_entry(number, *entry) for number, entry in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1))


def extended(initrd: bytes, files: t.Mapping[str, tuple[int, bytes]]) -> bytes:
    """An initrd with more files; they come after it, and so replace those that it has."""
    return _padded(initrd) + archive(files)


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0]
    return _padded(b"070701" + b"".join(b"%08X" % field for field in fields) + path) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % 4)
