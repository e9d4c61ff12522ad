# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from samples import BOOT_SERVER, NODE

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import BootError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import boot_files
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.loader import Loader
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.loaders import LOADERS
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import OWNED
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import LtsConfError
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes import config_maps, server

SETTINGS = server.Settings(**{**BOOT_SERVER, "image": "registry.example.org/ltsp@sha256:0", "subnets": []})
SECTIONS = [{"name": "default", "parameters": {"RCFILE_10_TIME": "echo time"}}]
VERSION = "20261120T223000Z-0123456789ab"


def node(number: int = 1, **changes: t.Any) -> dict[str, t.Any]:
    return {
        **NODE,
        "name": f"node{number}",
        "macs": [f"52:54:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"],
        "ip": f"10.9.{number >> 8}.{number & 255}",
        "server": "kube-1",
        "server_address": "10.9.0.3",
        "lts_conf": {},
        **changes,
    }


DEFAULT = {key: value for key, value in node(server_address=None).items() if key not in ("name", "macs", "ip", "server", "lts_conf")}


def data(nodes: list[dict[str, t.Any]], **more: t.Any) -> dict[str, dict[str, str]]:
    maps = config_maps.config_maps(SETTINGS, nodes, lts_conf=SECTIONS, **more).manifests
    assert {manifest["kind"] for manifest in maps} == {"ConfigMap"}
    return {manifest["metadata"]["name"]: manifest["data"] for manifest in maps}


def all_files(nodes: list[dict[str, t.Any]], **more: t.Any) -> dict[str, str]:
    files: dict[str, str] = {}
    for part in data(nodes, **more).values():
        assert not files.keys() & part.keys()
        files.update(part)
    return files


def test_the_files_are_those_of_a_boot_server_with_a_disk() -> None:
    nodes = [node(1, lts_conf={"RCFILE_20_HELLO": "echo 'hello'"}), node(2, macs=["52:54:00:00:00:02", "52:54:00:00:00:12"])]
    expected = {name: content.decode() for name, content in boot_files(nodes, DEFAULT, {"http": 80, "nbd": 10809}).items()}
    expected.update(
        {
            "lts.conf": OWNED + '\n[default]\nRCFILE_10_TIME = "echo time"\n',
            "join.url": "https://10.9.0.2:10808/v1/join\n",
            "52-54-00-00-00-01.conf": '[default]\nRCFILE_10_TIME="echo time"\nRCFILE_20_HELLO="echo \'hello\'"\n',
            "52-54-00-00-00-02.conf": '[default]\nRCFILE_10_TIME="echo time"\n',
            "52-54-00-00-00-12.conf": '[default]\nRCFILE_10_TIME="echo time"\n',
        }
    )
    assert all_files(nodes, default=DEFAULT, files={"join.url": "https://10.9.0.2:10808/v1/join\n"}) == expected


def test_unknown_machines_see_no_section_of_a_node() -> None:
    assert "secret" not in data([node(lts_conf={"RCFILE_20_TOKEN": "secret"})])["ltsp-common"]["lts.conf"]


def test_without_a_default_unknown_machines_do_not_boot() -> None:
    assert sorted(data([node()])["ltsp-common"]) == ["lts.conf"]
    assert sorted(data([node()], default=DEFAULT)["ltsp-common"]) == ["default.cfg", "default.json", "lts.conf"]
    assert json.loads(data([], default=DEFAULT)["ltsp-common"]["default.json"])["server"] is None


def test_the_files_of_every_boot_loader_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOADERS, "crank", Loader(".crank", lambda description: f"start {description.label}", "boot.crank", lambda _version: "", ()))
    files = all_files([node()], default=DEFAULT)
    assert (files["52-54-00-00-00-01.crank"], files["default.crank"]) == ("start node1", "start unknown machines")


