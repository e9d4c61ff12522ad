# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.filter import ltsp_hosts, ltsp_next_server
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils import _farm


def test_the_filter_names_hosts() -> None:
    assert ltsp_hosts.FilterModule().filters()["ltsp_hosts"]({"ltsp_servers": ["ltsp-1"]}, "builders") == ["ltsp-1"]


def test_an_unknown_duty_is_an_error_of_the_filter() -> None:
    with pytest.raises(AnsibleFilterError, match="ltsp_hosts: 'server' is not a duty"):
        ltsp_hosts.ltsp_hosts({}, "server")


def test_the_documentation_has_each_duty() -> None:
    duty = yaml.safe_load(ltsp_hosts.DOCUMENTATION)["options"]["duty"]
    assert duty["choices"] == list(_farm._DUTIES)
    assert [line.partition(")")[0].removeprefix("V(") for line in duty["description"] if line.startswith("V(")] == duty["choices"]


def test_the_other_filter_names_the_server_of_unknown_machines() -> None:
    hostvars = {"ltsp-1": {"ansible_host": "10.77.0.1"}, "ltsp-2": {"ltsp_server_address": 1}}
    assert ltsp_next_server.FilterModule().filters()["ltsp_next_server"](hostvars, {"ltsp_servers": ["ltsp-1"]}) == "10.77.0.1"
    with pytest.raises(AnsibleFilterError, match="ltsp_next_server: ltsp-2: ltsp_server_address"):
        ltsp_next_server.ltsp_next_server(hostvars, {"ltsp_servers": ["ltsp-2"]})
