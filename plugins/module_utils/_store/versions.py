# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in the store: names, versions and manifests."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import shutil
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError, fsync_path

Manifest = t.Dict[str, t.Any]

SCHEMA = 1
CURRENT = "current"
SQUASHFS, KERNEL, INITRD, MANIFEST = "root.squashfs", "vmlinuz", "initrd.img", "manifest.json"

IMAGE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
IMAGE_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
_TIME = "%Y%m%dT%H%M%SZ"
# A manifest of release 0.3.0 or older also lists boot.cfg, which is derived from the manifest.
_IMMUTABLE = (SQUASHFS, KERNEL, INITRD)


class Image:
    """One image in the store."""

    def __init__(self, store: str, name: str) -> None:
        if not IMAGE_NAME.fullmatch(name) or name == CURRENT:
            raise FilesError(f"name: {name!r} is no image name: lower-case letters, digits, '.', '_' and '-', a letter or digit first, and not {CURRENT!r}")
        self.store = store
        self.name = name
        self.directory = os.path.join(_images(store), name)
        self.lock = os.path.join(store, "private", "locks", f"image-{name}.lock")
        self.current_link = os.path.join(self.directory, CURRENT)
        self._next_link = os.path.join(self.directory, ".current.next")

    def version_path(self, version: str) -> str:
        return os.path.join(self.directory, version)

    def versions(self) -> list[str]:
        """All versions, newest first."""
        return sorted(filter(IMAGE_VERSION.fullmatch, _list(self.directory)), reverse=True)

    def current(self) -> str | None:
        """The version that `current` names; None when there is no such link or no such version."""
        try:
            version = os.readlink(self.current_link)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FilesError(f"{self.current_link} is not a symbolic link: move it away, then run again") from error
        return version if version in self.versions() else None

    def manifest(self, version: str) -> Manifest:
        path = os.path.join(self.version_path(version), MANIFEST)
        remedy = f"remove the directory {self.version_path(version)} or put the manifest back"
        try:
            with open(path, encoding="utf-8") as stream:
                manifest = json.load(stream)
        except OSError as error:
            raise FilesError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
        except ValueError as error:
            raise FilesError(f"{path} is broken ({error}): {remedy}") from error
        if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
            raise FilesError(f"{path} is not a manifest of schema {SCHEMA}: use a newer release of this collection, or {remedy}")
        return manifest

    def is_whole(self, manifest: Manifest) -> bool:
        """Tell whether the immutable files of the version exist and have their sizes."""
        directory = self.version_path(manifest["version"])
        try:
            return all(os.stat(os.path.join(directory, name)).st_size == file["size"] for name, file in manifest["files"].items() if name in _IMMUTABLE)
        except FileNotFoundError:
            return False

    def activate(self, version: str, publish: t.Callable[[], None] | None = None) -> None:
        """Let `current` name `version`, which `publish` may bring in first.

        The intention is on the disk before the version is, so that the next run can end what a power cut interrupted.
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._next_link)
        os.symlink(version, self._next_link)
        if publish is not None:
            fsync_path(self.directory)
            publish()
        os.rename(self._next_link, self.current_link)
        fsync_path(self.directory)

    def interrupted_activation(self) -> str | None:
        """The version that an interrupted run brought in, but did not get to activate."""
        with contextlib.suppress(FileNotFoundError):
            version = os.readlink(self._next_link)
            return version if version in self.versions() else None
        return None

    def make_directories(self) -> None:
        for path, mode in (
            (self.store, 0o755),
            (os.path.join(self.store, "private"), 0o700),
            (os.path.join(self.store, "public"), 0o755),
            (_images(self.store), 0o755),
            (self.directory, 0o755),
        ):
            if not os.path.isdir(path):
                os.makedirs(path)
                os.chmod(path, mode)


def image_names(store: str) -> list[str]:
    """The images of a store; none when the store does not exist yet."""
    directory = _images(store)
    return sorted(name for name in _list(directory) if IMAGE_NAME.fullmatch(name) and os.path.isdir(os.path.join(directory, name)))


def describe(image: Image) -> dict[str, t.Any]:
    """One image with all its manifests, newest first."""
    return {"name": image.name, "current": image.current(), "versions": [image.manifest(version) for version in image.versions()]}


def next_version(now: datetime.datetime, sha256: str, newest: str | None) -> str:
    """Name a version so that it sorts after `newest`, also when the clock was set back."""
    time = now.strftime(_TIME)
    if newest is not None and time <= newest.partition("-")[0]:
        time = (datetime.datetime.strptime(newest.partition("-")[0], _TIME) + datetime.timedelta(seconds=1)).strftime(_TIME)
    return f"{time}-{sha256[:12]}"


def created(version: str) -> str:
    """The time in a version's name in ISO 8601."""
    return datetime.datetime.strptime(version.partition("-")[0], _TIME).strftime("%Y-%m-%dT%H:%M:%SZ")


def render_manifest(manifest: Manifest) -> bytes:
    return (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def complete(directory: str, manifest: Manifest, squashfs_sha256: str) -> None:
    """Add the sizes and the hash of the squashfs file to `manifest`, and write it to `directory`."""
    files = manifest["files"]
    files[SQUASHFS] = {"sha256": squashfs_sha256}
    for name, file in files.items():
        file["size"] = os.stat(os.path.join(directory, name)).st_size
    with open(os.path.join(directory, MANIFEST), "xb") as stream:
        stream.write(render_manifest(manifest))
    for name in (*files, MANIFEST):
        os.chmod(os.path.join(directory, name), 0o644)


def is_same(manifest: Manifest, wanted: Manifest) -> bool:
    """Tell whether a version equals the result of a build from `wanted`. An input digest that is not given is not compared."""
    keys = ["fingerprint", "compression", "kernel_release"] + ["input_digest"] * (wanted["input_digest"] is not None)
    files = manifest["files"]
    return all(manifest[key] == wanted[key] for key in keys) and all(files[name]["sha256"] == file["sha256"] for name, file in wanted["files"].items())


def check_space(directory: str, tree_size: int) -> None:
    """Fail before the build when space is too short: an image is seldom larger than half of its tree."""
    needed = tree_size // 2
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise FilesError(
            f"{directory} has {free >> 20} MiB free, the image takes about {needed >> 20} MiB: make room, for example by removing versions that no node needs"
        )


def summary(manifest: Manifest | None, other: Manifest | None) -> dict[str, t.Any]:
    """Reduce `manifest` to the keys of a diff, and its packages to those that differ from `other`."""
    if manifest is None:
        return {}
    others = (other or {}).get("packages", {})
    shown = {key: manifest.get(key) for key in ("version", "input_digest", "kernel_release", "fingerprint", "compression")}
    shown["files"] = {name: file["sha256"] for name, file in manifest["files"].items() if name in (KERNEL, INITRD)}
    shown["packages"] = {name: version for name, version in manifest["packages"].items() if others.get(name) != version}
    return shown


def _images(store: str) -> str:
    return os.path.join(store, "public", "images")


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
