# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container import engine, tar
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.layers import Layer, layer_archive, measure_layer
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError


def test_an_archive_is_unpacked_as_it_is(tmp_path: pathlib.Path) -> None:
    source, goal = tmp_path / "source", tmp_path / "goal"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "program").write_text("x" * 3_000_000, encoding="utf-8")
    (source / "bin" / "program").chmod(0o4711)
    (source / "link").symlink_to("/etc/passwd")
    goal.mkdir()
    layer = Layer(str(source), "", [], 0, "")
    engine.unpack(layer_archive(layer), str(goal))
    assert (goal / "bin" / "program").stat().st_mode & 0o7777 == 0o4711
    assert (goal / "bin" / "program").stat().st_size == 3_000_000
    assert (goal / "link").is_symlink()
    assert measure_layer(layer) == measure_layer(layer._replace(source=str(goal)))


@pytest.mark.parametrize("archive", [[b"x" * 100_000] * 50, [tar.header(b"a", b"0", 0o644, size=9)]])
def test_what_is_no_archive_is_said(tmp_path: pathlib.Path, archive: list[bytes]) -> None:
    with pytest.raises(FilesError, match=f"the image could not be unpacked in {tmp_path}: tar: "):
        engine.unpack(archive, str(tmp_path))
