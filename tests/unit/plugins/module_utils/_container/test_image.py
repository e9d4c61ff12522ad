# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import tarfile
import typing as t

import pytest
from container_samples import DIGEST, layer

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container import tar
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.image import Image, archive, assemble, check_ports, is_same
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.layers import Layer, Measure, measure_layer
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.registry import ContainerError, check_tag
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError


def image(*layers: Layer, **settings: t.Any) -> Image:
    return assemble([(item, measure_layer(item)) for item in layers], settings, "amd64")


def test_the_same_content_gives_the_same_bits(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    (copy / "program").write_bytes(b"x" * 1500)
    (copy / "program").chmod(0o4755)
    os.link(copy / "program", copy / "same")
    (copy / "link").symlink_to("etc/name")
    (copy / "etc").mkdir()
    (copy / "etc" / "name").write_text("content", encoding="utf-8")
    (copy / "etc" / "name").chmod(0o640)
    os.utime(copy / "etc" / "name", (1, 1))
    assert image(layer(tree)).id == image(layer(copy)).id
    (copy / "etc" / "name").write_text("CONTENT", encoding="utf-8")
    assert image(layer(tree)).id != image(layer(copy)).id


def test_the_bits_are_those_of_every_version() -> None:
    """A digest that stands here was pushed somewhere: when this fails, every image in the field changes."""
    data = b"".join(tar.header(name, b"0", 0o644, size=3) for name in (b"name", b"n" * 120))
    assert hashlib.sha256(data).hexdigest() == "31025c4ea0cad598381a21351fec73b8f853e4a8b2d47b2d3aa5b53e441f90fd"
    made = assemble([(Layer("/x", "", [], 0, "c"), Measure(DIGEST, 1))], {"User": "1"}, "amd64")
    assert made.id == "sha256:4fc5900235af4b1d1b0d763d28b88e53eac0d794b2b3434ffb5c2161f38f68a1"


def test_the_configuration_says_what_the_image_is(tree: pathlib.Path) -> None:
    made = image(layer(tree), layer(tree, time="2026-11-21T00:00:00Z", comment="newer"), User="65532", Entrypoint=["/x"], Labels={})
    config = json.loads(made.config)
    assert config["config"] == {"User": "65532", "Entrypoint": ["/x"]}
    assert (config["created"], config["os"], config["architecture"]) == ("2026-11-21T00:00:00Z", "linux", "amd64")
    assert [entry["comment"] for entry in config["history"]] == ["test", "newer"]
    assert config["rootfs"] == {"type": "layers", "diff_ids": made.diff_ids}
    assert made.id == f"sha256:{hashlib.sha256(made.config).hexdigest()}"
    assert made.size == sum(measure.size for _layer, measure in made.layers)


def test_the_archive_is_one_that_engines_load(tree: pathlib.Path) -> None:
    made = image(layer(tree), layer(tree, dest="/again"), layer(tree))
    data = b"".join(archive(made, "registry.example.org/a:1"))
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        contents = {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]
    [manifest] = json.loads(contents["manifest.json"])
    assert manifest["RepoTags"] == ["registry.example.org/a:1"]
    assert contents[manifest["Config"]] == made.config
    assert [f"sha256:{hashlib.sha256(contents[name]).hexdigest()}" for name in manifest["Layers"]] == made.diff_ids
    # The first and the last are one.
    assert len(contents) == 4


def test_a_directory_that_changes_on_the_way_is_noticed(tree: pathlib.Path) -> None:
    made = image(layer(tree))
    (tree / "etc" / "name").write_text("CONTENT", encoding="utf-8")
    with pytest.raises(FilesError, match="was changed after it was measured"):
        list(archive(made, "registry.example.org/a:1"))
    with (tree / "etc" / "name").open("a", encoding="utf-8") as stream:
        stream.write("x" * 5000)
    with pytest.raises(FilesError, match="was changed after it was measured"):
        list(archive(made, "registry.example.org/a:1"))


def test_an_image_is_known_by_its_identity_or_by_all_that_makes_it(tree: pathlib.Path) -> None:
    made = image(layer(tree), User="65532", ExposedPorts={"80/tcp": {}})
    config = {"User": "65532", "ExposedPorts": {"80/tcp": {}}, "Env": ["PATH=/bin"]}
    assert is_same(made, {"Id": made.id})
    assert is_same(made, {"Id": DIGEST, "RootFS": {"Layers": made.diff_ids}, "Config": config})
    assert not is_same(made, {"Id": DIGEST, "RootFS": {"Layers": made.diff_ids}, "Config": {**config, "User": ""}})
    assert not is_same(made, {"Id": DIGEST, "RootFS": {"Layers": [DIGEST]}, "Config": config})
    assert not is_same(made, {"Id": DIGEST, "RootFS": {}, "Config": None})


def test_values_that_cannot_be_are_refused(tmp_path: pathlib.Path) -> None:
    for tag in ("", "a b", "-a", "a" * 129):
        with pytest.raises(ContainerError, match="is not a tag"):
            check_tag(tag)
    for port in ("80", "0/tcp", "65536/tcp", "80/sctp"):
        with pytest.raises(ContainerError, match="is not a port"):
            check_ports([port])
    for changes in ({"src": "relative"}, {"dest": "relative"}, {"dest": "/a/../b"}):
        with pytest.raises(ContainerError, match="is not an absolute path"):
            layer(tmp_path, **changes)
    with pytest.raises(ContainerError, match="is not a time in UTC"):
        layer(tmp_path, time="yesterday")
    with pytest.raises(FilesError, match="is no directory: make it first"):
        measure_layer(layer(tmp_path / "missing"))
