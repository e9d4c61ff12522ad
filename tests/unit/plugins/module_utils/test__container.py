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

from ansible_collections.serverfarm.ltsp.plugins.module_utils import _container
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import update_version_files
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import Image

DIGEST = "sha256:" + "a" * 64


def parameters(source: pathlib.Path, **changes: t.Any) -> dict[str, t.Any]:
    return {"src": str(source), "dest": "/", "exclude": [], "time": "2026-11-20T22:30:00Z", "comment": "test", **changes}


def layer(source: pathlib.Path, **changes: t.Any) -> _container.Layer:
    return _container.parse_layer(parameters(source, **changes))


def read(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


def members(source: pathlib.Path, **changes: t.Any) -> dict[str, tarfile.TarInfo]:
    return read(b"".join(_container.layer_archive(layer(source, **changes))))


def image(*layers: _container.Layer, **settings: t.Any) -> _container.Image:
    return _container.assemble([(item, _container.measure_layer(item)) for item in layers], settings, "amd64")


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "name").write_text("content", encoding="utf-8")
    (root / "etc" / "name").chmod(0o640)
    (root / "link").symlink_to("etc/name")
    (root / "program").write_bytes(b"x" * 1500)
    (root / "program").chmod(0o4755)
    os.link(root / "program", root / "same")
    root.chmod(0o700)
    return root


def test_a_layer_is_an_archive_of_what_is_there(tree: pathlib.Path) -> None:
    found = members(tree)
    assert list(found) == ["etc", "etc/name", "link", "program", "same"]
    assert (found["etc"].isdir(), found["etc/name"].mode, found["program"].mode) == (True, 0o640, 0o4755)
    assert (found["link"].issym(), found["link"].linkname) == (True, "etc/name")
    assert (found["same"].islnk(), found["same"].linkname) == (True, "program")
    assert {member.mtime for member in found.values()} == {1795213800}
    assert {(member.uid, member.gid) for member in found.values()} == {(os.getuid(), os.getgid())}
    with tarfile.open(fileobj=io.BytesIO(b"".join(_container.layer_archive(layer(tree))))) as archive:
        content = archive.extractfile("etc/name")
        assert content
        assert content.read() == b"content"


def test_a_layer_below_a_directory_brings_those_above_it(tree: pathlib.Path) -> None:
    found = members(tree, dest="/srv/ltsp", exclude=["etc", "program", "same"])
    assert list(found) == ["srv", "srv/ltsp", "srv/ltsp/link"]
    assert (found["srv"].mode, found["srv/ltsp"].mode) == (0o755, 0o700)


def test_what_is_excluded_stays_out(tree: pathlib.Path) -> None:
    assert list(members(tree, exclude=["etc/*", "[lp]*"])) == ["etc", "same"]


