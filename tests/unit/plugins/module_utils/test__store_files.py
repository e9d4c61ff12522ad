# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import stat

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import files as _files


def content(path):
    return {entry.name: entry.read_bytes() for entry in path.iterdir() if not entry.name.startswith(".")}


def hidden(path):
    return sorted(entry.name for entry in path.iterdir() if entry.name.startswith("."))


def test_write_file_replaces_and_sets_the_mode(tmp_path):
    goal = tmp_path / "file"
    goal.write_bytes(b"old")
    _files.write_file(str(goal), b"new", 0o640)
    assert content(tmp_path) == {"file": b"new"}
    assert stat.S_IMODE(goal.stat().st_mode) == 0o640
    assert hidden(tmp_path) == []


def test_write_file_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    goal = tmp_path / "file"
    goal.write_bytes(b"old")

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        _files.write_file(str(goal), b"new")
    assert content(tmp_path) == {"file": b"old"}
    assert hidden(tmp_path) == []


def test_point_symlink_points_and_points_elsewhere(tmp_path):
    link = tmp_path / "current"
    _files.point_symlink(str(link), "one")
    _files.point_symlink(str(link), "two")
    assert os.readlink(link) == "two"
    assert hidden(tmp_path) == []


def test_point_symlink_refuses_what_is_not_a_link(tmp_path):
    (tmp_path / "current").mkdir()
    with pytest.raises(_files.FilesError, match="is not a symbolic link"):
        _files.point_symlink(str(tmp_path / "current"), "one")
    assert (tmp_path / "current").is_dir()


@pytest.mark.parametrize("mount", ["", "/inside"])
def test_remove_tree_refuses_mounts(tmp_path, monkeypatch, mount):
    tree = tmp_path / "tree"
    (tree / "inside").mkdir(parents=True)
    monkeypatch.setattr(_files, "_mount_points", lambda: ["/", f"{tree}{mount}", f"{tree}-other"])
    assert _files.mounts_below(str(tree)) == [f"{tree}{mount}"]
    with pytest.raises(_files.FilesError, match="something is mounted"):
        _files.remove_tree(str(tree))
    assert (tree / "inside").is_dir()


def test_remove_tree_sees_mounts_through_links_and_ignores_neighbours(tmp_path, monkeypatch):
    (tmp_path / "real" / "tree").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setattr(_files, "_mount_points", lambda: [f"{tmp_path}/real/tree"])
    with pytest.raises(_files.FilesError, match="unmount it"):
        _files.remove_tree(f"{tmp_path}/link/tree")
    monkeypatch.setattr(_files, "_mount_points", lambda: [f"{tmp_path}/real/tree2"])
    _files.remove_tree(f"{tmp_path}/link/tree")
    assert content(tmp_path / "real") == {}


def test_mount_points_have_blanks():
    assert _files._unescape("/srv/my\\040disk\\134") == "/srv/my disk\\"
    assert "/proc" in _files._mount_points()


def test_remove_leftovers_takes_its_own_only(tmp_path):
    for name in (".node.a1_b2c3d.tmp", ".node.a1_b2c3d.tmp.old.tmp", ".node.old.a1_b2c3d.tmp", ".nodes.a1_b2c3d.tmp", "node", ".node.lock"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / ".node.1234.tmp").symlink_to("elsewhere")
    _files.remove_leftovers(f"{tmp_path}/node")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".node.lock", ".node.old.a1_b2c3d.tmp", ".nodes.a1_b2c3d.tmp", "node"]
    _files.remove_leftovers(f"{tmp_path}/missing/node")


def test_remove_leftovers_finds_what_staging_left(tmp_path, monkeypatch):
    goal = f"{tmp_path}/node.v1+x"
    monkeypatch.setattr(_files, "remove_tree", lambda path: None)
    with _files.staging_directory(goal):
        pass
    monkeypatch.undo()
    assert len(hidden(tmp_path)) == 1
    _files.remove_leftovers(goal)
    assert hidden(tmp_path) == []


def test_staging_directory_is_removed_when_something_fails(tmp_path):
    with pytest.raises(RuntimeError), _files.staging_directory(f"{tmp_path}/goal", 0o700) as staged:
        assert stat.S_IMODE(os.stat(staged).st_mode) == 0o700
        os.mkdir(f"{staged}/directory")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_publish_gives_the_name_once(tmp_path):
    goal = tmp_path / "goal"
    with _files.staging_directory(str(goal)) as staged:
        _files.publish(staged, str(goal))
    assert goal.is_dir()
    with _files.staging_directory(str(goal)) as staged, pytest.raises(_files.FilesError, match="exists already"):
        _files.publish(staged, str(goal))
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("supported", [True, False])
def test_exchange_swaps(tmp_path, monkeypatch, supported):
    old, new = tmp_path / "goal", tmp_path / ".goal.x.tmp"
    for path, text in ((old, "old"), (new, "new")):
        path.mkdir()
        (path / "file").write_text(text)
    if not supported:
        libc = type("Libc", (), {"renameat2": lambda self, *arguments: -1, "syncfs": lambda self, descriptor: 0})()
        monkeypatch.setattr(_files.ctypes, "CDLL", lambda *arguments, **keywords: libc)
        monkeypatch.setattr(_files.ctypes, "get_errno", lambda: _files.errno.EINVAL)
    _files.exchange(str(new), str(old))
    assert content(old) == {"file": b"new"}
    assert content(new) == {"file": b"old"}
    assert hidden(tmp_path) == [".goal.x.tmp"]


