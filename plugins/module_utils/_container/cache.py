# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cache of the measures of layers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.layers import Measure, entries_of, measure_layer
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import write_file

if t.TYPE_CHECKING:
    from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.layers import Layer

_SCHEMA = 1


class Cache:
    """Measures of layers, by the state of their directory: an unchanged directory is not read again.

    The engine checks every layer that it loads against its measure.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._known: dict[str, t.Any] = {}
        self._used: dict[str, t.Any] = {}
        if path is not None:
            with contextlib.suppress(FileNotFoundError, ValueError), open(path, encoding="utf-8") as stream:
                content = json.load(stream)
                if isinstance(content, dict) and content.get("schema") == _SCHEMA:
                    self._known = content["layers"]

    def measure(self, layer: Layer) -> Measure:
        """Return the measure of a layer, from the cache if its directory is unchanged."""
        state = _state(layer)
        known = self._known.get(state)
        measure = Measure(known["diff_id"], known["size"]) if known else measure_layer(layer)
        self._used[state] = measure._asdict()
        return measure

    def clear(self) -> None:
        """Let the next run measure every layer again."""
        self._used = {}
        self.save()

    def save(self) -> None:
        """Keep the measures that this run used, and none of older runs."""
        if self._path is not None and self._used != self._known:
            content = {"schema": _SCHEMA, "layers": self._used}
            write_file(self._path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode(), 0o600)
            self._known = self._used


def _state(layer: Layer) -> str:
    """Return the digest of all that tells an unchanged directory: kind, owner, inode, size and both time stamps of every path."""
    digest = hashlib.sha256(repr((layer.destination, layer.time)).encode())
    for entry in entries_of(layer):
        status = entry.stat
        numbers = (status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(os.fsencode(entry.path) + f"\0{numbers}\n".encode())
    return digest.hexdigest()
