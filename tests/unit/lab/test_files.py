# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a machine."""

from __future__ import annotations

import typing as t

import pytest

from ltsp_lab.description import Machine, describe
from ltsp_lab.files import Files, known

if t.TYPE_CHECKING:
    import pathlib


@pytest.fixture
def files(tmp_path: pathlib.Path) -> Files:
    return Files(tmp_path, "node1")


def test_a_new_disk_is_blank_and_takes_no_room(files: Files) -> None:
    first, second = files.make_disks([4, 1])
    assert [path.name for path in (first, second)] == ["node1.disk", "node1.disk2"]
    assert (first.stat().st_size, second.stat().st_size) == (4 << 30, 1 << 30)
    assert first.stat().st_blocks == 0


def test_a_disk_keeps_its_content_and_its_size(files: Files) -> None:
    (disk,) = files.make_disks([1])
    with disk.open("r+b") as content:
        content.write(b"written")
    assert files.make_disks([2]) == [disk]
    assert disk.stat().st_size == 1 << 30
    with disk.open("rb") as content:
        assert content.read(7) == b"written"


def test_a_record_says_what_a_machine_was_switched_on_as(files: Files) -> None:
    assert files.read_record() == {}
    node = describe(1).nodes[0]
    files.write_record(node, acceleration="kvm")
    assert Machine.restore(files.read_record()["machine"]) == node
    assert files.read_record()["acceleration"] == "kvm"
    files.record.write_text("{", encoding="utf-8")
    assert files.read_record() == {}


def test_known_are_the_machines_with_a_record(tmp_path: pathlib.Path) -> None:
    nodes = describe(2).nodes
    for node in nodes:
        Files(tmp_path, node.name).write_record(node)
    (tmp_path / "broken.json").write_text("", encoding="utf-8")
    assert list(known(tmp_path)) == list(nodes)
    assert list(known(tmp_path / "none")) == []


def test_removing_a_machine_leaves_the_files_of_others(tmp_path: pathlib.Path) -> None:
    node, other = Files(tmp_path, "node1"), Files(tmp_path, "node11")
    for files in (node, other):
        files.make_disks([1, 1])
        for path in (files.pid, files.log, files.console, files.console_log, files.qmp, files.record, files.answer, files.variables, files.initrd):
            path.touch()
    (tmp_path / "accelerator").touch()
    node.remove()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 12
    assert [name for name in left if not name.startswith("node11.")] == ["accelerator"]
    node.remove()
