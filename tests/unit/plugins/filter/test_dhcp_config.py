# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.serverfarm.ltsp.plugins.filter import dhcp_config as module
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils import _dhcp
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.plan import Extra, Plan
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.renderers import RENDERERS, Renderer
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._renamed import REMOVAL

PACKAGE = pathlib.Path(_dhcp.__path__[0])

dhcp_config = module.FilterModule().filters()["dhcp_config"]

SETTINGS: dict[str, t.Any] = {
    "interfaces": ["eth1"],
    "ignore_client_identifiers": True,
    "option_definitions": {},
    "networks": [],
    "subnets": [{"subnet": "10.77.0.0/24", "extra": ["of dhcpd;"], "isc_dhcp_extra": ["of dhcpd, too;"], "other_dhcp_extra": {"a": 1}}],
    "hosts": [],
}
NODE = {"name": "node1", "macs": ["52:54:00:77:00:01"], "ip": "10.77.0.11", "server_address": "10.77.0.1"}


@pytest.fixture
def deprecations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The deprecations that were shown."""
    shown: list[str] = []

    def deprecated(_self: Display, message: str, version: str, collection_name: str) -> None:
        assert (version, collection_name) == (REMOVAL, "serverfarm.ltsp")
        shown.append(message)

    monkeypatch.setattr(Display, "deprecated", deprecated)
    return shown


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that a further server gets, whose statements are dictionaries."""
    received: list[Plan] = []

    def render(plan: Plan) -> str:
        received.append(plan)
        return "rendered"

    read = Extra("other_dhcp_extra", (), lambda value: [f"{key} = {item}" for key, item in value.items()])
    monkeypatch.setitem(RENDERERS, "other", Renderer(read, render))
    return received


def test_a_further_server_is_a_row(plans: list[Plan], deprecations: list[str]) -> None:
    assert dhcp_config(SETTINGS, [NODE], "other") == "rendered"
    (plan,) = plans
    assert plan.interfaces == ("eth1",)
    assert [(host.name, host.macs, str(host.ip), host.settings.next_server) for host in plan.hosts] == [
        ("node1", ("52:54:00:77:00:01",), "10.77.0.11", "10.77.0.1")
    ]
    assert plan.subnets[0].settings.extra == ("a = 1",)
    assert deprecations == []


def test_messages_speak_of_the_server_that_is_written_for(plans: list[Plan]) -> None:
    with pytest.raises(AnsibleFilterError, match=r"dhcp_option_definitions: x: .* as a statement in other_dhcp_extra"):
        dhcp_config({**SETTINGS, "option_definitions": {"x": {"code": 200, "type": "uuid"}}}, [], "other")
    with pytest.raises(AnsibleFilterError, match="dhcp_config: 'none' is not a DHCP server: use isc or other"):
        dhcp_config(SETTINGS, [], "none")
    assert plans == []


def test_the_documentation_names_all_servers() -> None:
    assert yaml.safe_load(module.DOCUMENTATION)["options"]["server"]["choices"] == list(RENDERERS)


@pytest.mark.parametrize("name", ["plan", "options"])
def test_the_plan_knows_no_server(name: str) -> None:
    source = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    assert re.findall(rf"\b(?:dhcpd|kea|{'|'.join(RENDERERS)})", source, re.IGNORECASE) == []


def test_former_keys_are_shown_once(deprecations: list[str]) -> None:
    assert "\n    of dhcpd;\n    of dhcpd, too;\n" in dhcp_config(SETTINGS, [NODE], "isc")
    assert deprecations == ["The key extra of networks, subnets, pools and hosts is named isc_dhcp_extra now: rename it."]
