# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of a container image: archives of directories, made while they are read. The same directory gives the same bits."""

from __future__ import annotations

import datetime
import functools
import hashlib
import os
import stat
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container import tar
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.registry import ContainerError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.tree import Entry, parse_excludes, walk

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CHUNK = 1 << 20
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Layer(t.NamedTuple):
    """Directory on the host, and its place in the image."""

    source: str
    destination: str
    exclude: Sequence[str]
    time: int
    comment: str


class Measure(t.NamedTuple):
    """SHA-256 of a layer, as Docker writes it, and its size in bytes."""

    diff_id: str
    size: int


def parse_layer(parameters: Mapping[str, t.Any]) -> Layer:
    """Return one layer of the module's options, after a check."""
    source, destination = parameters["src"], parameters["dest"]
    for option, path in (("src", source), ("dest", destination)):
        if not os.path.isabs(path) or ".." in path.split("/"):
            raise ContainerError(f"layers: {option}: {path!r} is not an absolute path without ..")
    try:
        time = datetime.datetime.strptime(parameters["time"], TIME).replace(tzinfo=datetime.timezone.utc)
    except ValueError as error:
        raise ContainerError(f"layers: time: {parameters['time']!r} is not a time in UTC: write it as in 2026-11-20T22:30:00Z") from error
    return Layer(source, os.path.normpath(destination).strip("/"), parameters["exclude"], int(time.timestamp()), parameters["comment"])


def measure_layer(layer: Layer) -> Measure:
    """Return the measure of a layer, which is read as a whole."""
    digest, size = hashlib.sha256(), 0
    for chunk in layer_archive(layer):
        digest.update(chunk)
        size += len(chunk)
    return Measure(f"sha256:{digest.hexdigest()}", size)


def layer_archive(layer: Layer) -> Iterator[bytes]:
    """Yield a layer as an archive, block by block: names in order, owners and modes as they are, one time stamp for all."""
    directory = ""
    for part in layer.destination.split("/")[:-1]:
        directory += f"{part}/"
        yield tar.header(directory.encode(), tar.DIRECTORY, 0o755, mtime=layer.time)
    first: dict[tuple[int, int], bytes] = {}
    for entry in entries_of(layer):
        yield from _member(layer, entry, first)
    yield bytes(2 * tar.BLOCK)


def entries_of(layer: Layer) -> list[Entry]:
    if not os.path.isdir(layer.source):
        raise FilesError(f"layers: src: {layer.source} is no directory: make it first")
    return walk(layer.source, parse_excludes(layer.exclude)).entries


def _member(layer: Layer, entry: Entry, first: dict[tuple[int, int], bytes]) -> Iterator[bytes]:
    status = entry.stat
    path = os.path.join(layer.source, entry.path)
    directory = stat.S_ISDIR(status.st_mode)
    name = os.fsencode(os.path.join(layer.destination, entry.path).rstrip("/") + "/" * directory)
    header = functools.partial(tar.header, name, mode=stat.S_IMODE(status.st_mode), uid=status.st_uid, gid=status.st_gid, mtime=layer.time)
    if directory:
        if name != b"/":
            yield header(tar.DIRECTORY)
    elif first.setdefault((status.st_dev, status.st_ino), name) != name:
        yield header(tar.HARD_LINK, link=first[status.st_dev, status.st_ino])
    elif stat.S_ISLNK(status.st_mode):
        yield header(tar.SYMBOLIC_LINK, link=os.fsencode(os.readlink(path)))
    elif stat.S_ISREG(status.st_mode):
        yield header(tar.REGULAR, size=status.st_size)
        yield from _content(path, status.st_size)
        yield bytes(-status.st_size % tar.BLOCK)
    else:
        raise FilesError(f"{path} is no file, directory or link, which an image cannot hold: remove it or exclude it")


def _content(path: str, size: int) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        left = size
        while left and (chunk := stream.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
        if left or stream.read(1):
            raise FilesError(f"{path} was changed while it was read: run again when nothing works on it")


def verified_archive(layer: Layer, measure: Measure) -> Iterator[bytes]:
    """Yield a layer, and raise an error before its last bytes if it differs from the measured one."""
    digest, size = hashlib.sha256(), 0
    for chunk in layer_archive(layer):
        digest.update(chunk)
        size += len(chunk)
        if size > measure.size:
            break
        yield chunk
    if (f"sha256:{digest.hexdigest()}", size) != measure:
        raise FilesError(f"{layer.source} was changed after it was measured: run again when nothing works on it")