def test_names_of_any_length_and_letters_pass(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "tree"
    names = ["d" * 90 + "/" + "f" * 90, "ä", "a" * 100, "a" * 101]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")
    (root / "link").symlink_to("t" * 150)
    found = members(root)
    assert set(names) <= set(found)
    assert found["link"].linkname == "t" * 150


def test_numbers_that_octal_digits_cannot_say_pass() -> None:
    header = _container._header(b"big", b"0", 0o644, uid=3_000_000, gid=5, size=9 << 30, mtime=1)
    member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert (member.uid, member.gid, member.size, member.mtime) == (3_000_000, 5, 9 << 30, 1)


def test_what_no_archive_can_hold_is_refused(tree: pathlib.Path) -> None:
    os.mkfifo(tree / "pipe")
    with pytest.raises(FilesError, match=r"pipe is no file, directory or link.*exclude it"):
        members(tree)


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


def test_a_version_of_release_0_3_0_has_the_same_layer_when_its_loader_file_is_written_again(tmp_path: pathlib.Path) -> None:
    store = Image(str(tmp_path), "node")
    manifest = (pathlib.Path(__file__).parents[2] / "manifest_0.3.0.json").read_bytes()
    directory = pathlib.Path(store.version_path(json.loads(manifest)["version"]))
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_bytes(manifest)
    without = _container.measure_layer(layer(directory))
    update_version_files(store, dry=False)
    complete = _container.measure_layer(layer(directory))
    (directory / "boot.cfg").unlink()
    update_version_files(store, dry=False)
    assert complete == _container.measure_layer(layer(directory)) != without


def test_the_bits_are_those_of_every_version() -> None:
    """A digest that stands here was pushed somewhere: when this fails, every image in the field changes."""
    data = b"".join(_container._header(name, b"0", 0o644, size=3) for name in (b"name", b"n" * 120))
    assert hashlib.sha256(data).hexdigest() == "31025c4ea0cad598381a21351fec73b8f853e4a8b2d47b2d3aa5b53e441f90fd"
    made = _container.assemble([(_container.Layer("/x", "", [], 0, "c"), _container.Measure(DIGEST, 1))], {"User": "1"}, "amd64")
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
    data = b"".join(_container.archive(made, "registry.example.org/a:1"))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        contents = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
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
        list(_container.archive(made, "registry.example.org/a:1"))
    with (tree / "etc" / "name").open("a", encoding="utf-8") as stream:
        stream.write("x" * 5000)
    with pytest.raises(FilesError, match="was changed after it was measured"):
        list(_container.archive(made, "registry.example.org/a:1"))


def test_what_is_unchanged_is_not_read_again(tree: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "memory.json"
    memory = _container.Memory(str(path))
    measure = memory.measure(layer(tree))
    memory.save()
    assert path.stat().st_mode & 0o777 == 0o600
    with monkeypatch.context() as context:
        context.setattr(_container, "measure_layer", lambda _layer: pytest.fail("it was read"))
        again = _container.Memory(str(path))
        assert again.measure(layer(tree)) == measure
        before = path.stat().st_mtime_ns
        again.save()
        assert path.stat().st_mtime_ns == before
    # Size and time stamp stay, and still it is seen.
    status = (tree / "etc" / "name").stat()
    (tree / "etc" / "name").write_text("CONTENT", encoding="utf-8")
    os.utime(tree / "etc" / "name", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert _container.Memory(str(path)).measure(layer(tree)) != measure


@pytest.mark.parametrize("change", [{"dest": "/x"}, {"time": "2026-11-21T00:00:00Z"}, {"exclude": ["etc"]}])
def test_another_layer_of_the_same_directory_is_measured(tree: pathlib.Path, tmp_path: pathlib.Path, change: dict[str, t.Any]) -> None:
    memory = _container.Memory(str(tmp_path / "memory.json"))
    assert memory.measure(layer(tree)) != memory.measure(layer(tree, **change))


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 99}', "{"])
def test_a_memory_that_cannot_be_read_is_none(tree: pathlib.Path, tmp_path: pathlib.Path, content: str) -> None:
    path = tmp_path / "memory.json"
    path.write_text(content, encoding="utf-8")
    memory = _container.Memory(str(path))
    assert memory.measure(layer(tree)) == _container.measure_layer(layer(tree))
    memory.save()
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1


def test_a_memory_that_was_wrong_is_forgotten(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "memory.json"
    memory = _container.Memory(str(path))
    memory.measure(layer(tree))
    memory.save()
    memory.forget()
    assert json.loads(path.read_text(encoding="utf-8"))["layers"] == {}
    _container.Memory(None).forget()


def test_an_image_is_known_by_its_identity_or_by_all_that_makes_it(tree: pathlib.Path) -> None:
    made = image(layer(tree), User="65532", ExposedPorts={"80/tcp": {}})
    config = {"User": "65532", "ExposedPorts": {"80/tcp": {}}, "Env": ["PATH=/bin"]}
    assert _container.is_same(made, {"Id": made.id})
    assert _container.is_same(made, {"Id": DIGEST, "RootFS": {"Layers": made.diff_ids}, "Config": config})
    assert not _container.is_same(made, {"Id": DIGEST, "RootFS": {"Layers": made.diff_ids}, "Config": {**config, "User": ""}})
    assert not _container.is_same(made, {"Id": DIGEST, "RootFS": {"Layers": [DIGEST]}, "Config": config})
    assert not _container.is_same(made, {"Id": DIGEST, "RootFS": {}, "Config": None})


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("registry.example.org/farm/ltsp", "registry.example.org"),
        ("10.9.0.2:5000/ltsp", "10.9.0.2:5000"),
        ("localhost/ltsp", "localhost"),
        ("registry:5000/a_b/c-d.e", "registry:5000"),
    ],
)
def test_the_registry_is_the_first_part_of_the_name(name: str, host: str) -> None:
    assert _container.check_name(name) == host


@pytest.mark.parametrize(
    "name", ["ltsp", "farm/ltsp", "registry.example.org/", "registry.example.org/Ltsp", "registry.example.org/ltsp:1", "https://x.org/a", ""]
)
def test_a_name_without_registry_or_with_a_tag_is_refused(name: str) -> None:
    with pytest.raises(_container.ContainerError, match="is not REGISTRY/REPOSITORY"):
        _container.check_name(name)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("debian", "docker.io"),
        ("library/debian:13", "docker.io"),
        ("registry.example.org/base/debian:13-slim", "registry.example.org"),
        (f"registry.example.org:5000/debian@{DIGEST}", "registry.example.org:5000"),
    ],
)
def test_an_image_of_others_may_be_anywhere(name: str, host: str) -> None:
    assert _container.check_image(name) == host


