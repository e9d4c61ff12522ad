# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
import yaml

from ansible_collections.serverfarm.ltsp.plugins.modules import ltsp_boot_nodes
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils import _farm
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._variables import InventoryError

SMALL = {"ltsp_servers": ["ltsp-1", "ltsp-2"]}
MIXED = {"ltsp_servers": ["kube-1", "ltsp-1", "ltsp-2"], "ltsp_kubernetes_servers": ["kube-1"], "kube_control_plane": ["cp-1"]}
CLOUD = {"ltsp_builders": ["build-1", "build-2"], "ltsp_servers": ["kube-1", "kube-2"], "ltsp_kubernetes_servers": ["kube-1", "kube-2"]}
LARGE = {**MIXED, "ltsp_builders": ["build-1", "build-2"]}


@pytest.mark.parametrize(
    ("duty", "small", "mixed", "cloud", "large"),
    [
        ("builders", "ltsp-1", "ltsp-1", "build-1 build-2", "build-1 build-2"),
        ("servers", "ltsp-1 ltsp-2", "kube-1 ltsp-1 ltsp-2", "kube-1 kube-2", "kube-1 ltsp-1 ltsp-2"),
        ("managed_servers", "ltsp-1 ltsp-2", "ltsp-1 ltsp-2", "", "ltsp-1 ltsp-2"),
        ("kubernetes_servers", "", "kube-1", "kube-1 kube-2", "kube-1"),
        ("kubernetes_sources", "", "ltsp-1", "build-1", "build-1 ltsp-1"),
        ("reference_servers", "ltsp-1", "kube-1", "kube-1", "kube-1"),
        ("join_servers", "ltsp-1 ltsp-2", "ltsp-1 ltsp-2", "build-1 build-2", "ltsp-1 ltsp-2"),
        ("active_join_servers", "", "ltsp-1 ltsp-2", "", "ltsp-1 ltsp-2"),
        ("control_plane", "", "cp-1", "", "cp-1"),
    ],
)
def test_each_duty_has_its_hosts(duty: str, small: str, mixed: str, cloud: str, large: str) -> None:
    assert [" ".join(_farm.hosts_for(duty, groups)) for groups in (SMALL, MIXED, CLOUD, LARGE)] == [small, mixed, cloud, large]


@pytest.mark.parametrize("duty", _farm._DUTIES)
@pytest.mark.parametrize("empty", [{}, {"all": [], "ungrouped": []}, {"ltsp_servers": [], "ltsp_builders": [], "kube_control_plane": ["cp-1"]}])
def test_an_inventory_without_a_farm_has_no_hosts(duty: str, empty: dict[str, list[str]]) -> None:
    assert _farm.hosts_for(duty, empty) == (["cp-1"] if duty == "control_plane" and empty.get("kube_control_plane") else [])


def test_boot_servers_on_kubernetes_alone_have_no_builder_of_their_own() -> None:
    assert _farm.hosts_for("builders", {"ltsp_servers": ["kube-1"], "ltsp_kubernetes_servers": ["kube-1"]}) == []


def test_an_unknown_duty_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'builder' is not a duty of hosts: use one of builders, servers, "):
        _farm.hosts_for("builder", SMALL)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"ltsp_server_address": "10.77.0.1", "ansible_host": "srv.example.org"}, "10.77.0.1"),
        ({"ltsp_server_address": "", "ansible_host": "srv.example.org"}, "srv.example.org"),
        ({}, "ltsp-1"),
    ],
)
def test_unknown_machines_boot_from_the_first_server(variables: dict[str, str], address: str) -> None:
    assert _farm.next_server({"ltsp-1": variables, "ltsp-2": {"ansible_host": "10.77.0.2"}}, SMALL) == address


def test_without_boot_servers_unknown_machines_have_none() -> None:
    assert _farm.next_server({}, {}) == ""


def test_a_wrong_address_of_the_first_server_is_named() -> None:
    with pytest.raises(InventoryError, match="ltsp-1: ltsp_server_address: 10 is not text: write the address or name in quotes"):
        _farm.next_server({"ltsp-1": {"ltsp_server_address": 10}}, SMALL)


def test_the_module_that_writes_boot_descriptions_has_the_same_defaults() -> None:
    options: dict[str, t.Any] = yaml.safe_load(ltsp_boot_nodes.DOCUMENTATION)["options"]
    for option in ("nodes", "default"):
        documented = {name: value["default"] for name, value in options[option]["suboptions"].items() if value.get("default")}
        assert {"ram", "overlay"} < set(documented)
        assert documented == {name: json.loads(json.dumps(_farm.NODE_DEFAULTS[name])) for name in documented}
