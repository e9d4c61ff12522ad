# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import os
import stat
import types

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils import _image
from ansible_collections.serverfarm.ltsp.plugins.module_utils._files import FilesError

OLD, NEW = "20261120T223000Z-0123456789ab", "20261120T223100Z-ba9876543210"
MANIFEST = {
    "schema": 1,
    "name": "node",
    "version": OLD,
    "created": "2026-11-20T22:30:00Z",
    "input_digest": None,
    "files": {
        "root.squashfs": {"size": 3, "sha256": "aa"},
        "vmlinuz": {"size": 6, "sha256": "bb"},
        "initrd.img": {"size": 6, "sha256": "cc"},
    },
    "compression": {"algorithm": "zstd", "level": 6, "block_size": 131072},
    "kernel_release": "6.12.1-amd64",
    "packages": {"bash": "5.2", "dash": "0.5"},
    "fingerprint": "ff",
    "verity": {"root_hash": "dd", "offset": 4096},
}


def add_version(image, version, **changes):
    directory = image.version_path(version)
    os.makedirs(directory)
    manifest = {**copy.deepcopy(MANIFEST), "version": version, **changes}
    for name, file in manifest["files"].items():
        with open(os.path.join(directory, name), "wb") as stream:
            stream.write(b"x" * file["size"])
    with open(os.path.join(directory, "manifest.json"), "wb") as stream:
        stream.write(_image.render_manifest(manifest))
    return manifest


@pytest.fixture
def image(tmp_path):
    return _image.Store(str(tmp_path / "store"), "node")


@pytest.mark.parametrize("name", ["node", "k8s-1.36_b", "0"])
def test_image_names(name):
    assert _image.Store("/srv/ltsp", name).directory == f"/srv/ltsp/public/images/{name}"


@pytest.mark.parametrize("name", ["", "current", "Node", ".hidden", "-x", "a/b", "..", "a b", 'a"', "a\n", "näme"])
def test_names_that_would_hurt_in_a_path_or_a_script_are_refused(name):
    with pytest.raises(FilesError, match="is no image name"):
        _image.Store("/srv/ltsp", name)


def test_versions_are_listed_newest_first(image):
    for version in (OLD, NEW):
        add_version(image, version)
    os.makedirs(image.version_path(".build.abc.tmp"))
    os.makedirs(image.version_path("notes"))
    assert image.versions() == [NEW, OLD]
    assert _image.image_names(image.store) == ["node"]


def test_a_missing_store_is_empty(image):
    assert _image.image_names(image.store) == []
    assert image.versions() == []
    assert image.current() is None


def test_describe(image):
    old, new = add_version(image, OLD), add_version(image, NEW)
    image.activate(OLD)
    assert _image.describe(image) == {"name": "node", "current": OLD, "versions": [new, old]}


def test_current_that_names_nothing_is_none(image):
    add_version(image, OLD)
    os.symlink(NEW, image.current_link)
    assert image.current() is None


def test_current_that_is_no_link_is_an_error(image):
    os.makedirs(image.current_link)
    with pytest.raises(FilesError, match="/current is not a symbolic link: move it away"):
        image.current()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "is broken"), (b"\xff", "is broken"), (b"[]", "schema 1"), (b'{"schema": 2}', "schema 1"), (None, "cannot be read")],
)
def test_a_broken_manifest_is_named(image, content, message):
    add_version(image, OLD)
    path = os.path.join(image.version_path(OLD), "manifest.json")
    if content is None:
        os.unlink(path)
    else:
        with open(path, "wb") as stream:
            stream.write(content)
    with pytest.raises(FilesError, match=message) as caught:
        image.manifest(OLD)
    assert path in str(caught.value)
    assert image.version_path(OLD) in str(caught.value).replace(path, "")


def test_a_version_is_whole_when_all_files_have_their_size(image):
    manifest = add_version(image, OLD)
    assert image.is_whole(manifest)
    squashfs = os.path.join(image.version_path(OLD), "root.squashfs")
    os.truncate(squashfs, 2)
    assert not image.is_whole(manifest)
    os.unlink(squashfs)
    assert not image.is_whole(manifest)


