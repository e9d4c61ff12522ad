# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.modules import ltsp_boot_versions

MANIFEST = (pathlib.Path(__file__).parents[2] / "manifest_0.3.0.json").read_bytes()
VERSION = json.loads(MANIFEST)["version"]


def run(store: pathlib.Path, **arguments: t.Any) -> dict[str, t.Any]:
    """Run the module as Ansible does: in a process of its own, arguments on its standard input."""
    parameters = json.dumps({"ANSIBLE_MODULE_ARGS": {"store": str(store), **arguments}})
    process = subprocess.run([sys.executable, ltsp_boot_versions.__file__], input=parameters, capture_output=True, text=True, check=False)
    assert process.stdout, process.stderr
    result: dict[str, t.Any] = json.loads(process.stdout)
    return result


def add_version(store: pathlib.Path) -> pathlib.Path:
    directory = store / "public/images/node" / VERSION
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_bytes(MANIFEST)
    return directory


def test_files_are_written_once(tmp_path: pathlib.Path) -> None:
    path = add_version(tmp_path) / "boot.cfg"
    checked = run(tmp_path, _ansible_check_mode=True, _ansible_diff=True)
    assert (checked["changed"], checked["written"], checked["diff"]) == (True, [str(path)], {"prepared": f"{path}\n"})
    assert not path.exists()
    assert not (tmp_path / "private").exists()

    first = run(tmp_path)
    assert (first["changed"], first["written"]) == (True, [str(path)])
    assert path.exists()
    assert (tmp_path / "private/locks/image-node.lock").exists()

    second = run(tmp_path)
    assert (second["changed"], second["written"]) == (False, [])


def test_a_store_that_does_not_exist_has_no_versions(tmp_path: pathlib.Path) -> None:
    result = run(tmp_path / "missing")
    assert (result["changed"], result["written"]) == (False, [])


def test_a_broken_manifest_is_named(tmp_path: pathlib.Path) -> None:
    path = add_version(tmp_path) / "manifest.json"
    path.write_text("{", encoding="utf-8")
    result = run(tmp_path)
    assert result["failed"]
    assert f"{path} is broken" in result["msg"]
