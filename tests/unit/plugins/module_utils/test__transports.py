# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.serverfarm.ltsp.plugins.module_utils._transports import DEFAULT_TRANSPORTS, TRANSPORTS, offered_ports, port_options


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
    assert port_options() == {"http_port": {"type": "int", "default": 80}, "nbd_port": {"type": "int", "default": 10809}}
    assert offered_ports({"http_port": 8080, "nbd_port": 10809, "path": "/x"}) == {"http": 8080, "nbd": 10809}
    assert offered_ports({"http_port": 80, "nbd_port": None}) == {"http": 80}
