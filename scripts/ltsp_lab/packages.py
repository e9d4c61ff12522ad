# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages: installed, unpacked without being installed, or from another suite than this machine's."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import typing as t
import urllib.parse

from ltsp_lab.locks import waiting_lock
from ltsp_lab.messages import LabError, say
from ltsp_lab.processes import run_to_end

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ltsp_lab.settings import Settings

LOCK_SECONDS = 300
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclasses.dataclass(frozen=True)
class PackageFile:
    """A downloaded package."""

    name: str
    version: str
    path: pathlib.Path


def need_packages(settings: Settings, *names: str) -> None:
    """Install the Debian packages that are missing."""
    missing = _missing(names)
    if not missing:
        return
    listed = " ".join(missing)
    _need_apt(missing)
    if os.geteuid() != 0:
        raise LabError(f"these packages are missing, install them as root: apt-get install {listed}")
    say(f"Installing {listed}")
    with _lock(settings):
        try:
            _update()
        except subprocess.CalledProcessError as error:
            raise LabError(f"apt-get update failed, so {listed} cannot be installed: {_reason(error)}") from None
        _install(missing)


def unpacked_package(settings: Settings, name: str) -> pathlib.Path:
    """Unpack the newest version of a package into a directory of the cache, once, without installing it: its services do not start."""
    _need_apt([name])
    with _lock(settings):
        try:
            with contextlib.suppress(subprocess.CalledProcessError):
                return _unpacked(settings, name)
            # A failure may come from empty or outdated package lists.
            _update()
            return _unpacked(settings, name)
        except subprocess.CalledProcessError as error:
            raise LabError(f"apt-get could not download {name}; try apt-get update as root: {_reason(error)}") from None


def newest_from_suite(settings: Settings, suite: str, names: Sequence[str]) -> dict[str, PackageFile]:
    """Download the newest versions of packages from a suite of Debian, with package lists apart from this machine's own."""
    need_packages(settings, "debian-archive-keyring")
    with _lock(settings):
        directory = settings.cache / f"packages-{suite}"
        options = _suite_options(settings, suite, directory)
        try:
            _update(*options)
            return _download(names, directory, *options)
        except subprocess.CalledProcessError as error:
            raise LabError(
                f"the Debian mirror {settings.mirror} does not give {' and '.join(names)} of {suite}; "
                f"set LTSP_LAB_MIRROR to a mirror that this machine reaches: {_reason(error)}"
            ) from None


def unpack(package: pathlib.Path, directory: pathlib.Path) -> None:
    """Unpack the file of a package into `directory`, beside what is there."""
    done = subprocess.run(["dpkg-deb", "--extract", package, directory], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"dpkg-deb could not unpack {package} into {directory}: {done.stderr.strip()}")


def busybox(settings: Settings) -> pathlib.Path:
    """Return the static busybox, which is not installed because its package and the ordinary busybox's exclude each other."""
    package = unpacked_package(settings, "busybox-static")
    return next(path for path in (package / "bin/busybox", package / "usr/bin/busybox") if path.exists())


def _lock(settings: Settings) -> contextlib.AbstractContextManager[None]:
    """Let one at a time use apt-get, which fails for the lock of the package lists instead of waiting for it."""
    return waiting_lock(settings.cache / "packages.lock")


def _missing(names: Sequence[str]) -> list[str]:
    if not shutil.which("dpkg-query"):
        return list(names)
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names]
    lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    return [name for name in names if f"{name} installed" not in lines]


def _need_apt(names: Iterable[str]) -> None:
    if not shutil.which("apt-get"):
        raise LabError(f"these packages are missing, and this is not Debian: {' '.join(names)}")


def _install(names: Sequence[str]) -> None:
    command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *names]
    if run_to_end(command, environment={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, quiet=True) != 0:
        raise LabError(f"apt-get could not install {' '.join(names)}, see above")


def _unpacked(settings: Settings, name: str) -> pathlib.Path:
    version = _file_names([name])[name].split("_")[1]
    directory = settings.cache / f"unpacked-{name}-{version}"
    if not directory.is_dir():
        new = directory.with_name(f"{directory.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=settings.cache) as work:
            unpack(_download([name], pathlib.Path(work))[name].path, new)
        new.rename(directory)
    return directory


def _suite_options(settings: Settings, suite: str, directory: pathlib.Path) -> list[str]:
    """Make the place of a suite's package lists; returns the options of apt-get for nothing but them."""
    for name in ("lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    sources = directory / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {settings.mirror} {suite} main\n", encoding="utf-8")
    values = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::Lists": directory / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": directory / "cache",
        "APT::Default-Release": "",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }
    return [f"-o{name}={value}" for name, value in values.items()]


def _update(*options: str) -> None:
    """Read the package lists; waits while another program, such as a playbook of another lab, has their lock."""
    limit = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            _output("apt-get", "update", *options, "-oAPT::Update::Error-Mode=any")
            return
        except subprocess.CalledProcessError as error:
            if "Could not get lock" not in _reason(error) or time.monotonic() > limit:
                raise
            time.sleep(1)


def _download(names: Sequence[str], directory: pathlib.Path, *options: str) -> dict[str, PackageFile]:
    """Download packages; apt-get keeps a file that is there and whole."""
    _output("apt-get", "download", *options, "-oAPT::Sandbox::User=root", *names, directory=directory)
    files = _file_names(names, *options)
    return {name: PackageFile(name, urllib.parse.unquote(files[name].split("_")[1]), directory / files[name]) for name in names}


def _file_names(names: Sequence[str], *options: str) -> dict[str, str]:
    """Names of the files, NAME_VERSION_ARCHITECTURE.deb, as apt-get calls them."""
    lines = _output("apt-get", "download", *options, "-qq", "--print-uris", *names).splitlines()
    files = [line.rsplit(maxsplit=3)[1] for line in lines]
    return {file.partition("_")[0]: file for file in files}


def _output(*command: str, directory: pathlib.Path | None = None) -> str:
    # Errors are compared with apt's English ones.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def _reason(error: subprocess.CalledProcessError) -> str:
    return str(error.stderr).strip()
