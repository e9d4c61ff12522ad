# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import pathlib
import typing as t

import pytest

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._digest import content_digest


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "tree"
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "usr" / "lib" / "rc").write_text("echo hello\n")
    (root / "usr" / "unit").write_bytes(b"\0\xff")
    return root


def test_a_file_has_its_own_sha256(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\0\xff" * (1 << 20))
    assert content_digest(str(path)) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_place_age_and_permissions_of_a_directory_do_not_count(tree: pathlib.Path) -> None:
    before = content_digest(str(tree))
    os.utime(tree / "usr" / "unit", (1, 1))
    (tree / "usr" / "lib" / "rc").chmod(0o600)
    assert content_digest(str(tree.rename(tree.parent / "other"))) == before


def edit(tree: pathlib.Path) -> None:
    (tree / "usr" / "lib" / "rc").write_text("echo hullo\n")


def make_executable(tree: pathlib.Path) -> None:
    (tree / "usr" / "lib" / "rc").chmod(0o755)


def rename(tree: pathlib.Path) -> None:
    (tree / "usr" / "lib" / "rc").rename(tree / "usr" / "lib" / "rd")


def move(tree: pathlib.Path) -> None:
    (tree / "usr" / "lib" / "rc").rename(tree / "usr" / "rc")


def remove(tree: pathlib.Path) -> None:
    (tree / "usr" / "unit").unlink()


@pytest.mark.parametrize("change", [edit, make_executable, rename, move, remove])
def test_every_change_of_a_directory_counts(tree: pathlib.Path, change: t.Callable[[pathlib.Path], None]) -> None:
    before = content_digest(str(tree))
    change(tree)
    assert content_digest(str(tree)) != before