@pytest.mark.parametrize("name", ["", "Debian", "debian:", "debian@sha256:12", "a b"])
def test_what_names_no_image_is_refused(name: str) -> None:
    with pytest.raises(_container.ContainerError, match="is no name of an image"):
        _container.check_image(name)


def test_values_that_cannot_be_are_refused(tmp_path: pathlib.Path) -> None:
    for tag in ("", "a b", "-a", "a" * 129):
        with pytest.raises(_container.ContainerError, match="is not a tag"):
            _container.check_tag(tag)
    for port in ("80", "0/tcp", "65536/tcp", "80/sctp"):
        with pytest.raises(_container.ContainerError, match="is not a port"):
            _container.check_ports([port])
    for changes in ({"src": "relative"}, {"dest": "relative"}, {"dest": "/a/../b"}):
        with pytest.raises(_container.ContainerError, match="is not an absolute path"):
            layer(tmp_path, **changes)
    with pytest.raises(_container.ContainerError, match="is not a time in UTC"):
        layer(tmp_path, time="yesterday")
    with pytest.raises(FilesError, match="is no directory: make it first"):
        _container.measure_layer(layer(tmp_path / "missing"))


def test_the_digest_of_a_push_is_the_engines_last_word() -> None:
    lines = [{"status": "Pushed"}, {"aux": {"Tag": "1", "Digest": DIGEST, "Size": 1}}]
    assert _container.pushed_digest(lines) == DIGEST
    with pytest.raises(_container.ContainerError, match="did not say which digest"):
        _container.pushed_digest(lines[:1])
    with pytest.raises(_container.ContainerError, match=r"^denied$"):
        _container.pushed_digest([{"error": "denied\n", "errorDetail": {}}])


@pytest.mark.parametrize(
    ("message", "username", "meaning"),
    [
        ("Get https://r/v2/: x509: certificate signed by unknown authority", "joe", "into /etc/docker/certs.d/r:5000/ca.crt on the engine's host"),
        ("tls: failed to verify certificate: x509: certificate is valid for a, not r", None, "has a certificate that the engine does not trust"),
        ("unauthorized: authentication required", "joe", "registry r:5000 refuses the user joe: correct username or password"),
        ("no basic auth credentials", None, "registry r:5000 asks for a user: give username and password"),
        ("denied: requested access to the resource is denied", "joe", "refuses the user joe"),
        ("login attempt to https://r/v2/ failed with status: 401 Unauthorized", "joe", "refuses the user joe"),
        ("dial tcp 10.9.0.2:5000: connect: connection refused", "joe", "registry r:5000 cannot be reached from the engine's host"),
        ("dial tcp: lookup r on 1.1.1.1:53: no such host", None, "cannot be reached"),
        ("net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)", None, "cannot be reached"),
        ("http: server gave HTTP response to HTTPS client", None, "registry r:5000 has no TLS"),
        ("blob upload invalid", None, "registry r:5000 (the engine says: blob upload invalid)"),
    ],
)
def test_what_an_engine_says_is_explained(message: str, username: str | None, meaning: str) -> None:
    explained = _container.explain(message, "r:5000", username)
    assert meaning in explained
    assert message in explained
