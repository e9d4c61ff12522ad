# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import pathlib

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader

from ansible_collections.serverfarm.ltsp.plugins.lookup.ltsp_content_digest import LookupModule


def test_one_digest_per_path_in_their_order(tmp_path: pathlib.Path) -> None:
    (tmp_path / "b").write_text("b")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("a")
    lookup = LookupModule(loader=DataLoader())
    digests = lookup.run([str(tmp_path / "b"), "a"], {"ansible_search_path": [str(tmp_path)]})
    assert digests == [hashlib.sha256(text).hexdigest() for text in (b"b", b"a")]


def test_what_is_missing_is_named(tmp_path: pathlib.Path) -> None:
    lookup = LookupModule(loader=DataLoader())
    with pytest.raises(AnsibleLookupError, match=r"missing\.conf is not on the controller"):
        lookup.run(["missing.conf"], {"ansible_search_path": [str(tmp_path)]})
