# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in the store: names, versions, manifest, boot.cfg, and what a tree says of its kernel and packages."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import shutil
import stat
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._files import FilesError, fsync_path
from ansible_collections.serverfarm.ltsp.plugins.module_utils._tree import hash_file, open_inside

Manifest = t.Dict[str, t.Any]

SCHEMA = 1
CURRENT = "current"
SQUASHFS, KERNEL, INITRD, BOOT_CFG, MANIFEST = "root.squashfs", "vmlinuz", "initrd.img", "boot.cfg", "manifest.json"

IMAGE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
IMAGE_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
_TIME = "%Y%m%dT%H%M%SZ"
_SET_ASIDE = re.compile(r"\.(old|bak|dpkg-\w+)$")


class Kernel(t.NamedTuple):
    """The kernel of a tree and its initrd; the files' paths are relative to the tree."""

    release: str
    files: dict[str, str]
    sha256: dict[str, str]


class Store:
    """Where one image lies in the store."""

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
        """Is every file of the version there, in its size?"""
        directory = self.version_path(manifest["version"])
        try:
            return all(os.stat(os.path.join(directory, name)).st_size == file["size"] for name, file in manifest["files"].items())
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


def describe(image: Store) -> dict[str, t.Any]:
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


def render_boot_cfg(manifest: Manifest) -> bytes:
    """What the loader sources: the paths and the hashes of this version, so that all that a node boots is of one version."""
    name, version, verity = manifest["name"], manifest["version"], manifest["verity"]
    path = f"/images/{name}/{version}"
    arguments = (
        f"ltsp.image={name}/{version}",
        f"ltsp.sha256={manifest['files'][SQUASHFS]['sha256']}",
        f"ltsp.verity={verity['root_hash']}",
        f"ltsp.verity_offset={verity['offset']}",
    )
    values = {
        "image": name,
        "version": version,
        "kernel": f"{path}/{KERNEL}",
        "initrd": f"{path}/{INITRD}",
        "squashfs": f"{path}/{SQUASHFS}",
        "export": f"{name}-{version}",
        "arguments": " ".join(arguments),
    }
    return "".join(f'set ltsp_{key}="{value}"\n' for key, value in values.items()).encode()


def newest_kernel(tree: str) -> Kernel:
    """The newest kernel in TREE/boot with its initrd."""
    boot = os.path.join(tree, "boot")
    try:
        descriptor = open_inside(tree, "boot")
    except FileNotFoundError as error:
        raise FilesError(f"{boot} is missing: {tree} is not a tree with a kernel") from error
    try:
        names = os.listdir(descriptor)
    finally:
        os.close(descriptor)
    releases = [name[len("vmlinuz-") :] for name in names if name.startswith("vmlinuz-") and not _SET_ASIDE.search(name)]
    if not releases:
        raise FilesError(f"{boot} holds no vmlinuz-*: install a kernel in the tree, for example linux-image-amd64")
    release = max(releases, key=_release_key)
    if f"initrd.img-{release}" not in names:
        raise FilesError(f"{boot}/initrd.img-{release} is missing: install initramfs-tools in the tree and run 'update-initramfs -c -k {release}' there")
    files = {KERNEL: f"boot/vmlinuz-{release}", INITRD: f"boot/initrd.img-{release}"}
    return Kernel(release, files, {name: _hash_inside(tree, path) for name, path in files.items()})


