# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from container_samples import layer

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container import cache
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.cache import Cache
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.layers import measure_layer


def test_what_is_unchanged_is_not_read_again(tree: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cache.json"
    measures = Cache(str(path))
    measure = measures.measure(layer(tree))
    measures.save()
    assert path.stat().st_mode & 0o777 == 0o600
    with monkeypatch.context() as context:
        context.setattr(cache, "measure_layer", lambda _layer: pytest.fail("it was read"))
        again = Cache(str(path))
        assert again.measure(layer(tree)) == measure
        before = path.stat().st_mtime_ns
        again.save()
        assert path.stat().st_mtime_ns == before
    # The change is seen although size and time stamp are the same.
    status = (tree / "etc" / "name").stat()
    (tree / "etc" / "name").write_text("CONTENT", encoding="utf-8")
    os.utime(tree / "etc" / "name", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert Cache(str(path)).measure(layer(tree)) != measure


@pytest.mark.parametrize("change", [{"dest": "/x"}, {"time": "2026-11-21T00:00:00Z"}, {"exclude": ["etc"]}])
def test_another_layer_of_the_same_directory_is_measured(tree: pathlib.Path, tmp_path: pathlib.Path, change: dict[str, t.Any]) -> None:
    measures = Cache(str(tmp_path / "cache.json"))
    assert measures.measure(layer(tree)) != measures.measure(layer(tree, **change))


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 99}', "{"])
def test_a_cache_that_cannot_be_read_is_empty(tree: pathlib.Path, tmp_path: pathlib.Path, content: str) -> None:
    path = tmp_path / "cache.json"
    path.write_text(content, encoding="utf-8")
    measures = Cache(str(path))
    assert measures.measure(layer(tree)) == measure_layer(layer(tree))
    measures.save()
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1


def test_a_cleared_cache_is_empty(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "cache.json"
    measures = Cache(str(path))
    measures.measure(layer(tree))
    measures.save()
    measures.clear()
    assert json.loads(path.read_text(encoding="utf-8"))["layers"] == {}
    Cache(None).clear()
