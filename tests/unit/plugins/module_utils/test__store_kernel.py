# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import kernel as _kernel
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError


def make_boot(tree, *names):
    (tree / "boot").mkdir()
    for name in names:
        (tree / "boot" / name).write_text(name)
    return str(tree)


@pytest.mark.parametrize(
    "releases",
    [
        ["6.1.0-9-amd64", "6.1.0-10-amd64"],
        ["6.12.9+deb13-cloud-amd64", "6.12.117+deb13-cloud-amd64"],
        ["6.12-rc7-amd64", "6.12-amd64"],
        ["6.12", "6.12.1"],
        ["5.15.0-100-generic", "6.8.0-9-generic"],
        ["6.12.1-amd64", "6.12.1+bpo-amd64"],
    ],
)
def test_the_newest_kernel_counts(tmp_path, releases):
    names = [f"{kind}-{release}" for release in releases for kind in ("vmlinuz", "initrd.img")]
    kernel = _kernel.newest_kernel(make_boot(tmp_path, *reversed(names), f"vmlinuz-{releases[-1]}.old", "vmlinuz-9.dpkg-new", "vmlinuz.old"))
    assert kernel.release == releases[-1]
    assert kernel.files == {"vmlinuz": f"boot/vmlinuz-{releases[-1]}", "initrd.img": f"boot/initrd.img-{releases[-1]}"}
    assert kernel.sha256["vmlinuz"] == hashlib.sha256(f"vmlinuz-{releases[-1]}".encode()).hexdigest()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no vmlinuz-.*: install a kernel"),
        (["vmlinuz"], "holds no vmlinuz-"),
        (["vmlinuz-1", "vmlinuz-2", "initrd.img-1"], "initrd.img-2 is missing: install initramfs-tools in the tree and run 'update-initramfs -c -k 2'"),
    ],
)
def test_a_tree_that_cannot_boot_says_what_to_do(tmp_path, names, message):
    with pytest.raises(FilesError, match=message):
        _kernel.newest_kernel(make_boot(tmp_path, *names))


def test_a_tree_without_boot(tmp_path):
    with pytest.raises(FilesError, match="boot is missing"):
        _kernel.newest_kernel(str(tmp_path))


@pytest.mark.parametrize("broken", ["empty", "link", "directory"])
def test_a_kernel_has_to_be_a_file_with_content(tmp_path, broken):
    tree = make_boot(tmp_path, "vmlinuz-1", "initrd.img-1")
    initrd = tmp_path / "boot" / "initrd.img-1"
    initrd.unlink()
    if broken == "empty":
        initrd.write_text("")
    elif broken == "link":
        initrd.symlink_to("/etc/passwd")
    else:
        initrd.mkdir()
    with pytest.raises(FilesError, match=r"initrd\.img-1"):
        _kernel.newest_kernel(tree)


def test_kernel_and_initrd_are_copied_as_they_were_compared(tmp_path):
    tree = make_boot(tmp_path, "vmlinuz-1", "initrd.img-1")
    kernel = _kernel.newest_kernel(tree)
    (tmp_path / "one").mkdir()
    _kernel.copy_kernel(tree, kernel, str(tmp_path / "one"))
    assert {entry.name: entry.read_text() for entry in (tmp_path / "one").iterdir()} == {"vmlinuz": "vmlinuz-1", "initrd.img": "initrd.img-1"}
    (tmp_path / "boot" / "initrd.img-1").write_text("initrd.img-2")
    (tmp_path / "two").mkdir()
    with pytest.raises(FilesError, match=r"boot/initrd\.img-1 was changed"):
        _kernel.copy_kernel(tree, kernel, str(tmp_path / "two"))
