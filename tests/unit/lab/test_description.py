# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab consists of."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
import yaml

from ltsp_lab.description import Firmware, Machine, describe

ROOT = pathlib.Path(__file__).parents[3]


def test_nodes_have_firmware_and_root_by_turns() -> None:
    lab = describe()
    assert [(node.name, node.address, node.firmware) for node in lab.nodes] == [("node1", "10.77.0.11", Firmware.BIOS), ("node2", "10.77.0.12", Firmware.UEFI)]
    first, second = (node["variables"] for node in lab.variables["ltsp_lab_nodes"])
    assert first == {"ltsp_node_transports": ["nbd"], "ltsp_node_ram": False, "ltsp_node_kernel_args": ["console=ttyS0,115200n8"]}
    assert second == {"ltsp_node_kernel_args": ["console=ttyS0,115200n8"]}
    assert lab.machines == ()


def test_fast_nodes_have_neither_firmware_nor_a_serial_port() -> None:
    lab = describe(3, fast=True)
    assert {(node.firmware, node.memory) for node in lab.nodes} == {(Firmware.NONE, 1024)}
    assert [node["variables"]["ltsp_node_kernel_args"] for node in lab.variables["ltsp_lab_nodes"]] == [[], [], []]


def test_ninety_nine_nodes_have_names_addresses_and_cards_of_their_own() -> None:
    nodes = [*describe(99, server="kubernetes").machines, *describe(99).nodes]
    for values in ([node.name for node in nodes], [node.address for node in nodes], [mac for node in nodes for mac in node.macs]):
        assert len(set(values)) == 100
    assert all(re.fullmatch("52(:[0-9a-f]{2}){5}", mac) for node in nodes for mac in node.macs)
    assert all(1 <= node.number <= 254 for node in nodes)


def test_taps_are_named_as_linux_allows() -> None:
    assert Machine("node99", 109, Firmware.BIOS, ("a", "b", "c"), 512).taps == ("node99", "node99.2", "node99.3")


def test_with_kubernetes_there_is_a_control_plane_and_a_way_to_the_pods_of_each_node() -> None:
    lab = describe(2, kubernetes=True)
    assert {node.memory for node in lab.nodes} == {2560}
    assert [(found["name"], found["group"]) for found in lab.variables["ltsp_lab_containers"]] == [("cp-1", "kube_control_plane")]
    assert lab.variables["ltsp_lab_routes"] == [{"to": f"10.244.{number}.0/24", "via": f"10.77.0.{number}"} for number in (11, 12)]
    assert (lab.variables["ltsp_lab_machines"], lab.variables["ltsp_lab_registry"], lab.variables["ltsp_lab_server_group"]) == ([], "", "ltsp_servers")


def test_a_boot_server_that_is_a_pod_has_a_machine_and_a_registry() -> None:
    lab = describe(1, kubernetes=True, server="kubernetes")
    assert lab.on_kubernetes
    assert [(machine.name, machine.firmware) for machine in lab.machines] == [("kube-1", Firmware.KERNEL)]
    variables = lab.variables
    assert [(found["name"], found["number"], found["group"]) for found in variables["ltsp_lab_machines"]] == [("kube-1", 3, "ltsp_kubernetes_servers")]
    assert [route["via"] for route in variables["ltsp_lab_routes"]] == ["10.77.0.3", "10.77.0.11"]
    assert (variables["ltsp_lab_registry"], variables["ltsp_lab_server_group"]) == ("10.77.0.1:5000", "ltsp_builders")


@pytest.mark.parametrize(("kubernetes", "server"), [(False, "systemd"), (True, "systemd"), (True, "kubernetes")])
def test_variables_are_those_of_the_role_and_of_the_inventory(kubernetes: bool, server: str) -> None:
    role = yaml.safe_load((ROOT / "roles/ltsp_lab/meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    inventory = re.findall(r'"(ltsp_node_\w+)"', (ROOT / "plugins/plugin_utils/_nodes.py").read_text(encoding="utf-8"))
    variables = json.loads(json.dumps(describe(2, kubernetes=kubernetes, server=server).variables))
    assert set(variables) <= set(role)
    for node in variables["ltsp_lab_nodes"]:
        assert set(node["variables"]) <= set(inventory)


@pytest.mark.parametrize(
    "machine",
    [
        *describe(2).nodes,
        *describe(1, server="kubernetes").machines,
        Machine("apart", 200, Firmware.NONE, ("52:54:00:77:00:c8", "52:54:00:77:01:c8"), 512, disks=(1, 2), processors=2, kernel_args=("quiet",)),
    ],
)
def test_a_machine_comes_back_from_its_record(machine: Machine) -> None:
    assert Machine.restore(json.loads(json.dumps(machine.record))) == machine
