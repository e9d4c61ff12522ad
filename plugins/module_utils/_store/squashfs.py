# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a tree with mksquashfs and append its dm-verity hash tree, so that equal input gives equal bits."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import signal
import stat
import subprocess
import typing as t
import uuid

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.tree import Entry, Walk

ALGORITHMS = ("zstd", "xz", "lz4", "gzip")
# lowest, highest, default
_LEVELS = {"zstd": (1, 22, 6), "gzip": (1, 9, 9)}
_BLOCK_SIZES = tuple(1 << bits for bits in range(12, 21))
_OLDEST_MKSQUASHFS = (4, 5)
_VERITY_BLOCK_SIZE = 4096
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PR_SET_PDEATHSIG = 1
# The module warns about these attributes itself, with the paths.
_UNSTORED_NOTICE = "Unrecognised xattr prefix"


class Compression(t.NamedTuple):
    """How mksquashfs compresses; `level` is None where the algorithm has none."""

    algorithm: str
    level: int | None
    block_size: int


class Verity(t.NamedTuple):
    """The parameters of the dm-verity tree behind the file system."""

    algorithm: str
    block_size: int
    offset: int
    root_hash: str
    salt: str
    uuid: str


def check_compression(algorithm: str, level: int | None, block_size: int) -> Compression:
    """Fill in the algorithm's default level and refuse values that mksquashfs would refuse half a minute later."""
    if block_size not in _BLOCK_SIZES:
        raise FilesError(f"block_size: {block_size} is not a power of two between {_BLOCK_SIZES[0]} and {_BLOCK_SIZES[-1]}")
    if algorithm not in _LEVELS:
        if level is not None:
            raise FilesError(f"compression_level: {algorithm} has no levels: leave compression_level out")
        return Compression(algorithm, None, block_size)
    lowest, highest, default = _LEVELS[algorithm]
    chosen = default if level is None else level
    if not lowest <= chosen <= highest:
        raise FilesError(f"compression_level: {chosen} is not between {lowest} and {highest}, the levels of {algorithm}")
    return Compression(algorithm, chosen, block_size)


def pack(root: str, walk: Walk, newest: int, target: str, compression: Compression) -> list[str]:
    """Write exactly the entries of `walk` to the squashfs file `target`; return the warnings of mksquashfs."""
    _check_version()
    pins = [pin(entry, newest) for entry in walk.entries if entry.pinned and entry.path]
    patterns = [literal_pattern(path) for path in walk.excluded]
    pseudo, excluded = f"{target}.pseudo", f"{target}.excluded"
    # A path with a newline cannot be written to these files, but to the command line.
    with open(pseudo, "wb") as stream:
        stream.writelines(definition + b"\n" for definition in pins if b"\n" not in definition)
    with open(excluded, "wb") as stream:
        # mksquashfs drops the first backslash of a line, which guards a leading blank or #.
        stream.writelines(b"\\" + pattern + b"\n" for pattern in patterns if b"\n" not in pattern)
    command = ["mksquashfs", root, target, "-noappend", "-exit-on-error", "-no-progress", "-quiet", "-xattrs"]
    command += ["-comp", compression.algorithm, "-b", str(compression.block_size)]
    if compression.level is not None:
        command += ["-Xcompression-level", str(compression.level)]
    if walk.entries[0].pinned:
        command += ["-root-time", str(newest)]
    command += ["-pf", pseudo]
    for definition in pins:
        if b"\n" in definition:
            command += ["-p", os.fsdecode(definition)]
    command += ["-wildcards", "-ef", excluded]
    unlisted = [os.fsdecode(pattern) for pattern in patterns if b"\n" in pattern]
    if unlisted:
        command += ["-e", *unlisted]
    result = _run(command, "squashfs-tools", environment={"SOURCE_DATE_EPOCH": str(newest)})
    os.unlink(pseudo)
    os.unlink(excluded)
    return [line for line in result.stderr.splitlines() if line.strip() and not line.startswith(_UNSTORED_NOTICE)]


