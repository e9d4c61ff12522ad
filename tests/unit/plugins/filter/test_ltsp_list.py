# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.filter.ltsp_list import FilterModule

ltsp_list = FilterModule().filters()["ltsp_list"]


def test_list_of_text() -> None:
    assert ltsp_list("vim,curl") == ["vim", "curl"]
    assert ltsp_list("a,b\nc", separator="\n") == ["a,b", "c"]


def test_errors_are_those_of_a_filter() -> None:
    with pytest.raises(AnsibleFilterError, match="ltsp_list: 7 is not a list"):
        ltsp_list(7)
