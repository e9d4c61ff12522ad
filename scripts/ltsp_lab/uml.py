# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User-mode Linux: the kernel of machines without firmware, got from Debian and tried once on this machine."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile
import typing as t

from ltsp_lab.initramfs import archive
from ltsp_lab.locks import waiting_lock
from ltsp_lab.messages import LabError, say
from ltsp_lab.packages import busybox, newest_from_suite, unpack

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ltsp_lab.files import Files
    from ltsp_lab.settings import Settings

# Older versions crash in their first process on processors with AMX: the newest suite comes first.
SUITES = ("sid", "trixie", "bookworm")
PACKAGES = ("user-mode-linux", "libc6", "libgcc-s1")
PROGRAM = "/usr/bin/linux.uml"
MODULES = "/usr/lib/uml/modules"
_PROBE_WORDS = "user-mode Linux runs programs here"
_PROBE_INIT = f"#!/bin/busybox sh\n/bin/busybox echo {_PROBE_WORDS}\n/bin/busybox poweroff -f\n"
_PROBE_SECONDS = 60
_PROVEN = "proven"


class UmlError(LabError):
    """No version of user-mode Linux boots on this machine."""


def tree(settings: Settings) -> pathlib.Path:
    """The root directory with user-mode Linux, its library and its modules: the newest one that boots here, kept in the cache by version.

    Raises UmlError with a line for each version that was tried.
    """
    with waiting_lock(settings.cache / "uml.lock"):
        if proven := _proven(settings):
            return proven[0]
        reasons = []
        for label, make in _sources(settings):
            try:
                found = make()
                _probe(settings, found)
            except (LabError, OSError, subprocess.SubprocessError, tarfile.TarError) as error:
                reasons.append(f"{label}: {error}")
                continue
            (found / _PROVEN).write_text(_processor(), encoding="utf-8")
            return found
    raise UmlError("user-mode Linux does not boot here: " + "; ".join(reasons))


def known_tree(settings: Settings) -> pathlib.Path:
    """The one that `tree` has found before."""
    return _proven(settings)[0]


def command(settings: Settings, files: Files) -> list[str]:
    """The command of a machine: a loader, which starts user-mode Linux as often as the machine boots."""
    loader = [sys.executable, "-B", "-m", "ltsp_lab.uml_loader", str(known_tree(settings)), str(files.record)]
    return ["env", f"PYTHONPATH={pathlib.Path(__file__).parents[1]}", *loader]


def enter(root: pathlib.Path, work: pathlib.Path) -> list[str]:
    """A command that runs the command behind it within `root`, with mounts of its own, where /mnt is the directory `work`; it ends with its parent."""
    script = 'for name in dev proc; do mount --rbind "/$name" "$1/$name"; done; mount --bind "$2" "$1/mnt"; root=$1; shift 2; exec chroot "$root" "$@"'
    return ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "sh", "-e", "-c", script, "sh", str(root), str(work)]


def _proven(settings: Settings) -> list[pathlib.Path]:
    """Those that have booted on this processor, the last one first."""
    marks = [mark for mark in settings.cache.glob(f"uml-*/{_PROVEN}") if mark.read_text(encoding="utf-8") == _processor()]
    return [mark.parent for mark in sorted(marks, key=lambda mark: -mark.stat().st_mtime)]


def _processor() -> str:
    """A digest of what the processor can do, which decides whether a version boots."""
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return hashlib.sha256("\n".join(sorted({line for line in lines if line.startswith(("model name", "flags"))})).encode()).hexdigest()


def _sources(settings: Settings) -> Iterator[tuple[str, t.Callable[[], pathlib.Path]]]:
    for suite in SUITES:
        yield f"Debian {suite}", functools.partial(_from_debian, settings, suite)
    if settings.uml:
        yield settings.uml, functools.partial(_from_archive, settings, pathlib.Path(settings.uml))


def _from_debian(settings: Settings, suite: str) -> pathlib.Path:
    packages = newest_from_suite(settings, suite, PACKAGES)
    found = settings.cache / f"uml-{packages[PACKAGES[0]].version}"
    if not found.exists():
        with _made(found) as new:
            for package in packages.values():
                unpack(package.path, new)
    return found


def _from_archive(settings: Settings, path: pathlib.Path) -> pathlib.Path:
    """An archive has bin/linux.uml and modules/RELEASE; its library is that of Debian's newest suite or of this machine."""
    if not path.is_file():
        raise LabError("no such file")
    found = settings.cache / f"uml-archive-{path.name.split('.tar')[0]}"
    if not found.exists():
        with _made(found) as new, tarfile.open(path) as packed:
            for package in newest_from_suite(settings, SUITES[0], PACKAGES[1:]).values():
                unpack(package.path, new)
            # The argument filter does not exist in Debian 12's Python.
            packed.extractall(new / "archive")
            (new / MODULES[1:]).parent.mkdir(parents=True)
            (new / PROGRAM[1:]).parent.mkdir(parents=True, exist_ok=True)
            (new / "archive/bin/linux.uml").rename(new / PROGRAM[1:])
            (new / "archive/modules").rename(new / MODULES[1:])
            shutil.rmtree(new / "archive")
    return found


@contextlib.contextmanager
def _made(found: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory that is there as a whole or not at all."""
    new = found.with_name(f"{found.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    for name in ("dev", "mnt", "proc", "tmp"):
        (new / name).mkdir(parents=True)
    yield new
    # Older packages have their library in /lib, which is a link to /usr/lib today.
    for name in ("lib", "lib64"):
        if not (new / name).exists():
            (new / name).symlink_to(f"usr/{name}")
    new.rename(found)


def _probe(settings: Settings, found: pathlib.Path) -> None:
    """Boot it, with an initramfs of busybox; raises LabError with its last words where it does not."""
    say(f"Trying {found.name}")
    work = settings.cache / f"{found.name}-probe"
    work.mkdir(exist_ok=True)
    try:
        (work / "initrd").write_bytes(archive({"init": (0o755, _PROBE_INIT.encode()), "bin/busybox": (0o755, busybox(settings).read_bytes())}))
        linux = [PROGRAM, "mem=128M", "initrd=/mnt/initrd", "con=null", "con0=null,fd:1", "console=tty0", "panic=1", "noreboot", "uml_dir=/mnt"]
        done = subprocess.run(
            [*enter(found, work), *linux],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PROBE_SECONDS,
            check=False,
        )
        words = done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        words = f"nothing after {_PROBE_SECONDS} s"
    finally:
        shutil.rmtree(work)
    if _PROBE_WORDS not in words:
        raise LabError((words.strip().splitlines() or ["it says nothing"])[-1])