def test_exchange_needs_both(tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(FileNotFoundError):
        _files.exchange(f"{tmp_path}/new", f"{tmp_path}/missing")
    assert (tmp_path / "new").is_dir()


def test_lock_is_held_and_given_back(tmp_path):
    path = tmp_path / "locks" / "lock"
    with _files.lock(str(path)), path.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "nodes"
    path.mkdir()
    for name, data in (("same.cfg", b"1"), ("other.cfg", b"2"), ("gone.cfg", b"3"), ("foreign.txt", b"4"), (".hidden.cfg", b"5")):
        (path / name).write_bytes(data)
    return path


def test_plan_directory_compares(directory):
    change = _files.plan_directory(str(directory), {"same.cfg": b"1", "other.cfg": b"two", "new.cfg": b"6"}, (".cfg",))
    assert change.write == {"other.cfg": b"two", "new.cfg": b"6"}
    assert change.remove == ["gone.cfg"]
    assert change.before == {"same.cfg": b"1", "other.cfg": b"2", "gone.cfg": b"3"}


def test_plan_directory_of_a_directory_that_is_missing(tmp_path):
    assert _files.plan_directory(f"{tmp_path}/nodes", {"a.cfg": b"1"}, (".cfg",)) == ({"a.cfg": b"1"}, [], {})


def test_apply_directory_does_what_was_planned(directory, tmp_path):
    wanted = {"same.cfg": b"1", "other.cfg": b"two", "new.cfg": b"6"}
    inode = (directory / "same.cfg").stat().st_ino
    _files.apply_directory(str(directory), _files.plan_directory(str(directory), wanted, (".cfg",)), 0o600)
    assert content(directory) == {**wanted, "foreign.txt": b"4"}
    assert (directory / "same.cfg").stat().st_ino == inode
    assert stat.S_IMODE((directory / "new.cfg").stat().st_mode) == 0o600
    assert hidden(tmp_path) == [".nodes.lock"]
    assert _files.plan_directory(str(directory), wanted, (".cfg",))[:2] == ({}, [])


def test_apply_directory_touches_nothing_when_nothing_is_planned(tmp_path):
    _files.apply_directory(f"{tmp_path}/missing", _files.DirectoryChange({}, [], {}))
    assert list(tmp_path.iterdir()) == []


def test_apply_directory_replaces_no_file_before_all_are_on_the_disk(directory, tmp_path, monkeypatch):
    def fail(path):
        raise OSError("disk full")

    before = content(directory)
    monkeypatch.setattr(_files, "fsync_filesystem", fail)
    with pytest.raises(OSError, match="disk full"):
        _files.apply_directory(str(directory), _files.DirectoryChange({"other.cfg": b"two", "new.cfg": b"6"}, ["gone.cfg"], {}))
    assert content(directory) == before
    assert hidden(tmp_path) == [".nodes.lock"]


def test_apply_directory_syncs_once_for_many_files(directory, monkeypatch):
    calls = []
    monkeypatch.setattr(_files, "fsync_filesystem", calls.append)
    monkeypatch.setattr(os, "fsync", calls.append)
    _files.apply_directory(f"{directory}/", _files.DirectoryChange({f"{number}.cfg": b"x" for number in range(100)}, [], {}))
    assert len(calls) == 2


def test_apply_directory_removes_what_an_interrupted_run_left(directory, tmp_path):
    (tmp_path / ".nodes.a1b2c3d4.tmp").mkdir()
    (tmp_path / ".nodes.a1b2c3d4.tmp" / "new.cfg").touch()
    _files.apply_directory(str(directory), _files.DirectoryChange({"new.cfg": b"6"}, ["never-there.cfg"], {}))
    assert hidden(tmp_path) == [".nodes.lock"]


def test_plan_files_names_the_files_that_are_missing_or_differ(directory):
    (directory / "same.cfg").write_bytes(b"same")
    (directory / "other.cfg").write_bytes(b"old")
    wanted = {"same.cfg": b"same", "other.cfg": b"new", "missing.cfg": b"new"}
    assert _files.plan_files(str(directory), wanted) == {"other.cfg": b"new", "missing.cfg": b"new"}
