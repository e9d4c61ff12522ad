# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.filter.ltsp_columns import ltsp_columns


def test_keys_are_kept_and_renamed() -> None:
    rows = [{"name": "node1", "ip": "10.77.0.11", "lts_conf": {"TOKEN": "secret"}}]
    assert ltsp_columns(rows, "name", address="ip") == [{"name": "node1", "address": "10.77.0.11"}]


def test_a_missing_key_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="with the keys name, ip: 'ip'"):
        ltsp_columns([{"name": "node1"}], "name", "ip")
