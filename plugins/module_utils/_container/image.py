# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container image of layers and a configuration: the same inputs give the same bits, and nothing is written to the disk on the way."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container import tar
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.layers import TIME, Layer, Measure, verified_archive
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.registry import ContainerError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PORT = re.compile(r"[1-9][0-9]{0,4}/(tcp|udp)")


class Image(t.NamedTuple):
    """Layers with their measures, and the configuration, whose SHA-256 is the identity of the image."""

    layers: list[tuple[Layer, Measure]]
    config: bytes
    id: str

    @property
    def size(self) -> int:
        return sum(measure.size for _layer, measure in self.layers)

    @property
    def diff_ids(self) -> list[str]:
        return [measure.diff_id for _layer, measure in self.layers]


def check_ports(ports: Iterable[str]) -> list[str]:
    for port in ports:
        if not _PORT.fullmatch(port) or int(port.partition("/")[0]) > 65535:
            raise ContainerError(f"exposed_ports: {port!r} is not a port: write it as in 80/tcp")
    return sorted(ports)


def assemble(layers: Iterable[tuple[Layer, Measure]], settings: Mapping[str, t.Any], architecture: str) -> Image:
    """Return the image of measured layers and of the settings of its containers."""
    layers = list(layers)
    times = [datetime.datetime.fromtimestamp(layer.time, datetime.timezone.utc).strftime(TIME) for layer, _measure in layers]
    config = {
        "architecture": architecture,
        "config": {key: value for key, value in settings.items() if value},
        # An image is as old as its newest layer.
        "created": max(times),
        "history": [{"created": time, "comment": layer.comment, "created_by": "serverfarm.ltsp"} for (layer, _measure), time in zip(layers, times)],
        "os": "linux",
        "rootfs": {"diff_ids": [measure.diff_id for _layer, measure in layers], "type": "layers"},
    }
    data = json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
    return Image(layers, data, f"sha256:{hashlib.sha256(data).hexdigest()}")


def is_same(image: Image, inspected: Mapping[str, t.Any]) -> bool:
    """Tell whether the image that an engine describes is this one. An engine may give it an identity of its own."""
    if inspected["Id"] == image.id:
        return True
    config = json.loads(image.config)
    theirs = inspected.get("Config") or {}
    return inspected.get("RootFS", {}).get("Layers") == image.diff_ids and all(theirs.get(key) == value for key, value in config["config"].items())


def archive(image: Image, reference: str) -> Iterator[bytes]:
    """Yield the image in the form of `docker save`, block by block."""
    config = f"{image.id.partition(':')[2]}.json"
    names = [f"{measure.diff_id.partition(':')[2]}.tar" for _layer, measure in image.layers]
    manifest = json.dumps([{"Config": config, "Layers": names, "RepoTags": [reference]}]).encode()
    for name, data in (("manifest.json", manifest), (config, image.config)):
        yield tar.header(name.encode(), tar.REGULAR, 0o644, size=len(data))
        yield tar.padded(data)
    written = set()
    for name, (layer, measure) in zip(names, image.layers):
        if name not in written:
            written.add(name)
            yield tar.header(name.encode(), tar.REGULAR, 0o644, size=measure.size)
            yield from verified_archive(layer, measure)
            yield bytes(-measure.size % tar.BLOCK)
    yield bytes(2 * tar.BLOCK)
