# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import os
import pathlib
import tarfile
import typing as t

import pytest
from container_samples import layer

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container import tar
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.layers import layer_archive
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError


def read(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


def members(source: pathlib.Path, **changes: t.Any) -> dict[str, tarfile.TarInfo]:
    return read(b"".join(layer_archive(layer(source, **changes))))


def test_a_layer_is_an_archive_of_what_is_there(tree: pathlib.Path) -> None:
    found = members(tree)
    assert list(found) == ["etc", "etc/name", "link", "program", "same"]
    assert (found["etc"].isdir(), found["etc/name"].mode, found["program"].mode) == (True, 0o640, 0o4755)
    assert (found["link"].issym(), found["link"].linkname) == (True, "etc/name")
    assert (found["same"].islnk(), found["same"].linkname) == (True, "program")
    assert {member.mtime for member in found.values()} == {1795213800}
    assert {(member.uid, member.gid) for member in found.values()} == {(os.getuid(), os.getgid())}
    with tarfile.open(fileobj=io.BytesIO(b"".join(layer_archive(layer(tree))))) as archive:
        content = archive.extractfile("etc/name")
        assert content
        assert content.read() == b"content"


def test_a_layer_below_a_directory_brings_those_above_it(tree: pathlib.Path) -> None:
    found = members(tree, dest="/srv/ltsp", exclude=["etc", "program", "same"])
    assert list(found) == ["srv", "srv/ltsp", "srv/ltsp/link"]
    assert (found["srv"].mode, found["srv/ltsp"].mode) == (0o755, 0o700)


def test_what_is_excluded_stays_out(tree: pathlib.Path) -> None:
    assert list(members(tree, exclude=["etc/*", "[lp]*"])) == ["etc", "same"]


def test_names_of_any_length_and_letters_pass(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "tree"
    names = ["d" * 90 + "/" + "f" * 90, "ä", "a" * 100, "a" * 101]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")
    (root / "link").symlink_to("t" * 150)
    found = members(root)
    assert set(names) <= set(found)
    assert found["link"].linkname == "t" * 150


def test_numbers_that_octal_digits_cannot_say_pass() -> None:
    header = tar.header(b"big", b"0", 0o644, uid=3_000_000, gid=5, size=9 << 30, mtime=1)
    member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert (member.uid, member.gid, member.size, member.mtime) == (3_000_000, 5, 9 << 30, 1)


def test_what_no_archive_can_hold_is_refused(tree: pathlib.Path) -> None:
    os.mkfifo(tree / "pipe")
    with pytest.raises(FilesError, match=r"pipe is no file, directory or link.*exclude it"):
        members(tree)