def copy_kernel(tree: str, kernel: Kernel, target: str) -> None:
    """Copy kernel and initrd to the directory `target`."""
    for name, path in kernel.files.items():
        goal = os.open(os.path.join(target, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            if _hash_inside(tree, path, goal) != kernel.sha256[name]:
                raise FilesError(f"{os.path.join(tree, path)} was changed while it was copied: run again when nothing works on the tree")
        finally:
            os.close(goal)


def complete(directory: str, manifest: Manifest, squashfs_sha256: str) -> None:
    """Add the remaining files of a version to `directory` and their sizes and hashes to `manifest`."""
    files = manifest["files"]
    files[SQUASHFS] = {"sha256": squashfs_sha256}
    boot_cfg = render_boot_cfg(manifest)
    files[BOOT_CFG] = {"sha256": hashlib.sha256(boot_cfg).hexdigest()}
    _write(os.path.join(directory, BOOT_CFG), boot_cfg)
    for name, file in files.items():
        file["size"] = os.stat(os.path.join(directory, name)).st_size
    _write(os.path.join(directory, MANIFEST), render_manifest(manifest))
    for name in (*files, MANIFEST):
        os.chmod(os.path.join(directory, name), 0o644)


def installed_packages(tree: str) -> dict[str, str]:
    """Names and versions of the installed packages, from dpkg's own list; a package of a foreign architecture is NAME:ARCHITECTURE."""
    try:
        descriptor = open_inside(tree, "var/lib/dpkg/status")
    except FileNotFoundError:
        return {}
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
        return parse_packages(stream.read())


def parse_packages(status: str) -> dict[str, str]:
    """Parse the text of dpkg's status file."""
    stanzas = [dict(re.findall(r"^(Package|Status|Version|Architecture): *(.*)$", stanza, re.MULTILINE)) for stanza in status.split("\n\n")]
    installed = [stanza for stanza in stanzas if stanza.get("Status", "").endswith(" installed")]
    native = next((stanza["Architecture"] for stanza in installed if stanza["Package"] == "dpkg"), None)
    packages = {}
    for stanza in installed:
        architecture = stanza.get("Architecture")
        suffix = "" if native is None or architecture in (native, "all") else f":{architecture}"
        packages[stanza["Package"] + suffix] = stanza["Version"]
    return packages


def is_same(manifest: Manifest, wanted: Manifest) -> bool:
    """Is a version what a build from `wanted` would give? An input digest that is not given is not compared."""
    keys = ["fingerprint", "compression", "kernel_release"] + ["input_digest"] * (wanted["input_digest"] is not None)
    files = manifest["files"]
    return all(manifest[key] == wanted[key] for key in keys) and all(files[name]["sha256"] == file["sha256"] for name, file in wanted["files"].items())


def check_space(directory: str, tree_size: int) -> None:
    """Refuse early what cannot succeed: an image is seldom larger than half of its tree."""
    needed = tree_size // 2
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise FilesError(
            f"{directory} has {free >> 20} MiB free, the image takes about {needed >> 20} MiB: make room, for example by removing versions that no node needs"
        )


def summary(manifest: Manifest | None, other: Manifest | None) -> dict[str, t.Any]:
    """What an operator wants to see of `manifest` in a diff: of the packages only those that are not as in `other`."""
    if manifest is None:
        return {}
    others = (other or {}).get("packages", {})
    shown = {key: manifest.get(key) for key in ("version", "input_digest", "kernel_release", "fingerprint", "compression")}
    shown["files"] = {name: file["sha256"] for name, file in manifest["files"].items() if name in (KERNEL, INITRD)}
    shown["packages"] = {name: version for name, version in manifest["packages"].items() if others.get(name) != version}
    return shown


def _write(path: str, data: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(data)


def _images(store: str) -> str:
    return os.path.join(store, "public", "images")


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _hash_inside(tree: str, path: str, copy_to: int | None = None) -> str:
    descriptor = open_inside(tree, path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
            raise FilesError(f"{os.path.join(tree, path)} is empty or not a regular file: make it again in the tree")
        return hash_file(descriptor, copy_to)
    finally:
        os.close(descriptor)


def _release_key(release: str) -> list[tuple[tuple[int, ...], int]]:
    """Sort kernel releases as dpkg sorts versions; a release candidate comes before its release."""
    parts = re.findall(r"(\D*)(\d*)", release.replace("-rc", "~rc"))
    return [((*map(_character_key, text), 0), int(number or 0)) for text, number in parts]


def _character_key(character: str) -> int:
    """Tildes first, then the end or the hyphen before what is not part of the version, letters, and all else."""
    if character in "~-":
        return -1 if character == "~" else 0
    return ord(character) if character.isalpha() else ord(character) + 0x110000
