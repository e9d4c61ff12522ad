# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import hashlib
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import tree as _tree
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError

TIME = 1_700_000_000


def plant(root, *paths):
    for path in paths:
        goal = root / path
        if path.endswith("/"):
            goal.mkdir(parents=True, exist_ok=True)
        else:
            goal.parent.mkdir(parents=True, exist_ok=True)
            goal.write_text(path)
    for directory, names, files in os.walk(root):
        for name in [*names, *files, "."]:
            os.utime(os.path.join(directory, name), (TIME, TIME), follow_symlinks=False)
    return str(root)


def walk(root, *patterns):
    return _tree.walk(root, _tree.parse_excludes(patterns))


def digest(root, *patterns):
    return _tree.fingerprint(root, walk(root, *patterns).entries).digest


@pytest.mark.parametrize(
    ("pattern", "excluded"),
    [
        ("proc/*", ["proc/.hidden", "proc/1"]),
        ("proc", ["proc"]),
        ("var/log/**", ["var/log/apt/history.log", "var/log/lastlog"]),
        ("var/log/*", ["var/log/apt", "var/log/journal", "var/log/lastlog"]),
        ("var/*/apt", ["var/lib/apt", "var/log/apt"]),
        ("**/cache", ["cache", "var/cache", "var/lib/cache"]),
        ("var/**/cache", ["var/cache", "var/lib/cache"]),
        ("**/apt/*.log", ["var/log/apt/history.log"]),
        ("var/l?b", ["var/lib"]),
        ("var/l[!i]*", ["var/log"]),
        ("log", []),
        ("var/log/apt/history.log/*", []),
    ],
)
def test_patterns_take_out_what_they_name(tmp_path, pattern, excluded):
    root = plant(
        tmp_path,
        "cache",
        "etc/passwd",
        "proc/1",
        "proc/.hidden",
        "var/cache/",
        "var/lib/apt/lists",
        "var/lib/cache/x",
        "var/log/apt/history.log",
        "var/log/journal/",
        "var/log/lastlog",
    )
    everything = [entry.path for entry in walk(root).entries]
    result = walk(root, pattern)
    assert result.excluded == excluded
    below = [path for path in everything if any(path == out or path.startswith(out + "/") for out in excluded)]
    assert [entry.path for entry in result.entries] == [path for path in everything if path not in below]


@pytest.mark.parametrize("pattern", ["/boot/*", "boot/", "", ".", "a/../b", "./a", "a//b"])
def test_patterns_that_could_never_match_are_refused(pattern):
    with pytest.raises(FilesError, match=re.escape(repr(pattern))):
        _tree.parse_excludes(["etc/*", pattern])


component = st.sampled_from(["**", "*", "a", "b", "a*", "?", "[ab]", "[!a]"])
name = st.sampled_from(["a", "b", "ab", ".a"])


def reference(pattern):
    """The pattern as one regular expression on a whole path; the last group says whether only files count."""
    files_only = pattern[-1] == "**"
    text = ""
    for part in pattern[:-1] if files_only else pattern:
        text += "(?:[^/]+/)*" if part == "**" else part.replace(".", r"\.").replace("*", "[^/]*").replace("?", "[^/]").replace("[!", "[^") + "/"
    return re.compile(text + ("(?:[^/]+/)*[^/]+/" if files_only else "")), files_only


@given(st.lists(st.lists(component, min_size=1, max_size=4), max_size=4), st.lists(name, min_size=1, max_size=5))
def test_going_down_step_by_step_equals_matching_whole_paths(patterns, path):
    tails = _tree.parse_excludes("/".join(pattern) for pattern in patterns)
    for depth, part in enumerate(path, 1):
        directory = depth < len(path)
        expected = any(
            expression.fullmatch("/".join(path[:depth]) + "/") and not (files_only and directory) for expression, files_only in map(reference, patterns)
        )
        excluded, tails = _tree._step(tails, part, directory)
        assert excluded == expected
        if excluded:
            break


def test_a_symbolic_link_is_an_entry_and_never_followed(tmp_path):
    outside = tmp_path / "outside"
    plant(outside, "secret")
    root = plant(tmp_path / "tree", "etc/passwd")
    os.symlink(outside, tmp_path / "tree" / "link")
    assert [entry.path for entry in walk(root).entries] == ["", "etc", "etc/passwd", "link"]
    before = digest(root)
    (outside / "secret").write_text("changed")
    assert digest(root) == before


def test_something_mounted_in_the_tree_is_refused(tmp_path, monkeypatch):
    root = plant(tmp_path, "proc/1")
    monkeypatch.setattr(_tree, "mounts_below", lambda path: [path])
    assert walk(root).entries
    monkeypatch.setattr(_tree, "mounts_below", lambda path: [path, f"{path}/proc"])
    with pytest.raises(FilesError, match="/proc: something is mounted"):
        walk(root)


def edit_in_place(root):
    (root / "etc/passwd").write_text("ETC/passwd")


def make_executable(root):
    (root / "etc/passwd").chmod(0o755)


def touch_a_file(root):
    os.utime(root / "etc/passwd", (TIME, TIME + 1))


def touch_a_directory(root):
    os.utime(root / "etc", (TIME, TIME + 1))


def point_elsewhere(root):
    (root / "link").unlink()
    os.symlink("etc/group", root / "link")


def add_an_empty_directory(root):
    (root / "etc/new").mkdir()


def turn_a_link_into_a_copy(root):
    (root / "hard").unlink()
    (root / "hard").write_text("etc/group")


