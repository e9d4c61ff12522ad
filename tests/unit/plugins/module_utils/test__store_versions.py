# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import datetime
import json
import os
import stat
import types

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import versions
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError

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
        stream.write(versions.render_manifest(manifest))
    return manifest


@pytest.fixture
def image(tmp_path):
    return versions.Image(str(tmp_path / "store"), "node")


@pytest.mark.parametrize("name", ["node", "k8s-1.36_b", "0"])
def test_image_names(name):
    assert versions.Image("/srv/ltsp", name).directory == f"/srv/ltsp/public/images/{name}"


@pytest.mark.parametrize("name", ["", "current", "Node", ".hidden", "-x", "a/b", "..", "a b", 'a"', "a\n", "näme"])
def test_names_that_would_hurt_in_a_path_or_a_script_are_refused(name):
    with pytest.raises(FilesError, match="is no image name"):
        versions.Image("/srv/ltsp", name)


def test_versions_are_listed_newest_first(image):
    for version in (OLD, NEW):
        add_version(image, version)
    os.makedirs(image.version_path(".build.abc.tmp"))
    os.makedirs(image.version_path("notes"))
    assert image.versions() == [NEW, OLD]
    assert versions.image_names(image.store) == ["node"]


def test_a_missing_store_is_empty(image):
    assert versions.image_names(image.store) == []
    assert image.versions() == []
    assert image.current() is None


def test_describe(image):
    old, new = add_version(image, OLD), add_version(image, NEW)
    image.activate(OLD)
    assert versions.describe(image) == {"name": "node", "current": OLD, "versions": [new, old]}


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
    assert versions.next_version(now, "0123456789abcdef", newest) == version


def test_created_is_the_time_of_the_version():
    assert versions.created(OLD) == "2026-11-20T22:30:00Z"


def test_a_manifest_is_rendered_the_same_way_every_time():
    backwards = dict(reversed(list(MANIFEST.items())))
    text = versions.render_manifest(MANIFEST)
    assert versions.render_manifest(backwards) == text
    assert json.loads(text) == MANIFEST
    assert text.startswith(b'{\n  "compression": {\n    "algorithm"') and text.endswith(b"}\n")


def test_complete_adds_the_sizes_and_the_manifest(tmp_path):
    for name in ("root.squashfs", "vmlinuz", "initrd.img"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o600)
    manifest = copy.deepcopy(MANIFEST)
    manifest["files"] = {"vmlinuz": {"sha256": "bb"}, "initrd.img": {"sha256": "cc"}}
    versions.complete(str(tmp_path), manifest, "aa")
    assert json.loads((tmp_path / "manifest.json").read_text()) == manifest
    assert sorted(manifest["files"]) == ["initrd.img", "root.squashfs", "vmlinuz"]
    assert manifest["files"]["root.squashfs"] == {"sha256": "aa", "size": 13}
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()} == {0o644}


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
    assert versions.is_same(MANIFEST, wanted) is same


def test_an_input_digest_that_is_not_given_is_not_compared():
    assert versions.is_same({**MANIFEST, "input_digest": "1"}, MANIFEST)


def test_too_little_space_is_said_in_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(versions.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=100 << 20))
    versions.check_space(str(tmp_path), 200 << 20)
    with pytest.raises(FilesError, match="has 100 MiB free, the image takes about 101 MiB: make room"):
        versions.check_space(str(tmp_path), 202 << 20)


def test_a_summary_shows_the_packages_that_differ():
    new = {**MANIFEST, "version": NEW, "packages": {"bash": "5.3", "dash": "0.5", "zsh": "5.9"}}
    assert versions.summary(MANIFEST, new)["packages"] == {"bash": "5.2"}
    assert versions.summary(new, MANIFEST)["packages"] == {"bash": "5.3", "zsh": "5.9"}
    assert versions.summary(None, new) == {}
    assert versions.summary(new, None)["packages"] == new["packages"]
