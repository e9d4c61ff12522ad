# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel of an image tree and its initrd."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.tree import hash_file, open_inside
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import INITRD, KERNEL

_SET_ASIDE = re.compile(r"\.(old|bak|dpkg-\w+)$")


class Kernel(t.NamedTuple):
    """The kernel of a tree and its initrd; the files' paths are relative to the tree."""

    release: str
    files: dict[str, str]
    sha256: dict[str, str]


def newest_kernel(tree: str) -> Kernel:
    """The newest kernel in TREE/boot with its initrd."""
    boot = os.path.join(tree, "boot")
    try:
        descriptor = open_inside(tree, "boot")
    except FileNotFoundError as error:
        raise FilesError(f"{boot} is missing: {tree} is not a tree with a kernel") from error
    try:
        names = os.listdir(descriptor)
    finally:
        os.close(descriptor)
    releases = [name[len("vmlinuz-") :] for name in names if name.startswith("vmlinuz-") and not _SET_ASIDE.search(name)]
    if not releases:
        raise FilesError(f"{boot} holds no vmlinuz-*: install a kernel in the tree, for example linux-image-amd64")
    release = max(releases, key=_release_key)
    if f"initrd.img-{release}" not in names:
        raise FilesError(f"{boot}/initrd.img-{release} is missing: install initramfs-tools in the tree and run 'update-initramfs -c -k {release}' there")
    files = {KERNEL: f"boot/vmlinuz-{release}", INITRD: f"boot/initrd.img-{release}"}
    return Kernel(release, files, {name: _hash_inside(tree, path) for name, path in files.items()})


def copy_kernel(tree: str, kernel: Kernel, target: str) -> None:
    """Copy kernel and initrd to the directory `target`."""
    for name, path in kernel.files.items():
        goal = os.open(os.path.join(target, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            if _hash_inside(tree, path, goal) != kernel.sha256[name]:
                raise FilesError(f"{os.path.join(tree, path)} was changed while it was copied: run again when nothing works on the tree")
        finally:
            os.close(goal)


def _hash_inside(tree: str, path: str, copy_to: int | None = None) -> str:
    descriptor = open_inside(tree, path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
            raise FilesError(f"{os.path.join(tree, path)} is empty or not a regular file: make it again in the tree")
        return hash_file(descriptor, copy_to)
    finally:
        os.close(descriptor)


def _release_key(release: str) -> list[tuple[tuple[int, ...], int]]:
    """Sort kernel releases as dpkg sorts versions; a release candidate comes before its release."""
    parts = re.findall(r"(\D*)(\d*)", release.replace("-rc", "~rc"))
    return [((*map(_character_key, text), 0), int(number or 0)) for text, number in parts]


def _character_key(character: str) -> int:
    """Tildes first, then the end of the version or the hyphen behind it, letters, and all else."""
    if character in "~-":
        return -1 if character == "~" else 0
    return ord(character) if character.isalpha() else ord(character) + 0x110000
