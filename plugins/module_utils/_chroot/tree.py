# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tree at a path: its mark, its replacement by another one, and its removal."""

from __future__ import annotations

import datetime
import json
import os
import typing as t
import uuid

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.build import build, write_inside
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.command import claim
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.inputs import SCHEMA, digest
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError, resolve
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import exchange, lock, mounts_below, publish, remove_leftovers, staging_directory

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.inputs import Inputs

MARK = "/var/lib/ltsp/chroot.json"


class Mark(t.NamedTuple):
    """Record in a tree of the inputs that it was made from."""

    inputs: dict[str, t.Any]
    digest: str
    id: str
    created: str


class Outcome(t.NamedTuple):
    """Trees before and after the run. None stands for no tree."""

    changed: bool
    before: Mark | None
    after: Mark | None


def check_path(path: str) -> str:
    """Return the path of the tree. Its parent may be reached by symbolic links, the tree itself may not be one."""
    if not path.startswith("/"):
        raise ChrootError(f"path: {path!r} is not an absolute path")
    if ".." in path.split("/"):
        raise ChrootError(f"path: {path!r} leads upwards: give the path without ..")
    parent, name = os.path.split(os.path.normpath(path))
    if not name:
        raise ChrootError(f"path: {path!r} is the root of this host: give the path of a directory below it")
    real = os.path.join(os.path.realpath(parent), name)
    if os.path.islink(real):
        raise ChrootError(f"path: {path!r} is a symbolic link to {os.readlink(real)}: give the path of the tree itself")
    return real


def read_mark(path: str) -> Mark | None:
    """Return the mark of the tree at `path`, None when nothing is there, and refuse everything that this module did not make."""
    if not os.path.lexists(path):
        return None
    try:
        with open(resolve(path, MARK), encoding="utf-8") as stream:
            data = json.load(stream)
        return Mark(data["inputs"], data["digest"], data["id"], data["created"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ChrootError(f"{path} was not made by ltsp_chroot (no valid {MARK[1:]} in it): it is not touched, move it away or give another path") from error


def present(path: str, inputs: Inputs, *, refresh: bool, check_mode: bool, environment: Mapping[str, str]) -> Outcome:
    """Make the tree that `inputs` describe at `path` (checked by check_path)."""
    record = inputs.record()
    wanted = digest(record)

    def is_current(mark: Mark | None) -> bool:
        return mark is not None and mark.digest == wanted and not refresh

    if check_mode:
        before = read_mark(path)
        return Outcome(False, before, before) if is_current(before) else Outcome(True, before, Mark(record, wanted, "", ""))
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        raise ChrootError(f"path: the directory {parent} does not exist: create it first")
    with lock(_lock_path(path)):
        remove_leftovers(path)
        before = read_mark(path)
        if is_current(before):
            return Outcome(False, before, before)
        if before is not None:
            _refuse_mounts(path)
        with staging_directory(path) as staged:
            tree = os.path.join(staged, "tree")
            build(inputs, staged, tree, environment)
            after = Mark(record, wanted, uuid.uuid4().hex, datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
            write_inside(tree, MARK, (json.dumps({"schema": SCHEMA, **after._asdict()}, indent=2, sort_keys=True) + "\n").encode())
            if before is None:
                publish(tree, path)
            else:
                with claim(path):
                    exchange(tree, path)
        return Outcome(True, before, after)


def absent(path: str, *, check_mode: bool) -> Outcome:
    """Remove the tree at `path` (checked by check_path)."""
    if check_mode or not os.path.isdir(os.path.dirname(path)):
        before = read_mark(path)
        return Outcome(before is not None, before, None)
    with lock(_lock_path(path)):
        remove_leftovers(path)
        before = read_mark(path)
        if before is not None:
            _refuse_mounts(path)
            with claim(path), staging_directory(path) as staged:
                os.rename(path, os.path.join(staged, "tree"))
        return Outcome(before is not None, before, None)


def _lock_path(path: str) -> str:
    parent, name = os.path.split(path)
    return os.path.join(parent, f".{name}.lock")


def _refuse_mounts(path: str) -> None:
    mounts = mounts_below(path)
    if mounts:
        raise ChrootError(f"{path} is not touched, something is mounted at {', '.join(mounts)}: unmount it, then run again")
