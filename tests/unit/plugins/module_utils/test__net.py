# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils import _net


@pytest.mark.parametrize(
    "spelling",
    [
        "52:54:00:0a:bc:01",
        "52:54:00:0A:BC:01",
        " 52:54:00:0a:bc:01\n",
        "52-54-00-0A-BC-01",
        "52.54.00.0a.bc.01",
        "52:54:0:a:bc:1",
        "5254.000a.bc01",
        "5254:000a:bc01",
        "5254-000a-bc01",
        "525400-0abc01",
        "525400:0abc01",
        "5254000abc01",
    ],
)
def test_every_usual_spelling_is_one_address(spelling: str) -> None:
    assert _net.normalize_mac(spelling) == "52:54:00:0a:bc:01"
    assert _net.mac_dashes(spelling) == "52-54-00-0a-bc-01"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "node1",
        "52:54:00:0a:bc",
        "52:54:00:0a:bc:01:02",
        "52:54:00:0a:bc-01",
        "52:54:00:0a:bc:0g",
        "52:54:00:0a:bc:001",
        "5254000abc0",
        "5254.000abc01",
        "525400.0abc01",
        "52:54:00:0a:bc:0١",
        "10.77.0.11",
    ],
)
def test_what_is_no_mac_address_is_refused_by_its_name(value: str) -> None:
    with pytest.raises(ValueError, match="is not a MAC address") as caught:
        _net.normalize_mac(value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"])
def test_an_address_that_no_card_has_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not the MAC address of a network card"):
        _net.normalize_mac(value)
