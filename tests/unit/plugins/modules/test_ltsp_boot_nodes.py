# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.serverfarm.ltsp.plugins.modules import ltsp_boot_nodes

NODE = {"name": "node1", "macs": ["52:54:00:77:00:01"], "ip": "10.77.0.11", "server": "ltsp-1", "server_address": "10.77.0.1", "image": "node"}
DEFAULT = {"image": "node"}
FILES = ["52-54-00-77-00-01.cfg", "52-54-00-77-00-01.json"]


def run(path: pathlib.Path, nodes: list[dict[str, t.Any]], **arguments: t.Any) -> dict[str, t.Any]:
    """Run the module as Ansible does: in a process of its own, arguments on its standard input."""
    parameters = {"path": str(path), "nodes": nodes, **arguments}
    process = subprocess.run(
        [sys.executable, ltsp_boot_nodes.__file__], input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}), capture_output=True, text=True, check=False
    )
    assert process.stdout, process.stderr
    result: dict[str, t.Any] = json.loads(process.stdout)
    return result


def names(path: pathlib.Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "nodes"
    path.mkdir()
    return path


def test_files_come_stay_and_go_with_their_nodes(directory: pathlib.Path) -> None:
    first = run(directory, [NODE], default=DEFAULT)
    assert (first["changed"], first["written"], first["removed"]) == (True, [*FILES, "default.cfg", "default.json"], [])
    assert names(directory) == first["written"]
    assert {(directory / name).stat().st_mode & 0o777 for name in first["written"]} == {0o644}

    inodes = {name: (directory / name).stat().st_ino for name in names(directory)}
    second = run(directory, [NODE], default=DEFAULT)
    assert (second["changed"], second["written"], second["removed"]) == (False, [], [])
    assert inodes == {name: (directory / name).stat().st_ino for name in names(directory)}

    (directory / "notes.txt").write_text("of the operator", encoding="utf-8")
    third = run(directory, [])
    assert (third["changed"], third["written"], third["removed"]) == (True, [], [*FILES, "default.cfg", "default.json"])
    assert names(directory) == ["notes.txt"]


def test_unknown_machines_may_have_a_server(directory: pathlib.Path) -> None:
    run(directory, [], default={**DEFAULT, "server_address": "10.77.0.1"})
    assert json.loads((directory / "default.json").read_text(encoding="utf-8"))["server"] == "10.77.0.1"
    run(directory, [], default=DEFAULT)
    assert json.loads((directory / "default.json").read_text(encoding="utf-8"))["server"] is None


def test_a_check_shows_the_change_and_makes_none(directory: pathlib.Path) -> None:
    run(directory, [NODE])
    before = {name: (directory / name).read_bytes() for name in names(directory)}
    result = run(directory, [{**NODE, "ram": False}], _ansible_check_mode=True, _ansible_diff=True)
    assert (result["changed"], result["written"]) == (True, FILES)
    script, description = result["diff"]
    assert script["after_header"] == str(directory / FILES[0])
    assert "ltsp.ram=1" in script["before"]
    assert "ltsp.ram=1" not in script["after"]
    assert '"ram": false' in description["after"]
    assert before == {name: (directory / name).read_bytes() for name in names(directory)}


def test_the_diff_of_many_files_is_cut(directory: pathlib.Path) -> None:
    nodes = [{**NODE, "name": f"node{i}", "macs": [f"52:54:00:77:00:{i:02x}"]} for i in range(50)]
    diff = run(directory, nodes, _ansible_diff=True)["diff"]
    assert len(diff) == ltsp_boot_nodes.SHOWN_FILES + 1
    assert diff[-1]["prepared"] == f"... and {100 - ltsp_boot_nodes.SHOWN_FILES} more files in {directory}\n"


def test_a_check_works_before_the_directory_exists(tmp_path: pathlib.Path) -> None:
    result = run(tmp_path / "missing", [NODE], _ansible_check_mode=True)
    assert (result["changed"], result["written"]) == (True, FILES)
    assert names(tmp_path) == []


def test_a_missing_directory_is_said_with_the_remedy(tmp_path: pathlib.Path) -> None:
    result = run(tmp_path / "missing", [NODE])
    assert result["failed"]
    assert result["msg"] == f"the directory {tmp_path / 'missing'} does not exist: make it first"


def test_what_is_refused_leaves_everything_as_it_was(directory: pathlib.Path) -> None:
    run(directory, [NODE])
    for arguments, message in (
        ({"nodes": [{**NODE, "kernel_args": ["a b"]}]}, "GRUB cannot be given 'a b'"),
        ({"nodes": [{**NODE, "image": "gpu"}], "images": [], "server": "ltsp-1"}, "node node1: image gpu on server ltsp-1 does not exist"),
    ):
        result = run(directory, **arguments)
        assert result["failed"]
        assert message in result["msg"]
    assert names(directory) == FILES


def test_values_that_came_as_text_are_what_they_mean(directory: pathlib.Path) -> None:
    run(directory, [{**NODE, "ram": "no", "transports": "nbd,http"}], ports={"http": "8080"})
    description = json.loads((directory / FILES[1]).read_text(encoding="utf-8"))
    assert (description["ram"], description["transports"], description["http_port"]) == (False, ["nbd", "http"], 8080)
    assert description["nbd_port"] == 10809


def test_a_former_option_sets_its_port_with_a_warning(directory: pathlib.Path) -> None:
    result = run(directory, [NODE], nbd_port=10810)
    assert "nbd_port" in json.dumps(result["deprecations"])
    description = json.loads((directory / FILES[1]).read_text(encoding="utf-8"))
    assert (description["http_port"], description["nbd_port"]) == (80, 10810)


def test_a_port_of_an_unknown_transport_is_refused(directory: pathlib.Path) -> None:
    assert "ports.tftp" in run(directory, [NODE], ports={"tftp": 69})["msg"]
