# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (["vim", "curl"], ["vim", "curl"]),
        (("vim",), ["vim"]),
        ("vim,curl", ["vim", "curl"]),
        (" vim , curl,, ", ["vim", "curl"]),
        ('["vim", "curl"]', ["vim", "curl"]),
        ("[]", []),
        ("", []),
        ([], []),
    ],
)
def test_lists_and_what_surveys_make_of_them(value: t.Any, items: list[str]) -> None:
    assert to_list(value) == items


def test_separator_decides_what_an_item_is() -> None:
    assert to_list('from="10.0.0.0/8,::1" ssh-ed25519 AAAA a@b\nssh-ed25519 BBBB\n', "\n") == ['from="10.0.0.0/8,::1" ssh-ed25519 AAAA a@b', "ssh-ed25519 BBBB"]
    assert to_list("quiet console=ttyS0,115200n8", None) == ["quiet", "console=ttyS0,115200n8"]


@pytest.mark.parametrize(
    ("value", "message"), [('["vim"', "is not valid JSON"), (7, "7 is not a list"), ({"a": 1}, "is not a list"), (None, "None is not a list")]
)
def test_what_is_no_list_is_refused(value: t.Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_list(value)