def become_a_fifo(root):
    (root / "empty").unlink()
    os.mkfifo(root / "empty", 0o644)


@pytest.mark.parametrize(
    "change",
    [edit_in_place, make_executable, touch_a_file, touch_a_directory, point_elsewhere, add_an_empty_directory, turn_a_link_into_a_copy, become_a_fifo],
)
def test_the_fingerprint_sees(tmp_path, change):
    root = plant(tmp_path, "etc/passwd", "etc/group", "empty")
    (tmp_path / "empty").write_text("")
    (tmp_path / "empty").chmod(0o644)
    os.link(tmp_path / "etc/group", tmp_path / "hard")
    os.symlink("etc/passwd", tmp_path / "link")
    plant(tmp_path)
    before = digest(root)
    change(tmp_path)
    if change not in (touch_a_file, touch_a_directory):
        plant(tmp_path)
    assert digest(root) != before


def test_the_fingerprint_does_not_see_what_is_not_in_the_image(tmp_path):
    root = plant(tmp_path, "etc/passwd", "var/lib/apt/lists/partial/", "tmp/")
    patterns = ("var/lib/apt/lists/*", "tmp/*")
    before = digest(root, *patterns)
    (tmp_path / "var/lib/apt/lists/InRelease").write_text("new")
    (tmp_path / "tmp/file").write_text("new")
    os.utime(tmp_path / "tmp", (TIME, TIME + 5))
    os.utime(tmp_path / "etc/passwd", ns=(0, TIME * 10**9 + 999))
    assert digest(root, *patterns) == before
    assert digest(root) != before


def test_the_fingerprint_is_the_same_for_a_copy_in_another_order(tmp_path):
    one = plant(tmp_path / "one", "a", "b", "c/d")
    other = plant(tmp_path / "other", "c/d", "b", "a")
    assert digest(one) == digest(other)


def test_attributes_count_as_far_as_squashfs_holds_them(tmp_path, monkeypatch):
    root = plant(tmp_path, "bin/ping", "var/journal/")
    attributes = {"bin/ping": {}, "var/journal": {}}
    monkeypatch.setattr(os, "listxattr", lambda path, follow_symlinks: list(attributes.get(os.path.relpath(path, root), {})))
    monkeypatch.setattr(os, "getxattr", lambda path, name, follow_symlinks: attributes[os.path.relpath(path, root)][name])
    before = _tree.fingerprint(root, walk(root).entries)
    assert before.unstored == []
    attributes["var/journal"]["system.posix_acl_access"] = b"acl"
    after = _tree.fingerprint(root, walk(root).entries)
    assert after.digest == before.digest
    assert after.unstored == ["var/journal"]
    attributes["bin/ping"]["security.capability"] = b"\0cap"
    assert digest(root) != before.digest


def test_a_file_system_without_attributes_is_no_error(tmp_path, monkeypatch):
    def refuse(path, follow_symlinks):
        raise OSError(errno.ENOTSUP, "no", path)

    root = plant(tmp_path, "a")
    monkeypatch.setattr(os, "listxattr", refuse)
    assert digest(root)


def test_the_newest_time_leaves_out_pinned_directories(tmp_path):
    root = plant(tmp_path, "etc/passwd", "run/x")
    os.utime(tmp_path / "etc/passwd", (TIME, TIME + 3))
    os.utime(tmp_path / "run", (TIME, TIME + 9))
    result = _tree.fingerprint(root, walk(root, "run/*").entries)
    assert result.newest == TIME + 3
    assert result.size >= len("etc/passwd")


def test_only_the_outermost_directory_is_pinned(tmp_path):
    root = plant(tmp_path, "var/log/apt/history.log", "tmp/")
    assert [entry.path for entry in walk(root, "var/log/**", "tmp/*", "x").entries if entry.pinned] == ["", "tmp", "var/log"]


def test_a_tree_that_is_touched_meanwhile_is_noticed(tmp_path):
    root = plant(tmp_path, "a", "b", "tmp/")
    before = walk(root, "tmp/*").entries
    (tmp_path / "tmp/x").write_text("")
    assert _tree.first_difference(before, walk(root, "tmp/*").entries) is None
    (tmp_path / "b").write_text("B")
    os.utime(tmp_path / "b", (TIME, TIME))
    assert _tree.first_difference(before, walk(root, "tmp/*").entries) == "b"
    (tmp_path / "a").unlink()
    assert _tree.first_difference(before, walk(root, "tmp/*").entries) == ""


def test_a_file_is_opened_inside_the_tree_only(tmp_path):
    plant(tmp_path / "outside", "status")
    root = plant(tmp_path / "tree", "var/lib/status", "dir/")
    os.close(_tree.open_inside(root, "var/lib/status"))
    os.symlink(tmp_path / "outside", tmp_path / "tree" / "dir" / "out")
    with pytest.raises(FilesError, match="dir/out/status: out is a symbolic link"):
        _tree.open_inside(root, "dir/out/status")
    os.symlink("lib", tmp_path / "tree" / "var" / "link")
    with pytest.raises(FilesError, match="link is a symbolic link"):
        _tree.open_inside(root, "var/link")
    with pytest.raises(FileNotFoundError, match="var/none"):
        _tree.open_inside(root, "var/none")


def test_hashing_copies_on_the_way(tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "source").write_bytes(data)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    goal = os.open(tmp_path / "goal", os.O_WRONLY | os.O_CREAT)
    assert _tree.hash_file(source, goal) == hashlib.sha256(data).hexdigest()
    os.close(source)
    os.close(goal)
    assert (tmp_path / "goal").read_bytes() == data
