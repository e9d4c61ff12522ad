# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import hashlib
import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import update_version_files, version_files
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import Image, is_same, render_manifest

# Written by release 0.3.0.
MANIFEST: dict[str, t.Any] = json.loads((pathlib.Path(__file__).parents[2] / "manifest_0.3.0.json").read_text(encoding="utf-8"))
VERSION = MANIFEST["version"]


def add_version(image: Image, manifest: dict[str, t.Any]) -> pathlib.Path:
    """A version without its loader files."""
    directory = pathlib.Path(image.version_path(manifest["version"]))
    directory.mkdir(parents=True)
    for name in ("root.squashfs", "vmlinuz", "initrd.img"):
        (directory / name).touch()
        os.truncate(directory / name, manifest["files"][name]["size"])
    (directory / "manifest.json").write_bytes(render_manifest(manifest))
    return directory


@pytest.fixture
def image(tmp_path: pathlib.Path) -> Image:
    return Image(str(tmp_path / "store"), "node")


def test_the_file_of_a_version_for_grub() -> None:
    arguments = (
        f"ltsp.image=node/{VERSION} ltsp.sha256={MANIFEST['files']['root.squashfs']['sha256']}"
        f" ltsp.verity={MANIFEST['verity']['root_hash']} ltsp.verity_offset=4096"
    )
    assert version_files(MANIFEST)["boot.cfg"].decode().splitlines() == [
        'set ltsp_image="node"',
        f'set ltsp_version="{VERSION}"',
        f'set ltsp_kernel="/images/node/{VERSION}/vmlinuz"',
        f'set ltsp_initrd="/images/node/{VERSION}/initrd.img"',
        f'set ltsp_squashfs="/images/node/{VERSION}/root.squashfs"',
        f'set ltsp_export="node-{VERSION}"',
        f'set ltsp_arguments="{arguments}"',
    ]


def test_a_version_of_0_3_0_gets_the_same_boot_cfg_again() -> None:
    content = version_files(MANIFEST)["boot.cfg"]
    assert {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} == MANIFEST["files"]["boot.cfg"]


def test_a_version_of_0_3_0_is_whole_with_and_without_its_boot_cfg(image: Image) -> None:
    directory = add_version(image, MANIFEST)
    assert image.manifest(VERSION) == MANIFEST
    assert image.is_whole(MANIFEST)
    (directory / "boot.cfg").write_text("of a later release", encoding="utf-8")
    assert image.is_whole(MANIFEST)
    os.truncate(directory / "vmlinuz", 1)
    assert not image.is_whole(MANIFEST)


def test_a_version_of_0_3_0_is_not_built_again() -> None:
    wanted = copy.deepcopy(MANIFEST)
    wanted["files"] = {name: {"sha256": MANIFEST["files"][name]["sha256"]} for name in ("vmlinuz", "initrd.img")}
    assert is_same(MANIFEST, wanted)


def test_versions_get_the_loader_files_that_they_lack(image: Image) -> None:
    directory = add_version(image, MANIFEST)
    path = str(directory / "boot.cfg")
    assert update_version_files(image, dry=True) == [path]
    assert not (directory / "boot.cfg").exists()
    assert update_version_files(image, dry=False) == [path]
    assert (directory / "boot.cfg").read_bytes() == version_files(MANIFEST)["boot.cfg"]
    assert (directory / "boot.cfg").stat().st_mode & 0o777 == 0o644
    assert sorted(entry.name for entry in directory.iterdir()) == ["boot.cfg", "initrd.img", "manifest.json", "root.squashfs", "vmlinuz"]
    assert [entry.name for entry in directory.parent.iterdir()] == [VERSION]

    inode = (directory / "boot.cfg").stat().st_ino
    assert update_version_files(image, dry=False) == []
    assert (directory / "boot.cfg").stat().st_ino == inode


def test_a_damaged_loader_file_is_repaired(image: Image) -> None:
    directory = add_version(image, MANIFEST)
    (directory / "boot.cfg").write_text("half", encoding="utf-8")
    assert update_version_files(image, dry=False) == [str(directory / "boot.cfg")]
    assert (directory / "boot.cfg").read_bytes() == version_files(MANIFEST)["boot.cfg"]


def test_leftovers_of_an_interrupted_run_are_removed(image: Image) -> None:
    directory = add_version(image, MANIFEST)
    leftover = directory.parent / f".{VERSION}.abcd1234.tmp"
    leftover.mkdir()
    update_version_files(image, dry=False)
    assert not leftover.exists()


def test_a_manifest_without_hashes_is_an_error_with_the_remedy(image: Image) -> None:
    add_version(image, {key: value for key, value in MANIFEST.items() if key != "verity"})
    with pytest.raises(FilesError, match=f"the manifest of node/{VERSION} has no 'verity': remove the version, or put its manifest back"):
        update_version_files(image, dry=False)