def test_activation_is_a_relative_link(image):
    add_version(image, OLD)
    image.activate(OLD)
    assert os.readlink(image.current_link) == OLD
    add_version(image, NEW)
    image.activate(NEW)
    assert image.current() == NEW
    assert image.interrupted_activation() is None


def test_an_activation_that_was_cut_off_after_the_version_appeared_is_known(image):
    add_version(image, OLD)
    image.activate(OLD)

    def power_cut():
        add_version(image, NEW)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        image.activate(NEW, power_cut)
    assert image.current() == OLD
    assert image.interrupted_activation() == NEW
    image.activate(NEW)
    assert image.current() == NEW
    assert image.interrupted_activation() is None


def test_an_activation_that_was_cut_off_before_the_version_appeared_is_void(image):
    add_version(image, OLD)

    def power_cut():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        image.activate(NEW, power_cut)
    assert image.interrupted_activation() is None
    image.activate(OLD)
    assert image.current() == OLD


def test_the_private_part_stays_private(image):
    image.make_directories()
    assert stat.S_IMODE(os.stat(os.path.join(image.store, "private")).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(image.directory).st_mode) == 0o755
    os.chmod(os.path.join(image.store, "public"), 0o750)
    image.make_directories()
    assert stat.S_IMODE(os.stat(os.path.join(image.store, "public")).st_mode) == 0o750


@pytest.mark.parametrize(
    ("newest", "version"),
    [
        (None, "20261120T223000Z-0123456789ab"),
        ("20261120T222959Z-ffffffffffff", "20261120T223000Z-0123456789ab"),
        ("20261120T223000Z-ffffffffffff", "20261120T223001Z-0123456789ab"),
        ("20261231T235959Z-ffffffffffff", "20270101T000000Z-0123456789ab"),
    ],
)
def test_a_new_version_sorts_last_also_when_the_clock_was_set_back(newest, version):
    now = datetime.datetime(2026, 11, 20, 22, 30, tzinfo=datetime.timezone.utc)
    assert _image.next_version(now, "0123456789abcdef", newest) == version


def test_created_is_the_time_of_the_version():
    assert _image.created(OLD) == "2026-11-20T22:30:00Z"


def test_a_manifest_is_rendered_the_same_way_every_time():
    backwards = dict(reversed(list(MANIFEST.items())))
    text = _image.render_manifest(MANIFEST)
    assert _image.render_manifest(backwards) == text
    assert json.loads(text) == MANIFEST
    assert text.startswith(b'{\n  "compression": {\n    "algorithm"') and text.endswith(b"}\n")


def test_boot_cfg():
    assert _image.render_boot_cfg(MANIFEST).decode().splitlines() == [
        'set ltsp_image="node"',
        f'set ltsp_version="{OLD}"',
        f'set ltsp_kernel="/images/node/{OLD}/vmlinuz"',
        f'set ltsp_initrd="/images/node/{OLD}/initrd.img"',
        f'set ltsp_squashfs="/images/node/{OLD}/root.squashfs"',
        f'set ltsp_export="node-{OLD}"',
        f'set ltsp_arguments="ltsp.image=node/{OLD} ltsp.sha256=aa ltsp.verity=dd ltsp.verity_offset=4096"',
    ]


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
    kernel = _image.newest_kernel(make_boot(tmp_path, *reversed(names), f"vmlinuz-{releases[-1]}.old", "vmlinuz-9.dpkg-new", "vmlinuz.old"))
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
        _image.newest_kernel(make_boot(tmp_path, *names))


def test_a_tree_without_boot(tmp_path):
    with pytest.raises(FilesError, match="boot is missing"):
        _image.newest_kernel(str(tmp_path))


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
        _image.newest_kernel(tree)


