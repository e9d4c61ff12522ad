# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.serverfarm.ltsp.plugins.lookup import ltsp_former_names
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._renamed import REMOVAL


def test_each_former_name_is_returned_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, dict[str, t.Any]]] = []
    monkeypatch.setattr(ltsp_former_names.display, "deprecated", lambda message, **arguments: shown.append((message, arguments)))
    variables = {"ltsp_server_store": "/srv/ltsp", "ltsp_farm_store": "/srv/ltsp"}
    assert ltsp_former_names.LookupModule().run([], variables) == ["ltsp_server_store"]
    assert shown == [
        ("The variable ltsp_server_store is called ltsp_farm_store now: rename it", {"version": REMOVAL, "collection_name": "serverfarm.ltsp"}),
    ]


def test_without_former_names_nothing_is_shown() -> None:
    assert ltsp_former_names.LookupModule().run([], {"ltsp_farm_store": "/srv/ltsp"}) == []
    assert ltsp_former_names.LookupModule().run([]) == []
