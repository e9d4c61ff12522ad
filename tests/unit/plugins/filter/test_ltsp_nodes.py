# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.filter.ltsp_nodes import FilterModule

HOSTVARS = {"ltsp-1": {"ansible_host": "10.77.0.1"}, "node1": {"ltsp_node_macs": "525400770001", "ansible_host": "10.77.0.11"}}


def test_the_filter_describes_nodes() -> None:
    (node,) = FilterModule().filters()["ltsp_nodes"](HOSTVARS, ["node1"], ["ltsp-1"])
    assert (node["name"], node["ip"], node["server"]) == ("node1", "10.77.0.11", "ltsp-1")


def test_the_groups_of_the_inventory_name_nodes_and_servers() -> None:
    (node,) = FilterModule().filters()["ltsp_nodes"](HOSTVARS, {"ltsp_nodes": ["node1"], "ltsp_servers": ["ltsp-1"]})
    assert (node["name"], node["server"]) == ("node1", "ltsp-1")
    assert FilterModule().filters()["ltsp_nodes"]({}, {}) == []


def test_a_problem_is_an_error_of_the_filter() -> None:
    with pytest.raises(AnsibleFilterError, match="ltsp_nodes: node1: ltsp_node_macs is not set"):
        FilterModule().filters()["ltsp_nodes"]({**HOSTVARS, "node1": {}}, ["node1"], ["ltsp-1"])