def test_the_files_of_a_node_are_together() -> None:
    [_common, files] = data([node(macs=["52:54:00:00:00:01", "52:54:00:00:00:02"])]).values()
    assert sorted(files) == [f"52-54-00-00-00-0{number}.{suffix}" for number in (1, 2) for suffix in ("cfg", "conf", "json")]


@pytest.fixture(scope="module")
def farm() -> list[dict[str, t.Any]]:
    return [node(number, lts_conf={"RCFILE_20_NUMBER": f"echo {number}"}) for number in range(5000)]


def changed(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def test_a_change_of_one_of_5000_nodes_changes_one_object(farm: list[dict[str, t.Any]]) -> None:
    before = data(farm)
    assert changed(before, data(list(reversed(farm)))) == []
    other = [*farm[:77], node(77, lts_conf={"RCFILE_20_NUMBER": "echo other"}), *farm[78:]]
    assert changed(before, data(other)) == [f"ltsp-nodes-{config_maps.shard_of('node77'):02x}"]
    assert changed(before, data([*farm[:77], *farm[78:]])) == [f"ltsp-nodes-{config_maps.shard_of('node77'):02x}"]
    assert changed(before, data([*farm, node(5000)])) == [f"ltsp-nodes-{config_maps.shard_of('node5000'):02x}"]


def test_5000_nodes_fill_their_objects_by_a_fifth_at_most(farm: list[dict[str, t.Any]]) -> None:
    sizes = {name: sum(len(value) for value in files.values()) for name, files in data(farm).items()}
    assert len(sizes) == server.SHARDS + 1
    assert max(sizes.values()) < config_maps.LIMIT / 5


def test_every_config_map_is_one_that_the_pods_name() -> None:
    names = {server.common_name(SETTINGS.name), *server.config_map_names(SETTINGS.name)}
    assert set(data([node(number) for number in range(500)])) == names


def test_an_object_that_would_be_too_large_is_named() -> None:
    with pytest.raises(
        server.ServerError,
        match=r"ConfigMap ltsp-nodes-[0-9a-f]{2} would have 1[0-9]{6} bytes and may have 1048576; its largest file is 52-54-00-00-00-01\.conf with .*: make",
    ):
        data([node(lts_conf={"RCFILE_20_LONG": "x" * config_maps.LIMIT})])


def test_what_the_writers_of_files_refuse_is_refused() -> None:
    with pytest.raises(LtsConfError, match=r"section \[node1\], RCFILE_20_X: a value is one line"):
        data([node(lts_conf={"RCFILE_20_X": "a\nb"})])
    with pytest.raises(LtsConfError, match="LIKE goes round in a circle"):
        data([node(lts_conf={"LIKE": "node1"})])
    with pytest.raises(BootError, match="GRUB cannot be given 'a b'"):
        data([node(kernel_args=["a b"])])


def test_what_is_hardly_meant_is_said() -> None:
    assert config_maps.config_maps(SETTINGS, [node(lts_conf={"RCFIEL_20_X": "y"})]).advice.splitlines()[0] == "lts.conf:"
    assert not config_maps.config_maps(SETTINGS, [node(lts_conf={"OWN": "y"})], own_parameters=["own"]).advice


IMAGES = [{"name": "node", "current": VERSION, "versions": [VERSION]}]


def test_nodes_whose_image_is_in_the_container_are_fine() -> None:
    config_maps.refuse_missing_images(SETTINGS, [node(), node(2, image_version=VERSION), node(3, server="ltsp-1", image="other")], DEFAULT, IMAGES)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node(image="gpu")], "node node1: image gpu on server kube-1 does not exist"),
        ([node(2, server="kube-2", image_version="20261121T000000Z-0123456789ab")], "node node2: image node on server kube-2 has no version 20261121T"),
    ],
)
def test_nodes_whose_image_is_not_in_the_container_are_named(nodes: list[dict[str, t.Any]], message: str) -> None:
    with pytest.raises(server.ServerError, match=message):
        config_maps.refuse_missing_images(SETTINGS, nodes, None, IMAGES)
