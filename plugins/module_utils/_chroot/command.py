# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands inside a tree, whose processes and mounts end with the call.

The chain is: this process, unshare, a shell as PID 1 of a new namespace, the command in its chroot. Each of them dies with the one before it,
even by SIGKILL. The end of PID 1 ends every process and every mount of its namespaces.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import stat
import subprocess
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError, resolve

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {
    "PATH": _HOST_PATH,
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_OFFLINE": "1",
}
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")

# PR_SET_PDEATHSIG gives no signal when the parent has died already, so the parent is compared with the intended one.
_GUARD = '[ "$PPID" -eq "$0" ] && exec "$@"'

# Mounts cover the directories below $root, which are never written to; dev and run are file systems of their own.
_PREPARE = """\
set -eu
root=$1 policy=$2 resolver=$3 resolved=$4 inner=$5
shift 5
trap 'echo "ltsp_chroot_command: $root could not be prepared" >&2; exit 125' EXIT
umask 022
hostname localhost
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
for path in sys sysrq-trigger; do
    [ -e "$root/proc/$path" ] || continue
    mount --bind "$root/proc/$path" "$root/proc/$path"
    mount -o remount,bind,ro "$root/proc/$path"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"
mount -t tmpfs -o mode=755,nosuid,noexec tmpfs "$root/dev"
for node in full null random tty urandom zero; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5,nosuid,noexec devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
printf '#!/bin/sh\\nexit 101\\n' >"$root/run/policy-rc.d"
chmod 755 "$root/run/policy-rc.d"
mount --bind "$root/run/policy-rc.d" "$policy"
mount -o remount,bind,ro "$policy"
if [ -n "$resolver" ]; then
    mkdir -p "${resolved%/*}"
    [ -e "$resolved" ] || : >"$resolved"
    mount --bind "$resolver" "$resolved"
    mount -o remount,bind,ro "$resolved"
fi
cd /
trap - EXIT
set +e
chroot "$root" /bin/sh -c "$inner" sh "$@"
exit $?
"""
# One variable carries all others, which stay off the command line and out of the environment of the host's tools.
_INNER = 'cd -- "$1" || exit; shift; eval "$LTSP_ENVIRONMENT"; exec "$@"'


class Result(t.NamedTuple):
    """Return code and output of a command."""

    rc: int
    stdout: bytes
    stderr: bytes


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name a proxy."""
    return {name: value for name, value in environment.items() if name.lower() in _PROXIES}


def run_confined(argv: Sequence[str], *, namespaces: Sequence[str], environment: Mapping[str, str], data: bytes | None = None, merge: bool = False) -> Result:
    """Run `argv` in new namespaces, without a terminal. It ends with this process, also when that is killed."""
    command = ["setpriv", "--pdeathsig", "KILL", "--bounding-set=-sys_module,-sys_time", "--", "sh", "-c", _GUARD, str(os.getpid())]
    command += ["unshare", "--mount", "--pid", "--fork", "--kill-child", *namespaces, "--", *argv]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            env={"PATH": _HOST_PATH, "LC_ALL": "C.UTF-8", **environment},
            cwd="/",
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise ChrootError(f"{error.filename} is missing on this host: install the package util-linux") from error
    try:
        stdout, stderr = process.communicate(data)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return Result(process.returncode, stdout, stderr or b"")


def check_environment(environment: Mapping[str, t.Any]) -> dict[str, str]:
    """Return the variables as text, after a check that a shell can export them."""
    for name in environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ChrootError(f"environment: {name!r} is not a name of a variable: use letters, digits and underscores")
    return {name: str(value) for name, value in environment.items()}


def run_in_tree(root: str, argv: Sequence[str], *, chdir: str = "/", environment: Mapping[str, str] | None = None, data: bytes | None = None) -> Result:
    """Run `argv` inside the tree `root` (checked by check_root)."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in {**_ENVIRONMENT, **(environment or {})}.items()]
    resolver = os.path.realpath("/etc/resolv.conf")
    if not os.path.isfile(resolver):
        resolver = ""
    policy = resolve(root, "/usr/sbin/policy-rc.d")
    resolved = resolve(root, "/etc/resolv.conf")
    mount_points = [policy]
    if resolver and not resolved.startswith(f"{root}/run/"):
        mount_points.append(resolved)
    with _in_use(root, mount_points):
        return run_confined(
            ["sh", "-c", _PREPARE, "ltsp_chroot_command", root, policy, resolver, resolved, _INNER, chdir, *argv],
            namespaces=["--ipc", "--uts"],
            environment={"LTSP_ENVIRONMENT": "\n".join([*exports, "unset LTSP_ENVIRONMENT"])},
            data=data,
        )


@contextlib.contextmanager
def claim(root: str) -> Iterator[None]:
    """Keep commands out of the tree `root`, and refuse a tree in which one runs."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _lock_alone(descriptor):
            raise ChrootError(f"a command runs in {root}: wait until it ends, then run again")
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _in_use(root: str, mount_points: Sequence[str]) -> Iterator[None]:
    """Keep mount points in the tree. Missing ones are made as empty files of mode 0, by which they are recognized and removed."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        for path in mount_points:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0))
        try:
            yield
        finally:
            if _lock_alone(descriptor):
                for path in mount_points:
                    status = os.lstat(path)
                    if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0 and status.st_size == 0:
                        os.unlink(path)
    finally:
        os.close(descriptor)


def _lock_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
