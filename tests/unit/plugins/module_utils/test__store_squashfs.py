# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import squashfs as _squashfs
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import tree as _tree
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError

TIME = 1_700_000_000
ZSTD = _squashfs.check_compression("zstd", None, 131072)
needs_tools = pytest.mark.skipif(
    not all(shutil.which(tool, path=_squashfs._PATH) for tool in ("mksquashfs", "unsquashfs", "veritysetup")),
    reason="squashfs-tools and cryptsetup-bin are not installed",
)


@pytest.mark.parametrize(
    ("algorithm", "level", "block_size", "expected"),
    [
        ("zstd", None, 131072, ("zstd", 6, 131072)),
        ("zstd", 22, 4096, ("zstd", 22, 4096)),
        ("gzip", None, 1048576, ("gzip", 9, 1048576)),
        ("gzip", 1, 131072, ("gzip", 1, 131072)),
        ("xz", None, 131072, ("xz", None, 131072)),
        ("lz4", None, 131072, ("lz4", None, 131072)),
    ],
)
def test_compression(algorithm, level, block_size, expected):
    assert _squashfs.check_compression(algorithm, level, block_size) == expected


@pytest.mark.parametrize(
    ("algorithm", "level", "block_size", "message"),
    [
        ("zstd", 0, 131072, "compression_level: 0 is not between 1 and 22, the levels of zstd"),
        ("zstd", 23, 131072, "compression_level: 23 is not"),
        ("gzip", 10, 131072, "between 1 and 9, the levels of gzip"),
        ("xz", 6, 131072, "compression_level: xz has no levels"),
        ("lz4", 1, 131072, "compression_level: lz4 has no levels"),
        ("zstd", 6, 131073, "block_size: 131073 is not a power of two"),
        ("zstd", 6, 2048, "block_size: 2048"),
        ("zstd", 6, 2097152, "between 4096 and 1048576"),
        ("zstd", 6, 128, "block_size: 128"),
    ],
)
def test_compression_that_is_refused(algorithm, level, block_size, message):
    with pytest.raises(FilesError, match=message):
        _squashfs.check_compression(algorithm, level, block_size)


def test_a_path_as_a_pattern_matches_itself_only():
    assert _squashfs.literal_pattern("var/log/a_b-1.[*]é\\") == "var/log/a_b\\-1\\.\\[\\*\\]é\\\\".encode()


def fake_tool(directory, monkeypatch, name, script):
    directory.mkdir(exist_ok=True)
    tool = directory / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(_squashfs, "_PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def pack_nothing(tmp_path):
    (tmp_path / "tree").mkdir()
    return _squashfs.pack(str(tmp_path / "tree"), _tree.walk(str(tmp_path / "tree"), []), TIME, str(tmp_path / "root.squashfs"), ZSTD)


@pytest.mark.parametrize(("call", "package"), [("pack", "squashfs-tools"), ("verity", "cryptsetup-bin")])
def test_a_missing_tool_names_its_package(tmp_path, monkeypatch, call, package):
    monkeypatch.setattr(_squashfs, "_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "file").write_text("x")
    with pytest.raises(FilesError, match=f"is missing: install the Debian package {package}"):
        if call == "pack":
            pack_nothing(tmp_path)
        else:
            _squashfs.append_verity(str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo mksquashfs version 4.4 '(2019/08/29)'", "mksquashfs 4.4 is too old: 4.5 or newer"),
        ("echo Write failed because No space left on device >&2; exit 1", "ran out of disk space: make room"),
        ("echo 'mksquashfs: Compressor \"zstd\" is not supported!' >&2; exit 1", "cannot compress as asked: install the Debian package squashfs-tools"),
        ("echo FATAL ERROR: broken >&2; exit 3", "mksquashfs failed with status 3: FATAL ERROR: broken"),
        ("kill -9 $$", "mksquashfs failed with status -9"),
    ],
)
def test_a_failing_mksquashfs_is_explained(tmp_path, monkeypatch, script, message):
    fake_tool(tmp_path / "bin", monkeypatch, "mksquashfs", script)
    with pytest.raises(FilesError, match=message):
        pack_nothing(tmp_path)


def test_what_mksquashfs_complains_about_is_returned_unless_it_is_known(tmp_path, monkeypatch):
    fake_tool(tmp_path / "bin", monkeypatch, "mksquashfs", "echo Unrecognised xattr prefix system.posix_acl_access >&2; echo something new >&2; echo >&2")
    assert pack_nothing(tmp_path) == ["something new"]


def test_a_veritysetup_that_says_nothing_is_an_error(tmp_path, monkeypatch):
    fake_tool(tmp_path / "bin", monkeypatch, "veritysetup", "echo hello")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FilesError, match=r"no root hash for .*hello"):
        _squashfs.append_verity(str(tmp_path / "file"))