def literal_pattern(path: str) -> bytes:
    """A wildcard pattern of mksquashfs that matches `path` only."""
    return re.sub(rb"([^0-9A-Za-z_/\x80-\xff])", rb"\\\1", os.fsencode(path))


def pin(entry: Entry, newest: int) -> bytes:
    """The pseudo definition of mksquashfs that gives a pinned directory its time stamp."""
    name = re.sub(rb'(["\\])', rb"\\\1", os.fsencode(entry.path))
    return b'"%s" M %d %o %d %d' % (name, newest, stat.S_IMODE(entry.stat.st_mode), entry.stat.st_uid, entry.stat.st_gid)


def append_verity(path: str) -> tuple[Verity, str]:
    """Append a dm-verity tree whose salt and UUID follow from the content; return it and the SHA-256 of the whole file."""
    digest = hashlib.sha256()
    with open(path, "r+b") as stream:
        offset = -(-stream.seek(0, os.SEEK_END) // _VERITY_BLOCK_SIZE) * _VERITY_BLOCK_SIZE
        stream.truncate(offset)
        stream.seek(0)
        _feed(stream, digest.update)
        salt = digest.hexdigest()
        identity = str(uuid.UUID(bytes=digest.digest()[:16], version=5))
        size = str(_VERITY_BLOCK_SIZE)
        command = ["veritysetup", "format", path, path, "--format=1", "--hash=sha256", f"--hash-offset={offset}", f"--salt={salt}", f"--uuid={identity}"]
        command += [f"--data-block-size={size}", f"--hash-block-size={size}", f"--data-blocks={offset // _VERITY_BLOCK_SIZE}"]
        result = _run(command, "cryptsetup-bin")
        found = re.search(r"^Root hash:\s*([0-9a-f]{64})$", result.stdout, re.MULTILINE)
        if not found:
            raise FilesError(f"veritysetup gave no root hash for {path}: {result.stdout.strip()} {result.stderr.strip()}")
        _feed(stream, digest.update)
    return Verity("sha256", _VERITY_BLOCK_SIZE, offset, found.group(1), salt, identity), digest.hexdigest()


def _feed(stream: t.BinaryIO, consumer: t.Callable[[bytes], None]) -> None:
    while chunk := stream.read(1 << 20):
        consumer(chunk)


def _check_version() -> None:
    found = re.search(r"version (\d+)\.(\d+)", _run(["mksquashfs", "-version"], "squashfs-tools", check=False).stdout)
    if found and tuple(map(int, found.groups())) < _OLDEST_MKSQUASHFS:
        raise FilesError(f"mksquashfs {found.group(1)}.{found.group(2)} is too old: 4.5 or newer is needed (Debian 12, Ubuntu 22.04)")


def _die_with_parent() -> None:
    """A killed module must not leave a mksquashfs behind that fills the disk."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _run(
    command: list[str],
    package: str,
    environment: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    name = command[0]
    try:
        done = subprocess.run(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            env={"PATH": _PATH, "LC_ALL": "C", **(environment or {})},
            capture_output=True,
            preexec_fn=_die_with_parent,
            check=False,
        )
    except FileNotFoundError as error:
        raise FilesError(f"{name} is missing: install the Debian package {package}") from error
    stdout, stderr = (output.decode("utf-8", "replace") for output in (done.stdout, done.stderr))
    if check and done.returncode != 0:
        message = (stderr.strip() or stdout.strip())[-2000:]
        if "No space left on device" in message:
            raise FilesError(f"{name} ran out of disk space: make room in the store, for example by removing versions that no node needs. It said: {message}")
        if "is not supported!" in message:
            raise FilesError(f"this {name} cannot compress as asked: install the Debian package {package}. It said: {message}")
        raise FilesError(f"{name} failed with status {done.returncode}: {message}")
    return subprocess.CompletedProcess(done.args, done.returncode, stdout, stderr)
