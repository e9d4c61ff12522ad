# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container image from directories: the same inputs give the same bits, and nothing is written to the disk on the way.

A layer is an archive that is made while it is read. Its headers are written here, because those of Python's tarfile differ between versions.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import json
import os
import re
import stat
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError, write_file
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.tree import Entry, parse_excludes, walk

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MEMORY_SCHEMA = 1
_BLOCK = 512
_CHUNK = 1 << 20
_REGULAR, _HARD_LINK, _SYMBOLIC_LINK, _DIRECTORY, _LONG_NAME, _LONG_LINK = (b"0", b"1", b"2", b"5", b"L", b"K")

_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?P<host>{_HOST})/{_COMPONENT}(/{_COMPONENT})*")
_IMAGE = re.compile(rf"((?P<host>{_HOST})/)?{_COMPONENT}(/{_COMPONENT})*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{{64}})?")
_HUB = "docker.io"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_PORT = re.compile(r"[1-9][0-9]{0,4}/(tcp|udp)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"

_UNTRUSTED = re.compile(r"x509:|certificate|tls: ", re.IGNORECASE)
_REFUSED = re.compile(
    r"unauthorized|authentication required|access.* denied|denied:|no basic auth|incorrect username or password|status: 401|forbidden", re.IGNORECASE
)
_PLAIN = re.compile(r"server gave HTTP response to HTTPS client", re.IGNORECASE)
_UNREACHABLE = re.compile(r"dial tcp|no such host|connection refused|timeout|no route to host|network is unreachable|connection reset|\bEOF\b", re.IGNORECASE)


class ContainerError(Exception):
    """No such image can be made or brought to its registry; the message names the value, the place and the remedy."""


class Layer(t.NamedTuple):
    """A directory, and what it becomes in the image."""

    source: str
    destination: str
    exclude: Sequence[str]
    time: int
    comment: str


class Measure(t.NamedTuple):
    """The SHA-256 of a layer, as Docker writes it, and its size in bytes."""

    diff_id: str
    size: int


class Image(t.NamedTuple):
    """Layers with their measures, and the configuration, of which the identity is the SHA-256."""

    layers: list[tuple[Layer, Measure]]
    config: bytes
    id: str

    @property
    def size(self) -> int:
        return sum(measure.size for _layer, measure in self.layers)

    @property
    def diff_ids(self) -> list[str]:
        return [measure.diff_id for _layer, measure in self.layers]


class Memory:
    """What layers measured, by the state of their directory: an unchanged directory is not read again.

    The state has inode, size and both time stamps of every path. The engine checks every layer that it takes against its measure.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._known: dict[str, t.Any] = {}
        self._used: dict[str, t.Any] = {}
        if path is not None:
            with contextlib.suppress(FileNotFoundError, ValueError), open(path, encoding="utf-8") as stream:
                content = json.load(stream)
                if isinstance(content, dict) and content.get("schema") == MEMORY_SCHEMA:
                    self._known = content["layers"]

    def measure(self, layer: Layer) -> Measure:
        """Measure a layer, or remember what it measured."""
        state = _state(layer, _entries(layer))
        known = self._known.get(state)
        measure = Measure(known["diff_id"], known["size"]) if known else measure_layer(layer)
        self._used[state] = measure._asdict()
        return measure

    def forget(self) -> None:
        """Let the next run measure everything anew."""
        self._used = {}
        self.save()

    def save(self) -> None:
        """Keep what this run used, and nothing older."""
        if self._path is not None and self._used != self._known:
            content = {"schema": MEMORY_SCHEMA, "layers": self._used}
            write_file(self._path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode(), 0o600)
            self._known = self._used


def check_name(name: str) -> str:
    """Give the registry of an image name, as HOST or HOST:PORT."""
    match = _NAME.fullmatch(name)
    if not match or not _is_host(match["host"]):
        raise ContainerError(f"name: {name!r} is not REGISTRY/REPOSITORY: write it as in registry.example.org/farm/ltsp or 10.9.0.2:5000/ltsp, without a tag")
    return match["host"]


def check_image(name: str) -> str:
    """Give the registry of an image that is named with a tag, a digest or neither."""
    match = _IMAGE.fullmatch(name)
    if not match:
        raise ContainerError(f"name: {name!r} is no name of an image: write it as in registry.example.org/base/debian:13")
    return match["host"] if match["host"] and _is_host(match["host"]) else _HUB


def check_tag(tag: str) -> str:
    if not _TAG.fullmatch(tag):
        raise ContainerError(f"tag: {tag!r} is not a tag: use letters, digits and _ . -, at most 128")
    return tag


def check_ports(ports: Iterable[str]) -> list[str]:
    for port in ports:
        if not _PORT.fullmatch(port) or int(port.partition("/")[0]) > 65535:
            raise ContainerError(f"exposed_ports: {port!r} is not a port: write it as in 80/tcp")
    return sorted(ports)


def parse_layer(parameters: Mapping[str, t.Any]) -> Layer:
    """Check one layer as the module gets it."""
    source, destination = parameters["src"], parameters["dest"]
    for option, path in (("src", source), ("dest", destination)):
        if not os.path.isabs(path) or ".." in path.split("/"):
            raise ContainerError(f"layers: {option}: {path!r} is not an absolute path without ..")
    try:
        time = datetime.datetime.strptime(parameters["time"], _TIME).replace(tzinfo=datetime.timezone.utc)
    except ValueError as error:
        raise ContainerError(f"layers: time: {parameters['time']!r} is not a time in UTC: write it as in 2026-11-20T22:30:00Z") from error
    return Layer(source, os.path.normpath(destination).strip("/"), parameters["exclude"], int(time.timestamp()), parameters["comment"])


def assemble(layers: Iterable[tuple[Layer, Measure]], settings: Mapping[str, t.Any], architecture: str) -> Image:
    """Put measured layers and the settings of their containers together to an image."""
    layers = list(layers)
    times = [datetime.datetime.fromtimestamp(layer.time, datetime.timezone.utc).strftime(_TIME) for layer, _measure in layers]
    config = {
        "architecture": architecture,
        "config": {key: value for key, value in settings.items() if value},
        # The newest of them: an image is not older than what is in it.
        "created": max(times),
        "history": [{"created": time, "comment": layer.comment, "created_by": "serverfarm.ltsp"} for (layer, _measure), time in zip(layers, times)],
        "os": "linux",
        "rootfs": {"diff_ids": [measure.diff_id for _layer, measure in layers], "type": "layers"},
    }
    data = json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
    return Image(layers, data, f"sha256:{hashlib.sha256(data).hexdigest()}")


def is_same(image: Image, inspected: Mapping[str, t.Any]) -> bool:
    """Is `inspected`, what an engine says of an image, this one? An engine may give it an identity of its own."""
    if inspected["Id"] == image.id:
        return True
    config = json.loads(image.config)
    theirs = inspected.get("Config") or {}
    return inspected.get("RootFS", {}).get("Layers") == image.diff_ids and all(theirs.get(key) == value for key, value in config["config"].items())


def archive(image: Image, reference: str) -> Iterator[bytes]:
    """Give the image in the form of `docker save`, block by block."""
    config = f"{image.id.partition(':')[2]}.json"
    names = [f"{measure.diff_id.partition(':')[2]}.tar" for _layer, measure in image.layers]
    manifest = json.dumps([{"Config": config, "Layers": names, "RepoTags": [reference]}]).encode()
    for name, data in (("manifest.json", manifest), (config, image.config)):
        yield _header(name.encode(), _REGULAR, 0o644, size=len(data))
        yield _padded(data)
    written = set()
    for name, (layer, measure) in zip(names, image.layers):
        if name not in written:
            written.add(name)
            yield _header(name.encode(), _REGULAR, 0o644, size=measure.size)
            yield from _checked(layer, measure)
            yield bytes(-measure.size % _BLOCK)
    yield bytes(2 * _BLOCK)


def measure_layer(layer: Layer) -> Measure:
    """Read a layer as a whole."""
    digest, size = hashlib.sha256(), 0
    for chunk in layer_archive(layer):
        digest.update(chunk)
        size += len(chunk)
    return Measure(f"sha256:{digest.hexdigest()}", size)


def layer_archive(layer: Layer) -> Iterator[bytes]:
    """Give a layer as an archive, block by block: names in order, owners and modes as they are, one time for all."""
    directory = ""
    for part in layer.destination.split("/")[:-1]:
        directory += f"{part}/"
        yield _header(directory.encode(), _DIRECTORY, 0o755, mtime=layer.time)
    first: dict[tuple[int, int], bytes] = {}
    for entry in _entries(layer):
        yield from _member(layer, entry, first)
    yield bytes(2 * _BLOCK)


def pushed_digest(lines: Iterable[Mapping[str, t.Any]]) -> str:
    """Find the digest in what the engine says while it pushes; a ContainerError has the message of the engine."""
    digest = ""
    for line in lines:
        if "error" in line:
            raise ContainerError(str(line["error"]).strip())
        digest = (line.get("aux") or {}).get("Digest", digest)
    if not _DIGEST.fullmatch(digest):
        raise ContainerError("the engine did not say which digest it pushed: use Docker Engine 20.10 or newer")
    return digest


def explain(message: str, registry: str, username: str | None) -> str:
    """Say what an engine's message about a registry means and what to do; a registry never gets to see more of it than the engine said."""
    message = " ".join(message.split())
    if _PLAIN.search(message):
        meaning = f"registry {registry} has no TLS: give it a certificate, or name it in insecure-registries of /etc/docker/daemon.json on the engine's host"
    elif _UNTRUSTED.search(message):
        meaning = (
            f"registry {registry} has a certificate that the engine does not trust: put the certificate of its authority"
            f" into /etc/docker/certs.d/{registry}/ca.crt on the engine's host"
        )
    elif _REFUSED.search(message):
        meaning = f"registry {registry} asks for a user: give username and password"
        if username:
            meaning = f"registry {registry} refuses the user {username}: correct username or password, or let this user push there"
    elif _UNREACHABLE.search(message):
        meaning = f"registry {registry} cannot be reached from the engine's host: check its name, its port and that it runs"
    else:
        meaning = f"registry {registry}"
    return f"{meaning} (the engine says: {message})"


def _is_host(word: str) -> bool:
    """Docker takes the first word for a registry when it cannot be anything else."""
    return "." in word or ":" in word or word == "localhost"


def _entries(layer: Layer) -> list[Entry]:
    if not os.path.isdir(layer.source):
        raise FilesError(f"layers: src: {layer.source} is no directory: make it first")
    return walk(layer.source, parse_excludes(layer.exclude)).entries


def _state(layer: Layer, entries: Iterable[Entry]) -> str:
    digest = hashlib.sha256(repr((layer.destination, layer.time)).encode())
    for entry in entries:
        status = entry.stat
        numbers = (status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(os.fsencode(entry.path) + f"\0{numbers}\n".encode())
    return digest.hexdigest()


def _member(layer: Layer, entry: Entry, first: dict[tuple[int, int], bytes]) -> Iterator[bytes]:
    status = entry.stat
    path = os.path.join(layer.source, entry.path)
    directory = stat.S_ISDIR(status.st_mode)
    name = os.fsencode(os.path.join(layer.destination, entry.path).rstrip("/") + "/" * directory)
    header = functools.partial(_header, name, mode=stat.S_IMODE(status.st_mode), uid=status.st_uid, gid=status.st_gid, mtime=layer.time)
    if directory:
        if name != b"/":
            yield header(_DIRECTORY)
    elif first.setdefault((status.st_dev, status.st_ino), name) != name:
        yield header(_HARD_LINK, link=first[status.st_dev, status.st_ino])
    elif stat.S_ISLNK(status.st_mode):
        yield header(_SYMBOLIC_LINK, link=os.fsencode(os.readlink(path)))
    elif stat.S_ISREG(status.st_mode):
        yield header(_REGULAR, size=status.st_size)
        yield from _content(path, status.st_size)
        yield bytes(-status.st_size % _BLOCK)
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


def _checked(layer: Layer, measure: Measure) -> Iterator[bytes]:
    """Give the layer, and see that it is the one that was measured before its last bytes are out."""
    digest, size = hashlib.sha256(), 0
    for chunk in layer_archive(layer):
        digest.update(chunk)
        size += len(chunk)
        if size > measure.size:
            break
        yield chunk
    if (f"sha256:{digest.hexdigest()}", size) != measure:
        raise FilesError(f"{layer.source} was changed after it was measured: run again when nothing works on it")


def _header(name: bytes, kind: bytes, mode: int, uid: int = 0, gid: int = 0, size: int = 0, mtime: int = 0, link: bytes = b"") -> bytes:
    """Give the header of one member in GNU's format, preceded by those for a long name."""
    header = b""
    for what, text in ((_LONG_LINK, link), (_LONG_NAME, name)):
        if len(text) > 100:
            header += _header(b"././@LongLink", what, 0, size=len(text) + 1) + _padded(text + b"\0")
    fields = [
        name[:100].ljust(100, b"\0"),
        *(_number(value, width) for value, width in ((mode, 8), (uid, 8), (gid, 8), (size, 12), (mtime, 12))),
        b" " * 8,
        kind,
        link[:100].ljust(100, b"\0"),
        b"ustar  \0",
    ]
    block = b"".join(fields).ljust(_BLOCK, b"\0")
    return header + block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _number(value: int, width: int) -> bytes:
    if value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)
