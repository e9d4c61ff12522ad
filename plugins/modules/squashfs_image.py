#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: squashfs_image
short_description: Turn an image tree into a version of an image in the store
version_added: 0.1.0
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Packs a directory tree with C(mksquashfs), appends its dm-verity hash tree with C(veritysetup), and puts the file into the store together
    with the tree's newest kernel, its initrd, a manifest and a file for each boot loader.
  - A version appears complete or not at all, also when the module is killed; the next run removes the leftovers of a killed one. Image, kernel, initrd and
    manifest of a version never change. The loaders' files are derived from the manifest. They are added to every version of the image that lacks them.
  - Nothing happens as long as the newest version was made from the same files in the same way. The files' content is compared, so that an edit is seen
    that kept size and time stamp, and a change of what O(exclude) names is not.
  - The same tree gives the same bits, whatever the number of processors.
options:
  path:
    description:
      - The tree, an absolute path. C(boot/) in it holds the kernel (C(vmlinuz-RELEASE), the newest one counts) and its C(initrd.img-RELEASE).
      - Symbolic links in it are packed, never followed. Nothing may be mounted inside it.
    type: path
    required: true
  name:
    description:
      - Name of the image. Lower-case letters, digits, V(.), V(_) and V(-); V(current) is taken.
    type: str
    required: true
  store:
    description:
      - The store. The version is made in C(public/images/NAME/), the lock is in C(private/locks/).
    type: path
    default: /srv/ltsp
  compression:
    description:
      - The algorithm. V(zstd) is fast both ways, V(xz) is the smallest and by far the slowest to read.
    type: str
    choices: [zstd, xz, lz4, gzip]
    default: zstd
  compression_level:
    description:
      - The level, V(1) to V(22) for V(zstd) (default V(6)), V(1) to V(9) for V(gzip) (default V(9)). V(xz) and V(lz4) have none.
    type: int
  block_size:
    description:
      - Bytes that are compressed as one, a power of two from V(4096) to V(1048576).
    type: int
    default: 131072
  exclude:
    description:
      - Patterns of paths that stay out of the image, relative to O(path) and without a slash at either end. They replace the default.
      - V(*), V(?) and V([...]) match inside one name, a leading dot too; V(**) as a whole component stands for any number of directories.
        What lies below an excluded directory is excluded with it.
      - C(DIR/*) empties a directory. C(DIR/**) at the end of a pattern takes everything below it except the directories, because services want to
        find C(/var/log/SERVICE) with its owner. Without C(/var/log/journal) the journal stays in C(/run), unless the node mounts or configures
        something else.
      - A directory from which a pattern may take something gets the newest time stamp of the other paths, because its own changes with excluded paths.
        One that lies below such a directory keeps its own.
    type: list
    elements: str
    default: [boot/*, dev/*, proc/*, run/*, sys/*, tmp/*, var/cache/apt/*, var/lib/apt/lists/*, var/log/**, var/log/journal, var/tmp/*]
  input_digest:
    description:
      - A digest of all that the tree was made from, which is recorded in the manifest.
        When it is given and differs from the recorded one, a new version is made.
    type: str
  activate:
    description:
      - Whether C(current) names the version that is made. A run that makes no version leaves C(current) alone, so that a rollback stays, unless there is none.
    type: bool
    default: true
attributes:
  check_mode:
    description: Fingerprints the tree and reports truthfully; as the version's name has the hash of its content, it is not known beforehand.
    support: full
  diff_mode:
    description: Shows version, kernel, fingerprint and compression, and the packages that come, go or change.
    support: full
  platform:
    support: full
    platforms: debian
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
requirements:
  - squashfs-tools 4.5 or newer (Debian 12, Ubuntu 22.04)
  - cryptsetup-bin
notes:
  - squashfs cannot hold POSIX ACLs. The module warns about paths that have them; file capabilities are kept.
seealso:
  - module: serverfarm.ltsp.squashfs_image_info
  - module: serverfarm.ltsp.ltsp_boot_versions
  - module: serverfarm.ltsp.ltsp_chroot
"""

EXAMPLES = r"""
- name: Publish the tree as the image "node" and let its nodes boot it
  serverfarm.ltsp.squashfs_image:
    path: /srv/ltsp/private/trees/node
    name: node

- name: Publish a small release without activating it
  serverfarm.ltsp.squashfs_image:
    path: /srv/ltsp/private/trees/node
    name: node
    compression: zstd
    compression_level: 15
    activate: false
  register: release

- name: Leave documentation out as well
  serverfarm.ltsp.squashfs_image:
    path: /srv/ltsp/private/trees/node
    name: node
    exclude:
      - boot/*
      - dev/*
      - proc/*
      - run/*
      - sys/*
      - tmp/*
      - usr/share/doc/*
      - usr/share/man/*
      - "**/__pycache__"
      - var/cache/apt/*
      - var/lib/apt/lists/*
      - var/log/**
      - var/log/journal
      - var/tmp/*
"""

RETURN = r"""
name:
  description: Name of the image.
  returned: success
  type: str
  sample: node
version:
  description: The newest version, which is the one made by this run if it made one. V(null) in check mode when one would be made.
  returned: success
  type: str
  sample: 20261120T223000Z-0123456789ab
path:
  description: Directory of that version.
  returned: success
  type: str
  sample: /srv/ltsp/public/images/node/20261120T223000Z-0123456789ab
current:
  description: The version that C(current) names after the run, V(null) when there is none, or in check mode when it would be a new one.
  returned: success
  type: str
  sample: 20261120T223000Z-0123456789ab
manifest:
  description:
    - The version's manifest. In check mode, when a version would be made, what is known of it.
  returned: success
  type: dict
  contains:
    schema:
      description: Version of the manifest's format.
      type: int
    name:
      description: Name of the image.
      type: str
    version:
      description: Name of the version.
      type: str
    created:
      description: Time of creation in ISO 8601, UTC.
      type: str
    input_digest:
      description: The value of O(input_digest).
      type: str
    files:
      description: Size and SHA-256 of image, kernel and initrd, by file name. Release 0.3.0 and older ones also list C(boot.cfg).
      type: dict
    compression:
      description: Algorithm, level and block size.
      type: dict
    kernel_release:
      description: Release of the kernel.
      type: str
    packages:
      description: Versions of the installed Debian packages, by name; V(NAME:ARCHITECTURE) for a foreign architecture.
      type: dict
    fingerprint:
      description: Digest of what was packed.
      type: str
    verity:
      description: Root hash, offset, salt, UUID, algorithm and block size of the dm-verity tree.
      type: dict
loader_files:
  description: Paths of the loaders' files that were added to existing versions or brought up to date, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: []
"""

import datetime
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import update_version_files, version_files
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Task, run_module
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import squashfs, tree, versions
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError, lock, publish, remove_leftovers, staging_directory, write_file
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.kernel import copy_kernel, newest_kernel
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.packages import installed_packages

_UNKNOWN = "(known when it is made)"
_SHOWN_PATHS = 5


class Build:
    """The build of a version from a tree."""

    def __init__(self, task: Task) -> None:
        parameters = task.params
        self.task = task
        self.tree = os.path.realpath(_absolute("path", parameters["path"]))
        self.image = versions.Image(_absolute("store", parameters["store"]), parameters["name"])
        self.compression = squashfs.check_compression(parameters["compression"], parameters["compression_level"], parameters["block_size"])
        self.excludes = tree.parse_excludes(parameters["exclude"])
        if self.tree == "/":
            raise FilesError("path: / is the running system, not an image tree")
        if not os.path.isdir(self.tree):
            raise FilesError(f"path: {self.tree} is no directory: make the tree first, for example with serverfarm.ltsp.ltsp_chroot")
        if os.path.realpath(self.image.store).startswith(self.tree + "/"):
            raise FilesError(f"store: {self.image.store} lies inside the tree {self.tree}: an image cannot hold itself")

    def run(self) -> dict[str, t.Any]:
        if self.task.check_mode:
            return self._run()
        self.image.make_directories()
        with lock(self.image.lock):
            remove_leftovers(self._staging_goal)
            return self._run()

    def _run(self) -> dict[str, t.Any]:
        image, activate, dry = self.image, self.task.params["activate"], self.task.check_mode
        before = image.current()
        loader_files = update_version_files(image, dry)
        newest = next((image.manifest(version) for version in image.versions()), None)
        self.kernel = newest_kernel(self.tree)
        self.walk = tree.walk(self.tree, self.excludes)
        self.fingerprint = tree.fingerprint(self.tree, self.walk.entries)
        wanted = self._wanted()

        current = (image.interrupted_activation() if activate else None) or before
        if newest is not None and versions.is_same(newest, wanted) and image.is_whole(newest):
            manifest = newest
            if activate:
                current = current or newest["version"]
            if current is not None and current != before and not dry:
                image.activate(current)
        else:
            manifest = wanted if dry else self._make(wanted, newest["version"] if newest else None)
            if activate:
                current = manifest["version"]

        made = manifest is not newest
        result = {
            "changed": made or current != before or bool(loader_files),
            "name": image.name,
            "version": manifest["version"],
            "path": image.version_path(manifest["version"]) if manifest["version"] else None,
            "current": current,
            "manifest": manifest,
            "loader_files": loader_files,
        }
        if self.task.diff:
            result["diff"] = {
                "before_header": f"{image.directory} (before)",
                "after_header": f"{image.directory} (after)",
                "before": {"current": before, **versions.summary(newest, manifest)},
                "after": {"current": _UNKNOWN if made and dry and activate else current, **versions.summary(manifest, newest)},
            }
            if made and dry:
                result["diff"]["after"]["version"] = _UNKNOWN
        return result

    @property
    def _staging_goal(self) -> str:
        return os.path.join(self.image.directory, "build")

    def _wanted(self) -> versions.Manifest:
        return {
            "schema": versions.SCHEMA,
            "name": self.image.name,
            "version": None,
            "input_digest": self.task.params["input_digest"],
            "files": {name: {"sha256": sha256} for name, sha256 in self.kernel.sha256.items()},
            "compression": self.compression._asdict(),
            "kernel_release": self.kernel.release,
            "packages": installed_packages(self.tree),
            "fingerprint": self.fingerprint.digest,
        }

    def _make(self, wanted: versions.Manifest, newest: str | None) -> versions.Manifest:
        image = self.image
        versions.check_space(image.directory, self.fingerprint.size)
        with staging_directory(self._staging_goal) as staged:
            target = os.path.join(staged, versions.SQUASHFS)
            for warning in squashfs.pack(self.tree, self.walk, self.fingerprint.newest, target, self.compression):
                self.task.warn(f"mksquashfs: {warning}")
            self._warn_unstored()
            touched = tree.first_difference(self.walk.entries, tree.walk(self.tree, self.excludes).entries)
            if touched is not None:
                raise FilesError(f"{os.path.join(self.tree, touched)} was touched while it was packed: run again when nothing works on the tree")
            verity, sha256 = squashfs.append_verity(target)
            copy_kernel(self.tree, self.kernel, staged)
            version = versions.next_version(datetime.datetime.now(datetime.timezone.utc), sha256, newest)
            manifest = {**wanted, "version": version, "created": versions.created(version), "verity": verity._asdict()}
            versions.complete(staged, manifest, sha256)
            for name, data in version_files(manifest).items():
                write_file(os.path.join(staged, name), data)

            def appear() -> None:
                publish(staged, image.version_path(version))

            if self.task.params["activate"]:
                image.activate(version, appear)
            else:
                appear()
        return manifest

    def _warn_unstored(self) -> None:
        paths = self.fingerprint.unstored
        if paths:
            shown = ", ".join(f"/{path}" for path in paths[:_SHOWN_PATHS]) + (", ..." if len(paths) > _SHOWN_PATHS else "")
            self.task.warn(f"{len(paths)} paths have attributes that squashfs cannot hold, such as POSIX ACLs; the image is without them: {shown}")


def _absolute(option: str, path: str) -> str:
    if not os.path.isabs(path):
        raise FilesError(f"{option}: {path!r} is not an absolute path")
    return os.path.normpath(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "store": {"type": "path", "default": "/srv/ltsp"},
            "compression": {"type": "str", "choices": list(squashfs.ALGORITHMS), "default": "zstd"},
            "compression_level": {"type": "int"},
            "block_size": {"type": "int", "default": 131072},
            "exclude": {
                "type": "list",
                "elements": "str",
                "default": [
                    "boot/*",
                    "dev/*",
                    "proc/*",
                    "run/*",
                    "sys/*",
                    "tmp/*",
                    "var/cache/apt/*",
                    "var/lib/apt/lists/*",
                    "var/log/**",
                    "var/log/journal",
                    "var/tmp/*",
                ],
            },
            "input_digest": {"type": "str"},
            "activate": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda task: Build(task).run())


if __name__ == "__main__":
    main()
