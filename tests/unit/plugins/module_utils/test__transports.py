# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.serverfarm.ltsp.plugins.module_utils._transports import (
    DEFAULT_TRANSPORTS,
    TRANSPORTS,
    former_port_options,
    given_ports,
    offered_ports,
    port_options,
)
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._renamed import REMOVAL


def test_locators() -> None:
    values = {"authority": "10.77.0.1:8080", "squashfs": "/images/node/1/root.squashfs", "export": "node-1"}
    assert {name: transport.locator(**values) for name, transport in TRANSPORTS.items()} == {
        "http": "http://10.77.0.1:8080/images/node/1/root.squashfs",
        "nbd": "nbd://10.77.0.1:8080/node-1",
    }


def test_a_locator_keeps_the_variables_of_a_loader() -> None:
    assert TRANSPORTS["nbd"].locator("$server", "", "${ltsp_export}") == "nbd://$server/${ltsp_export}"


def test_the_defaults_of_a_node_are_known_transports() -> None:
    assert set(DEFAULT_TRANSPORTS) <= set(TRANSPORTS)


def test_a_server_offers_the_transports_that_have_a_port() -> None:
    assert port_options() == {"http": {"type": "int", "default": 80}, "nbd": {"type": "int", "default": 10809}}
    assert offered_ports({"http": 8080, "nbd": 10809, "tftp": 69}) == {"http": 8080, "nbd": 10809}
    assert offered_ports({"http": 80, "nbd": None}) == {"http": 80}


def test_former_options_are_read_until_they_are_removed() -> None:
    assert list(former_port_options()) == ["http_port", "nbd_port"]
    assert {option["removed_in_version"] for option in former_port_options().values()} == {REMOVAL}
    assert given_ports({"ports": {"http": 80, "nbd": 10809}, "http_port": 8080, "nbd_port": None}) == {"http": 8080, "nbd": 10809}