def test_kernel_and_initrd_are_copied_as_they_were_compared(tmp_path):
    tree = make_boot(tmp_path, "vmlinuz-1", "initrd.img-1")
    kernel = _image.newest_kernel(tree)
    (tmp_path / "one").mkdir()
    _image.copy_kernel(tree, kernel, str(tmp_path / "one"))
    assert {entry.name: entry.read_text() for entry in (tmp_path / "one").iterdir()} == {"vmlinuz": "vmlinuz-1", "initrd.img": "initrd.img-1"}
    (tmp_path / "boot" / "initrd.img-1").write_text("initrd.img-2")
    (tmp_path / "two").mkdir()
    with pytest.raises(FilesError, match=r"boot/initrd\.img-1 was changed"):
        _image.copy_kernel(tree, kernel, str(tmp_path / "two"))


def test_complete_adds_what_is_left(tmp_path):
    for name in ("root.squashfs", "vmlinuz", "initrd.img"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o600)
    manifest = copy.deepcopy(MANIFEST)
    manifest["files"] = {"vmlinuz": {"sha256": "bb"}, "initrd.img": {"sha256": "cc"}}
    _image.complete(str(tmp_path), manifest, "aa")
    assert json.loads((tmp_path / "manifest.json").read_text()) == manifest
    boot_cfg = (tmp_path / "boot.cfg").read_bytes()
    assert boot_cfg == _image.render_boot_cfg(manifest)
    assert manifest["files"]["boot.cfg"] == {"sha256": hashlib.sha256(boot_cfg).hexdigest(), "size": len(boot_cfg)}
    assert manifest["files"]["root.squashfs"] == {"sha256": "aa", "size": 13}
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()} == {0o644}


STATUS = """\
Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.22.22
Description: Debian package management system
 Version: of a description

Package: libc6
Status: hold ok installed
Architecture: amd64
Version: 2.41-12+deb13u4

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.41-12+deb13u4

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2026a

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install reinstreq half-installed
Architecture: amd64
Version: 1
"""


def test_packages_are_the_installed_ones():
    assert _image.parse_packages(STATUS) == {"dpkg": "1.22.22", "libc6": "2.41-12+deb13u4", "libc6:i386": "2.41-12+deb13u4", "tzdata": "2026a"}


def test_packages_of_a_tree(tmp_path):
    assert _image.installed_packages(str(tmp_path)) == {}
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    assert len(_image.installed_packages(str(tmp_path))) == 4


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"fingerprint": "00"}, False),
        ({"compression": {"algorithm": "zstd", "level": 7, "block_size": 131072}}, False),
        ({"kernel_release": "6.12.2-amd64"}, False),
        ({"files": {"vmlinuz": {"sha256": "bb"}, "initrd.img": {"sha256": "00"}}}, False),
        ({"input_digest": "1"}, False),
        ({"packages": {}}, True),
    ],
)
def test_what_makes_a_new_version(changes, same):
    wanted = {**MANIFEST, "files": {"vmlinuz": {"sha256": "bb"}, "initrd.img": {"sha256": "cc"}}, **changes}
    assert _image.is_same(MANIFEST, wanted) is same


def test_an_input_digest_that_is_not_given_is_not_compared():
    assert _image.is_same({**MANIFEST, "input_digest": "1"}, MANIFEST)


def test_too_little_space_is_said_in_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(_image.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=100 << 20))
    _image.check_space(str(tmp_path), 200 << 20)
    with pytest.raises(FilesError, match="has 100 MiB free, the image takes about 101 MiB: make room"):
        _image.check_space(str(tmp_path), 202 << 20)


def test_a_summary_shows_the_packages_that_differ():
    new = {**MANIFEST, "version": NEW, "packages": {"bash": "5.3", "dash": "0.5", "zsh": "5.9"}}
    assert _image.summary(MANIFEST, new)["packages"] == {"bash": "5.2"}
    assert _image.summary(new, MANIFEST)["packages"] == {"bash": "5.3", "zsh": "5.9"}
    assert _image.summary(None, new) == {}
    assert _image.summary(new, None)["packages"] == new["packages"]