def odd_tree(root):
    """Names that need quoting in one of mksquashfs's little languages, each also as something that is excluded."""
    for name in (
        " blank",
        "#hash",
        "... dots",
        "star*",
        "[ab]",
        "a",
        "b",
        "back\\slash",
        'quo"te',
        "new\nline",
        "new?line",
        "+(x)",
        "x",
        ".dot",
        "é",
        "\udcff",
    ):
        for directory in ("keep", "drop", f"odd {name}"):
            path = os.path.join(root, directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(path)
    os.symlink("/nowhere", os.path.join(root, "keep", "link"))
    os.link(os.path.join(root, "keep", "a"), os.path.join(root, "keep", "hard"))
    # In the image although its other name is excluded.
    os.link(os.path.join(root, "drop", "b"), os.path.join(root, "keep", "partner"))
    os.mkfifo(os.path.join(root, "keep", "fifo"))
    os.chmod(os.path.join(root, "drop"), 0o1777)
    return str(root)


@needs_tools
def test_the_image_holds_exactly_what_was_walked(tmp_path):
    root = odd_tree(tmp_path / "tree")
    walk = _tree.walk(root, _tree.parse_excludes(["drop/*", "odd */*", "keep/+(x)", "keep/new\nline", "keep/[[]ab]", "top"]))
    fingerprint = _tree.fingerprint(root, walk.entries)
    target = str(tmp_path / "root.squashfs")
    assert _squashfs.pack(root, walk, fingerprint.newest, target, ZSTD) == []
    assert sorted(os.listdir(tmp_path)) == ["root.squashfs", "tree"]
    unpacked = str(tmp_path / "unpacked")
    subprocess.run(["unsquashfs", "-quiet", "-no-progress", "-dest", unpacked, target], check=True, stdout=subprocess.DEVNULL)
    found = _tree.walk(unpacked, []).entries
    assert [entry.path for entry in found] == [entry.path for entry in walk.entries]
    # With the time stamps of pinned directories taken from the image, the fingerprint of the image is that of the tree.
    there = {entry.path: entry for entry in found}
    assert {int(there[entry.path].stat.st_mtime) for entry in walk.entries if entry.pinned} == {fingerprint.newest}
    assert _tree.fingerprint(unpacked, [there[entry.path]._replace(pinned=entry.pinned) for entry in walk.entries]).digest == fingerprint.digest


@needs_tools
def test_the_same_tree_gives_the_same_bits_whatever_was_excluded(tmp_path):
    digests = set()
    for number in (1, 2):
        root = tmp_path / f"tree{number}"
        (root / "run").mkdir(parents=True)
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text("root")
        if number == 2:
            (root / "run/lock").write_text("x")
        for path in (root / "etc/passwd", root / "etc", root):
            os.utime(path, (TIME, TIME))
        os.utime(root / "run", (TIME, TIME - number))
        walk = _tree.walk(str(root), _tree.parse_excludes(["run/*"]))
        target = str(tmp_path / f"{number}.squashfs")
        _squashfs.pack(str(root), walk, _tree.fingerprint(str(root), walk.entries).newest, target, ZSTD)
        verity, sha256 = _squashfs.append_verity(target)
        with open(target, "rb") as stream:
            data = stream.read()
        assert sha256 == hashlib.sha256(data).hexdigest()
        assert len(data) % 4096 == 0 and verity.offset % 4096 == 0 and verity.offset < len(data)
        subprocess.run(["veritysetup", "verify", target, target, verity.root_hash, f"--hash-offset={verity.offset}"], check=True)
        digests.add((verity, sha256))
    assert len(digests) == 1
