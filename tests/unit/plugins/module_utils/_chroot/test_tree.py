# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest
from chroot_samples import digest, params

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot import tree
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.command import _in_use
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.inputs import parse_inputs
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import files as _files


@pytest.mark.parametrize("path", ["tree", "", "./tree", "/", "//", "/a/../b", "/a/.."])
def test_check_path_refuses(path):
    with pytest.raises(ChrootError, match="path: "):
        tree.check_path(path)


def test_check_path_follows_the_parent_only(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert tree.check_path(f"{tmp_path}/link/tree/") == f"{tmp_path}/real/tree"
    with pytest.raises(ChrootError, match="is a symbolic link to real"):
        tree.check_path(f"{tmp_path}/link")


MARK = {"schema": 1, "inputs": {}, "digest": "d", "id": "i", "created": "c"}


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "no", json.dumps(MARK)[:-1]])
def test_read_mark_refuses_what_others_made(tmp_path, text):
    path = tmp_path / "tree"
    (path / "var/lib/ltsp").mkdir(parents=True)
    if text is not None:
        (path / "var/lib/ltsp/chroot.json").write_text(text)
    with pytest.raises(ChrootError, match="was not made by ltsp_chroot"):
        tree.read_mark(str(path))


def test_read_mark_does_not_leave_the_tree(tmp_path):
    outside = tmp_path / "outside"
    (outside / "lib/ltsp").mkdir(parents=True)
    (outside / "lib/ltsp/chroot.json").write_text(json.dumps(MARK))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/var").symlink_to(outside)
    with pytest.raises(ChrootError, match="was not made by ltsp_chroot"):
        tree.read_mark(f"{tmp_path}/tree")
    assert tree.read_mark(f"{tmp_path}/missing") is None


@pytest.fixture
def maker(monkeypatch):
    """Make trees without an archive; raise what `errors` holds, after half of the work."""

    class Maker:
        made = 0
        errors = ()

    def build(inputs, staged, tree, environment):
        os.makedirs(f"{tree}/usr")
        for error in Maker.errors:
            raise error
        Maker.made += 1

    monkeypatch.setattr(tree, "build", build)
    return Maker


def present(path, refresh=False, check_mode=False, **values):
    return tree.present(str(path), parse_inputs(params(**values)), refresh=refresh, check_mode=check_mode, environment={})


def test_present_makes_keeps_and_replaces(tmp_path, maker):
    path = tmp_path / "tree"
    first = present(path)
    assert (first.changed, first.before) == (True, None)
    assert tree.read_mark(str(path)) == first.after
    assert present(path) == (False, first.after, first.after)
    assert maker.made == 1
    other = present(path, packages=["less"])
    assert (other.changed, other.before, other.after.digest) == (True, first.after, digest(packages=["less"]))
    again = present(path, packages=["less"], refresh=True)
    assert again.after.digest == other.after.digest
    assert again.after.id != other.after.id
    assert sorted(os.listdir(tmp_path)) == [".tree.lock", "tree"]


def test_present_in_check_mode_touches_nothing(tmp_path, maker):
    path = tmp_path / "tree"
    assert present(path, check_mode=True).changed
    assert present(tmp_path / "missing" / "tree", check_mode=True).changed
    assert os.listdir(tmp_path) == []
    present(path)
    assert not present(path, check_mode=True).changed
    assert present(path, check_mode=True, refresh=True).changed
    assert present(path, check_mode=True, suite="noble").changed
    assert maker.made == 1


@pytest.mark.parametrize("error", [ChrootError("no"), SystemExit(143), KeyboardInterrupt()])
def test_present_leaves_what_stood_when_it_fails(tmp_path, maker, error):
    maker.errors = (error,)
    with pytest.raises(type(error)):
        present(tmp_path / "tree")
    assert os.listdir(tmp_path) == [".tree.lock"]
    maker.errors = ()
    stood = present(tmp_path / "tree")
    maker.errors = (error,)
    with pytest.raises(type(error)):
        present(tmp_path / "tree", suite="noble")
    assert tree.read_mark(f"{tmp_path}/tree") == stood.after
    assert sorted(os.listdir(tmp_path)) == [".tree.lock", "tree"]


def test_present_removes_what_a_killed_run_left(tmp_path, maker):
    (tmp_path / ".tree.a1b2c3d4.tmp/tree/usr").mkdir(parents=True)
    present(tmp_path / "tree")
    assert sorted(os.listdir(tmp_path)) == [".tree.lock", "tree"]


def test_present_needs_the_parent(tmp_path, maker):
    with pytest.raises(ChrootError, match=f"the directory {tmp_path}/missing does not exist"):
        present(tmp_path / "missing" / "tree")


@pytest.mark.parametrize("check_mode", [True, False])
def test_directories_of_others_are_refused(tmp_path, maker, check_mode):
    (tmp_path / "home").mkdir()
    (tmp_path / "file").touch()
    for name in ("home", "file"):
        with pytest.raises(ChrootError, match="was not made by ltsp_chroot"):
            present(tmp_path / name, check_mode=check_mode)
        with pytest.raises(ChrootError, match="was not made by ltsp_chroot"):
            tree.absent(str(tmp_path / name), check_mode=check_mode)
    assert (tmp_path / "home").is_dir()
    assert maker.made == 0


def test_trees_with_mounts_are_refused_before_anything_is_made(tmp_path, maker, monkeypatch):
    path = tmp_path / "tree"
    stood = present(path).after
    monkeypatch.setattr(_files, "_mount_points", lambda: [f"{path}/usr"])
    with pytest.raises(ChrootError, match=f"something is mounted at {path}/usr"):
        present(path, suite="noble")
    with pytest.raises(ChrootError, match="unmount it"):
        tree.absent(str(path), check_mode=False)
    assert maker.made == 1
    assert tree.read_mark(str(path)) == stood


def test_trees_in_which_a_command_runs_are_refused(tmp_path, maker):
    path = tmp_path / "tree"
    stood = present(path).after
    with _in_use(str(path), []):
        for attempt in (lambda: present(path, suite="noble"), lambda: tree.absent(str(path), check_mode=False)):
            with pytest.raises(ChrootError, match="a command runs in"):
                attempt()
    assert tree.read_mark(str(path)) == stood
    assert sorted(os.listdir(tmp_path)) == [".tree.lock", "tree"]


def test_absent_removes(tmp_path, maker):
    path = str(tmp_path / "tree")
    stood = present(path).after
    assert tree.absent(path, check_mode=True) == (True, stood, None)
    assert os.path.isdir(path)
    assert tree.absent(path, check_mode=False) == (True, stood, None)
    assert os.listdir(tmp_path) == [".tree.lock"]
    assert tree.absent(path, check_mode=False) == (False, None, None)
    assert tree.absent(f"{tmp_path}/missing/tree", check_mode=False) == (False, None, None)
