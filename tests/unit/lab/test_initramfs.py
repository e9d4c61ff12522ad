# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives for the kernel, unpacked by cpio."""

from __future__ import annotations

import shutil
import subprocess
import typing as t

import pytest

from ltsp_lab.initramfs import archive, extended

if t.TYPE_CHECKING:
    import pathlib

FILES = {
    "init": (0o755, b"#!/bin/sh\n"),
    "conf/conf.d/uml": (0o644, b"12345"),
    "bin/busybox": (0o700, bytes(range(256)) * 17),
    "empty": (0o600, b""),
}


def unpack(packed: bytes, directory: pathlib.Path) -> list[str]:
    """Unpack an archive; returns the names in it."""
    cpio = ["cpio"] if shutil.which("cpio") else ["busybox", "cpio"]
    if not shutil.which(cpio[0]):
        pytest.skip("neither cpio nor busybox is installed")
    directory.mkdir()
    done = subprocess.run([*cpio, "-idmv"], input=packed, cwd=directory, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    names = subprocess.run([*cpio, "-it"], input=packed, capture_output=True, check=True).stdout
    return names.decode().splitlines()


def content(directory: pathlib.Path) -> dict[str, tuple[int, bytes]]:
    return {str(path.relative_to(directory)): (path.stat().st_mode & 0o7777, path.read_bytes()) for path in directory.rglob("*") if path.is_file()}


def test_files_come_out_as_they_went_in_and_after_their_directories(tmp_path: pathlib.Path) -> None:
    names = unpack(archive(FILES), tmp_path / "root")
    assert content(tmp_path / "root") == FILES
    assert names == ["bin", "conf", "conf/conf.d", *FILES]
    assert (tmp_path / "root/conf/conf.d").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("length", range(1, 6))
def test_names_and_contents_of_any_length_are_aligned(tmp_path: pathlib.Path, length: int) -> None:
    files = {name * length: (0o644, name.encode() * length) for name in "abc"}
    assert len(archive(files)) % 4 == 0
    unpack(archive(files), tmp_path / "root")
    assert content(tmp_path / "root") == files


def test_what_is_added_to_an_initrd_begins_where_the_kernel_looks_for_it() -> None:
    for initrd in (b"", b"1", b"12345678", b"123456789"):
        more = archive({"init": (0o755, b"other")})
        whole = extended(initrd, {"init": (0o755, b"other")})
        assert whole.startswith(initrd)
        assert whole.endswith(more)
        assert (len(whole) - len(more)) % 4 == 0
        assert whole[len(initrd) : -len(more)].strip(b"\0") == b""
