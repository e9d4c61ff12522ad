# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories that are replaced atomically.

Each is written under a temporary name beside its goal, synced to the disk and renamed. Readers never see a partial file,
and an interrupted run leaves a hidden name that the next run removes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STAGING_SUFFIX = ".tmp"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class FilesError(LtspError):
    """A file or directory is in an unexpected state; the message names the path and the remedy."""


def fsync_path(path: str) -> None:
    """Sync one file or directory (without its entries) to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_filesystem(path: str) -> None:
    """Sync the file system that holds `path` to the disk: one call for a tree of many thousand files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)


def write_file(path: str, data: bytes, mode: int = 0o644) -> None:
    """Replace the file at `path` by `data` in one step."""
    directory, name = os.path.split(path)
    descriptor, staged = tempfile.mkstemp(prefix=f".{name}.", suffix=STAGING_SUFFIX, dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(staged, path)
    except BaseException:
        os.unlink(staged)
        raise
    fsync_path(directory)


def point_symlink(path: str, target: str) -> None:
    """Make `path` a symbolic link to `target` in one step, whether a link stood there or not."""
    directory, name = os.path.split(path)
    if os.path.lexists(path) and not os.path.islink(path):
        raise FilesError(f"{path} is not a symbolic link: move it away, then run again")
    staged = os.path.join(directory, f".{name}.{os.getpid()}{STAGING_SUFFIX}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(staged)
    os.symlink(target, staged)
    os.rename(staged, path)
    fsync_path(directory)


def mounts_below(path: str) -> list[str]:
    """Name the mount points at `path` and below it."""
    real = os.path.realpath(path)
    return [mount for mount in _mount_points() if mount == real or mount.startswith(real + "/")]


def remove_tree(path: str) -> None:
    """Remove the directory at `path`, unless something is mounted in it: the content of a mount is not part of the tree."""
    mounts = mounts_below(path)
    if mounts:
        raise FilesError(f"{path} is not removed, something is mounted at {', '.join(mounts)}: unmount it, then run again")
    shutil.rmtree(path)


def remove_leftovers(goal: str) -> None:
    """Remove the leftovers of interrupted runs beside `goal`; the caller holds the lock of `goal`."""
    directory, name = os.path.split(goal)
    # The pattern matches the names that this module makes only: "node" and "node.old" must not remove each other's files.
    staged = re.compile(rf"\.{re.escape(name)}\.[a-z0-9_]+{re.escape(STAGING_SUFFIX)}(\.old{re.escape(STAGING_SUFFIX)})?")
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir(directory):
            if staged.fullmatch(entry):
                leftover = os.path.join(directory, entry)
                if os.path.isdir(leftover) and not os.path.islink(leftover):
                    remove_tree(leftover)
                else:
                    os.unlink(leftover)


@contextlib.contextmanager
def staging_directory(goal: str, mode: int = 0o755) -> Iterator[str]:
    """Give an empty directory beside `goal`, which is removed unless publish() or exchange() took it away."""
    directory, name = os.path.split(goal)
    staged = tempfile.mkdtemp(prefix=f".{name}.", suffix=STAGING_SUFFIX, dir=directory)
    try:
        os.chmod(staged, mode)
        yield staged
    finally:
        if os.path.isdir(staged):
            remove_tree(staged)


def publish(staged: str, goal: str) -> None:
    """Give the finished tree `staged` its name `goal`, at which nothing may stand."""
    fsync_filesystem(staged)
    if os.path.lexists(goal):
        raise FilesError(f"{goal} exists already: it is not overwritten")
    os.rename(staged, goal)
    fsync_path(os.path.dirname(goal))


def exchange(staged: str, goal: str) -> None:
    """Swap the finished tree `staged` with the one at `goal` in one step; the old one is then at `staged`."""
    fsync_filesystem(staged)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(staged), _AT_FDCWD, os.fsencode(goal), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(number, os.strerror(number), goal)
        aside = f"{staged}.old{STAGING_SUFFIX}"
        os.rename(goal, aside)
        os.rename(staged, goal)
        os.rename(aside, staged)
    fsync_path(os.path.dirname(goal))


@contextlib.contextmanager
def lock(path: str) -> Iterator[None]:
    """Hold the lock file at `path` (made when missing, never removed); wait until it is free."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class DirectoryChange(t.NamedTuple):
    """The files of a directory to write and to remove, and the content of all of them before."""

    write: dict[str, bytes]
    remove: list[str]
    before: dict[str, bytes]


def plan_directory(path: str, wanted: Mapping[str, bytes], suffixes: tuple[str, ...]) -> DirectoryChange:
    """Compare the files of `path` that end in one of `suffixes` with `wanted` (name to content); touches nothing."""
    before: dict[str, bytes] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(path):
            if entry.name.endswith(suffixes) and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                with open(entry.path, "rb") as stream:
                    before[entry.name] = stream.read()
    return DirectoryChange(
        write={name: data for name, data in wanted.items() if before.get(name) != data},
        remove=sorted(set(before) - set(wanted)),
        before=before,
    )


def apply_directory(path: str, change: DirectoryChange, mode: int = 0o644) -> None:
    """Carry out the plan of plan_directory()."""
    if not change.write and not change.remove:
        return
    path = os.path.realpath(path)
    parent, name = os.path.split(path)
    with lock(os.path.join(parent, f".{name}.lock")):
        replace_files(path, change.write, change.remove, mode)


def plan_files(path: str, wanted: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return those of the `wanted` files (name to content) that the directory `path` lacks or has with another content."""
    return {name: data for name, data in wanted.items() if _content(os.path.join(path, name)) != data}


def replace_files(path: str, files: Mapping[str, bytes], remove: Iterable[str] = (), mode: int = 0o644) -> None:
    """Replace files (name to content) of the directory `path`, each in one step, after all are on the disk; the caller holds a lock."""
    remove_leftovers(path)
    with staging_directory(path, 0o700) as staged:
        for name, data in files.items():
            with open(os.path.join(staged, name), "wb") as stream:
                stream.write(data)
                os.fchmod(stream.fileno(), mode)
        fsync_filesystem(staged)
        for name in files:
            os.rename(os.path.join(staged, name), os.path.join(path, name))
    for name in remove:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, name))
    fsync_path(path)


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _mount_points() -> list[str]:
    """Mount points of this process; the kernel writes blanks in them as octal escapes."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        fields = [line.split(" ")[4] for line in stream]
    return [_unescape(field) for field in fields]


def _unescape(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
