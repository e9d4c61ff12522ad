# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.filter.ltsp_subnets import ltsp_subnets


@pytest.mark.parametrize("value", [["10.77.0.0/24", "10.78.0.0/16"], "10.77.0.0/24, 10.78.0.0/255.255.0.0", '["10.77.0.0/24", "10.78.0.0/16"]'])
def test_subnets_come_out_in_one_form(value: t.Any) -> None:
    assert ltsp_subnets(value) == ["10.77.0.0/24", "10.78.0.0/16"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["10.77.0.1/24"], "10.77.0.1/24 .*has host bits set"),
        ([], "the list is empty"),
        ("10.77.0.0", "10.77.0.0 .*prefix"),
        (["10.77.0.0/33"], "10.77.0.0/33"),
    ],
)
def test_what_a_daemon_would_misread_is_refused(value: t.Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"ltsp_subnets: .*{message}.*10.77.0.0/24"):
        ltsp_subnets(value)
