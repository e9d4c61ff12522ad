# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A transport and a boot loader that exist only here: everything that must know one follows its row in the table, or a check misses it by name."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml
from samples import NODE

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import BootError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import boot_files, suffixes, update_version_files
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.loader import BootFile, Loader
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.loaders import LOADERS
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import Image
from ansible_collections.serverfarm.ltsp.plugins.module_utils._transports import DEFAULT_TRANSPORTS, TRANSPORTS, Transport, offered_ports, port_options
from ansible_collections.serverfarm.ltsp.plugins.modules import ltsp_boot_nodes, ltsp_boot_versions
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._nodes import describe_nodes
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._services import SERVICES
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._variables import InventoryError

ROOT = pathlib.Path(__file__).parents[3]
MANIFEST: dict[str, t.Any] = json.loads((ROOT / "tests/unit/manifest_0.3.0.json").read_text(encoding="utf-8"))
HOSTVARS = {"node1": {"ltsp_node_macs": NODE["macs"], "ltsp_node_ip": NODE["ip"]}, "ltsp-1": {"ansible_host": "10.77.0.1"}}


# --- the words that tables are compared with


def transport_gaps() -> list[str]:
    """Return the places that disagree with the table of transports."""
    options = yaml.safe_load(ltsp_boot_nodes.DOCUMENTATION)["options"]
    transports = {place: options[place]["suboptions"]["transports"] for place in ("nodes", "default")}
    ram = " ".join(options["nodes"]["suboptions"]["ram"]["description"].split())
    role = yaml.safe_load((ROOT / "roles/ltsp_server/meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    runtime = sorted(path.stem for path in (ROOT / "roles/ltsp_image/files/runtime/usr/lib/ltsp/transports").glob("*.sh"))
    ports = {name: {key: option[key] for key in ("type", "default") if key in option} for name, option in options["ports"]["suboptions"].items()}
    gaps = {
        **{f"choices of {place}": documented["choices"] == list(TRANSPORTS) for place, documented in transports.items()},
        **{f"defaults of {place}": documented["default"] == list(DEFAULT_TRANSPORTS) for place, documented in transports.items()},
        "the ports of the module": ports == port_options(),
        "the documentation of ram": re.findall(r"V\((\w+)\)", ram) == [name for name, row in TRANSPORTS.items() if row.always_in_ram],
        "the runtime": runtime == sorted(TRANSPORTS),
    }
    for name in TRANSPORTS:
        gaps[f"the daemon of {name}"] = name in SERVICES
        gaps[f"ltsp_server_{name}_port"] = f"ltsp_server_{name}_port" in role["main"]["options"]
    return [place for place, agrees in gaps.items() if not agrees]


def loader_gaps() -> list[str]:
    """Return the places that do not mention the files of a boot loader."""
    dhcp = (ROOT / "roles/isc_dhcp/defaults/main.yml").read_text(encoding="utf-8")
    gaps = {}
    for name, loader in LOADERS.items():
        gaps[f"{name}: ltsp_boot_nodes"] = f"{loader.node_suffix})" in ltsp_boot_nodes.DOCUMENTATION
        gaps[f"{name}: ltsp_boot_versions"] = f"C({loader.version_file})" in ltsp_boot_versions.DOCUMENTATION
        gaps[f"{name}: docs/store.md"] = f"| `{loader.version_file}` |" in (ROOT / "docs/store.md").read_text(encoding="utf-8")
        gaps[f"{name}: isc_dhcp"] = all(word in dhcp for file in loader.boot_files for word in (file.filename, *file.architectures))
    return [place for place, agrees in gaps.items() if not agrees]


def test_the_documentation_agrees_with_the_tables() -> None:
    assert transport_gaps() == []
    assert loader_gaps() == []


# --- a transport


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third transport, which no server offers unasked."""
    monkeypatch.setitem(TRANSPORTS, "pigeon", Transport(scheme="pigeon", port=1149, path="/{export}/x", always_in_ram=True))


@pytest.mark.usefixtures("carrier")
def test_a_new_transport_is_a_choice_and_no_default() -> None:
    specification = ltsp_boot_nodes.argument_spec()
    for place in ("nodes", "default"):
        transports = specification[place]["options"]["transports"]
        assert (transports["choices"], transports["default"]) == (["http", "nbd", "pigeon"], ["http", "nbd"])
    assert specification["ports"]["options"]["pigeon"] == {"type": "int"}
    assert describe_nodes(HOSTVARS, ["node1"], ["ltsp-1"])[0]["transports"] == ["http", "nbd"]


@pytest.mark.usefixtures("carrier")
def test_the_inventory_may_name_a_new_transport() -> None:
    hostvars = {**HOSTVARS, "node1": {**HOSTVARS["node1"], "ltsp_node_transports": ["pigeon", "http"]}}
    assert describe_nodes(hostvars, ["node1"], ["ltsp-1"])[0]["transports"] == ["pigeon", "http"]
    hostvars["node1"]["ltsp_node_transports"] = ["raven"]
    with pytest.raises(InventoryError, match="'raven' is not a transport: use http or nbd or pigeon"):
        describe_nodes(hostvars, ["node1"], ["ltsp-1"])


@pytest.mark.usefixtures("carrier")
def test_a_new_transport_is_rendered_where_a_server_offers_it() -> None:
    node = {**NODE, "transports": ["pigeon", "http"]}
    with pytest.raises(BootError, match=r"node1: the boot servers do not offer the transport pigeon: use http or nbd, or set ports\.pigeon"):
        boot_files([node], None, offered_ports({"http": 80, "nbd": 10809, "pigeon": None}))
    files = boot_files([node], None, offered_ports({"http": 80, "nbd": 10809, "pigeon": 1150}))
    assert b"ltsp.root=pigeon://10.77.0.1:1150/${ltsp_export}/x,http://10.77.0.1${ltsp_squashfs} " in files["52-54-00-77-00-01.cfg"]
    assert json.loads(files["52-54-00-77-00-01.json"])["pigeon_port"] == 1150


def test_each_task_with_the_descriptions_of_nodes_says_what_the_server_offers() -> None:
    tasks = [task for path in sorted(ROOT.glob("roles/*/tasks/*.yml")) for task in yaml.safe_load(path.read_text(encoding="utf-8")) or []]
    options = [task["serverfarm.ltsp.ltsp_boot_nodes"] for task in tasks if "serverfarm.ltsp.ltsp_boot_nodes" in task]
    assert len(options) == 3
    assert [option.get("ports") for option in options] == ["{{ __ltsp_server_ports }}"] * 3


@pytest.mark.usefixtures("carrier")
def test_a_new_transport_changes_no_file_of_the_others() -> None:
    ports = {"http": 80, "nbd": 10809}
    with_it = boot_files([NODE], None, offered_ports(ports))
    del TRANSPORTS["pigeon"]
    assert with_it == boot_files([NODE], None, offered_ports(ports))


@pytest.mark.usefixtures("carrier")
def test_a_new_transport_is_missed_where_it_is_not_documented() -> None:
    assert transport_gaps() == [
        "choices of nodes",
        "choices of default",
        "the ports of the module",
        "the documentation of ram",
        "the runtime",
        "the daemon of pigeon",
        "ltsp_server_pigeon_port",
    ]


@pytest.mark.parametrize(("word", "most"), [("nbd", 14)])
def test_few_files_know_a_transport(word: str, most: int) -> None:
    """The files that know a transport are its row, its daemon's, those of its own, and those with a word of LTSP or of the documentation."""
    paths = [path for place in ("playbooks", "plugins", "roles") for path in (ROOT / place).rglob("*") if path.is_file()]
    sources = [path for path in paths if path.suffix != ".pyc" and path.name not in ("README.md", "argument_specs.yml")]
    knowing = sorted(str(path.relative_to(ROOT)) for path in sources if word.encode() in path.read_bytes().lower())
    assert 0 < len(knowing) <= most, knowing


# --- a boot loader


@pytest.fixture
def second_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader(
        node_suffix=".crank",
        render_node=lambda description: f"start {description.label} {description.authority('http', 'here')}\n",
        version_file="boot.crank",
        render_version=lambda version: f"load {version.kernel}\n",
        boot_files=(BootFile(("00:0b",), "boot/crank/arm64.efi"),),
    )
    monkeypatch.setitem(LOADERS, "crank", loader)


@pytest.mark.usefixtures("second_loader")
def test_a_new_loader_has_a_file_of_each_machine() -> None:
    files = boot_files([NODE], {**NODE, "server_address": None}, {"http": 80, "nbd": 10809})
    assert sorted(files) == [f"{name}.{suffix}" for name in ("52-54-00-77-00-01", "default") for suffix in ("cfg", "crank", "json")]
    assert files["52-54-00-77-00-01.crank"] == b"start node1 10.77.0.1\n"
    assert files["default.crank"] == b"start unknown machines here\n"
    assert suffixes() == (".json", ".cfg", ".crank")


@pytest.mark.usefixtures("second_loader")
def test_a_version_of_release_0_3_0_gets_the_file_of_a_new_loader(tmp_path: pathlib.Path) -> None:
    image = Image(str(tmp_path), "node")
    directory = pathlib.Path(image.version_path(MANIFEST["version"]))
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
    del LOADERS["crank"]
    update_version_files(image, dry=False)
    before = (directory / "boot.cfg").stat().st_ctime_ns

    LOADERS["crank"] = Loader(".crank", lambda _description: "", "boot.crank", lambda version: f"load {version.kernel}\n", ())
    assert update_version_files(image, dry=False) == [str(directory / "boot.crank")]
    assert (directory / "boot.crank").read_text(encoding="utf-8") == f"load /images/node/{MANIFEST['version']}/vmlinuz\n"
    assert (directory / "boot.cfg").stat().st_ctime_ns == before
    assert image.manifest(MANIFEST["version"]) == MANIFEST


@pytest.mark.usefixtures("second_loader")
def test_a_new_loader_is_missed_where_it_is_not_documented() -> None:
    assert loader_gaps() == [f"crank: {place}" for place in ("ltsp_boot_nodes", "ltsp_boot_versions", "docs/store.md", "isc_dhcp")]
