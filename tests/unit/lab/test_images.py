# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images that need no registry."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import shutil
import tarfile
import typing as t

import pytest

from ltsp_lab.images import container_images

if t.TYPE_CHECKING:
    from conftest import Commands, Mirror

    from ltsp_lab.settings import Settings


def read_image(path: pathlib.Path) -> tuple[dict[str, t.Any], dict[str, t.Any], dict[str, tarfile.TarInfo]]:
    with tarfile.open(path) as archive:

        def content(name: str) -> bytes:
            member = archive.extractfile(name)
            assert member
            return member.read()

        (manifest,) = json.loads(content("manifest.json"))
        config = json.loads(content(manifest["Config"]))
        (layer,) = manifest["Layers"]
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(content(layer)).hexdigest()}"]
        with tarfile.open(fileobj=io.BytesIO(content(layer))) as tree:
            return manifest, config, {member.name: member for member in tree}


@pytest.fixture
def machine(commands: Commands, packages_are_there: None, mirror: Mirror) -> Commands:
    """A machine whose mirror has the busybox of this one, which need not have a compiler."""
    busybox = shutil.which("busybox")
    if not busybox or not shutil.which("apt-get"):
        pytest.skip("needs busybox and apt-get")
    mirror.publish("stable", "busybox-static", "1", {"usr/bin/busybox": pathlib.Path(busybox).read_bytes()})
    if not shutil.which("gcc"):
        commands.add("gcc", 'while [ "$1" != -o ]; do shift; done; cp "$3" "$2"')
    return commands


def test_container_images_are_made_once_and_the_same_again(machine: Commands, mirror: Mirror, settings: Settings) -> None:
    directory = container_images(settings)
    manifest, config, tree = read_image(directory / "pause.tar")
    assert manifest["RepoTags"] == ["localhost/pause:1"]
    assert config["config"]["Cmd"] == ["/pause"]
    assert tree["pause"].mode == 0o755
    manifest, config, tree = read_image(directory / "busybox.tar")
    assert manifest["RepoTags"] == ["localhost/busybox:1"]
    assert config["config"]["Cmd"] == ["/bin/sh"]
    assert tree["bin/busybox"].mode == 0o755
    assert tree["bin/sh"].linkname == "busybox"
    assert {(member.uid, member.gid, member.mtime) for member in tree.values()} == {(0, 0, 0)}
    calls, requests = machine.calls(), list(mirror.site.requests)
    assert container_images(settings) == directory
    assert (machine.calls(), mirror.site.requests) == (calls, requests)
    first = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert set(first) == {"pause.tar", "busybox.tar"}
    shutil.rmtree(directory)
    assert {path.name: path.read_bytes() for path in container_images(settings).iterdir()} == first
