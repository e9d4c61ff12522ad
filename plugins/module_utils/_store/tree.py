# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of an image: the list of its paths in the tree, and their fingerprint.

mksquashfs gets the excluded paths that walk() found, not the patterns, so fingerprint and image cannot disagree.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import re
import stat
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError, mounts_below

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    # The components of a pattern that are still to be matched; None stands for "**".
    Tail = tuple[t.Optional[t.Pattern[str]], ...]

STORED_ATTRIBUTES = ("security.", "trusted.", "user.")
_DEEP = "**"
_BUFFER = memoryview(bytearray(1 << 20))


class Entry(t.NamedTuple):
    """One path of the image, relative to the tree; the tree itself is "".

    A pinned directory is one from which a pattern may exclude something. Its time stamp changes with excluded paths, so it gets the newest one of the
    other paths. A directory below a pinned one keeps its own, because mksquashfs cannot pin both.
    """

    path: str
    stat: os.stat_result
    pinned: bool


class Walk(t.NamedTuple):
    """The paths of the image, and the top of each excluded part; both in the order of the paths' bytes."""

    entries: list[Entry]
    excluded: list[str]


class Fingerprint(t.NamedTuple):
    """A summary of the paths that walk() found."""

    digest: str
    newest: int
    size: int
    unstored: list[str]


def parse_excludes(patterns: Iterable[str]) -> list[Tail]:
    """Compile patterns relative to the tree: shell globs per component, ** for any depth, DIR/** for all but the directories below DIR."""
    tails: list[Tail] = []
    for pattern in patterns:
        parts = pattern.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise FilesError(f"exclude: {pattern!r} has to be a path inside the tree without a slash at either end, such as 'boot/*'")
        tails += _alternatives(tuple(None if part == _DEEP else re.compile(fnmatch.translate(part)) for part in parts))
    return tails


def walk(root: str, excludes: Sequence[Tail]) -> Walk:
    """Go through the tree at `root`; a symbolic link is never followed."""
    mounts = [mount for mount in mounts_below(root) if mount != os.path.realpath(root)]
    if mounts:
        raise FilesError(f"{', '.join(mounts)}: something is mounted inside the tree {root}: unmount it, then run again")
    entries: list[Entry] = []
    excluded: list[str] = []
    pending: list[tuple[str, Sequence[Tail], bool]] = [("", excludes, True)]
    while pending:
        path, tails, free = pending.pop()
        pinned = free and any(len(tail) == 1 for tail in tails)
        with os.scandir(os.path.join(root, path)) as listing:
            for item in listing:
                below = os.path.join(path, item.name)
                directory = item.is_dir(follow_symlinks=False)
                out, inner = _step(tails, item.name, directory)
                if out:
                    excluded.append(below)
                elif directory:
                    pending.append((below, inner, free and (not pinned or not path)))
                else:
                    entries.append(Entry(below, item.stat(follow_symlinks=False), pinned=False))
        entries.append(Entry(path, os.lstat(os.path.join(root, path)), pinned))
    return Walk(sorted(entries, key=lambda entry: os.fsencode(entry.path)), sorted(excluded, key=os.fsencode))


def fingerprint(root: str, entries: Sequence[Entry]) -> Fingerprint:
    """Digest everything that reaches the image's bits."""
    digest = hashlib.sha256(b"serverfarm.ltsp tree 1\n")
    first: dict[tuple[int, int], str] = {}
    newest = size = 0
    unstored: list[str] = []
    for entry in entries:
        status = entry.stat
        path = os.path.join(root, entry.path)
        mtime = None if entry.pinned else status.st_mtime_ns // 10**9
        newest = max(newest, mtime or 0)
        if not stat.S_ISDIR(status.st_mode) and first.setdefault((status.st_dev, status.st_ino), entry.path) != entry.path:
            content = b"link " + os.fsencode(first[status.st_dev, status.st_ino])
        else:
            content = _content(path, status)
            size += status.st_size
        attributes, other = _attributes(path)
        if other:
            unstored.append(entry.path)
        fields = (
            os.fsencode(entry.path),
            f"{status.st_mode:o} {status.st_uid} {status.st_gid} {mtime}".encode(),
            content,
            attributes,
        )
        digest.update(b"\0".join(fields) + b"\0")
    return Fingerprint(digest.hexdigest(), newest, size, unstored)


def first_difference(before: Sequence[Entry], after: Sequence[Entry]) -> str | None:
    """Name one path that was touched between two walks, or None."""
    old, new = ({entry.path: _signature(entry) for entry in entries} for entries in (before, after))
    return next((path for path in sorted(old.keys() | new.keys()) if old.get(path) != new.get(path)), None)


def open_inside(root: str, path: str) -> int:
    """Open a regular file or a directory of the tree for reading; no component may be a symbolic link."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in path.split("/"):
        try:
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
        except OSError as error:
            where = os.path.join(root, path)
            if error.errno == errno.ELOOP:
                raise FilesError(f"{where}: {part} is a symbolic link, which is not followed out of the tree: put the real one there") from error
            raise OSError(error.errno, os.strerror(error.errno or 0), where) from error
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def hash_file(descriptor: int, copy_to: int | None = None) -> str:
    """SHA-256 of the file from its position to its end, which is copied to the descriptor `copy_to` when given."""
    digest = hashlib.sha256()
    while count := os.readv(descriptor, [_BUFFER]):
        digest.update(_BUFFER[:count])
        written = 0
        while copy_to is not None and written < count:
            written += os.write(copy_to, _BUFFER[written:count])
    return digest.hexdigest()


def _alternatives(tail: Tail) -> list[Tail]:
    """A ** that is not the last component may stand for no directory at all."""
    return [tail, *_alternatives(tail[1:])] if len(tail) > 1 and tail[0] is None else [tail]


def _step(tails: Sequence[Tail], name: str, directory: bool) -> tuple[bool, list[Tail]]:
    """Go one name deeper: is it excluded, and if not, which patterns go on below it?"""
    inner: list[Tail] = []
    for tail in tails:
        head, remaining = tail[0], tail[1:]
        if head is None:
            if not remaining and not directory:
                return True, []
            inner += _alternatives(tail)
        elif head.match(name):
            if not remaining:
                return True, []
            inner += _alternatives(remaining)
    return False, list(dict.fromkeys(inner))


def _content(path: str, status: os.stat_result) -> bytes:
    if stat.S_ISREG(status.st_mode):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return hash_file(descriptor).encode()
        finally:
            os.close(descriptor)
    if stat.S_ISLNK(status.st_mode):
        return os.fsencode(os.readlink(path))
    if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
        return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}".encode()
    return b""


def _attributes(path: str) -> tuple[bytes, list[str]]:
    """The extended attributes that squashfs can hold, and the names of those that it cannot."""
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        names = []
    stored = [name for name in names if name.startswith(STORED_ATTRIBUTES)]
    pairs = (f"{name}=".encode("utf-8", "surrogateescape") + os.getxattr(path, name, follow_symlinks=False).hex().encode() for name in stored)
    return b",".join(pairs), [name for name in names if name not in stored]


def _signature(entry: Entry) -> tuple[int, ...]:
    status = entry.stat
    owner = (status.st_mode, status.st_uid, status.st_gid)
    return owner if entry.pinned else (*owner, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
