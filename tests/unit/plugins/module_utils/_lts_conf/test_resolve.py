# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import Document
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import LtsConfError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.resolve import resolved_files


def test_each_card_of_a_node_has_its_file() -> None:
    document = Document('[node1]\nA="1"\n[52:54:00:00:00:02]\nA="2"\nB="3"\n')
    nodes = [{"hostname": "node1", "ip": "10.0.0.1", "macs": ["52-54-00-00-00-01"]}, {"hostname": "node2", "ip": None, "macs": ["5254.0000.0002"]}]
    assert resolved_files(document, nodes) == {
        "52-54-00-00-00-01.conf": b'[default]\nA="1"\n',
        "52-54-00-00-00-02.conf": b'[default]\nA="2"\nB="3"\n',
    }


@pytest.mark.parametrize(("mac", "message"), [("52:54:00:00:00:01", "nodes node1 and node2 have the same MAC address"), ("52:54", "node node2: ")])
def test_a_mac_address_that_cannot_be_names_its_node(mac: str, message: str) -> None:
    nodes = [{"hostname": "node1", "ip": "", "macs": ["52:54:00:00:00:01"]}, {"hostname": "node2", "ip": "", "macs": [mac]}]
    with pytest.raises(LtsConfError, match=message):
        resolved_files(Document(""), nodes)
