# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

import pytest


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "name").write_text("content", encoding="utf-8")
    (root / "etc" / "name").chmod(0o640)
    (root / "link").symlink_to("etc/name")
    (root / "program").write_bytes(b"x" * 1500)
    (root / "program").chmod(0o4755)
    os.link(root / "program", root / "same")
    root.chmod(0o700)
    return root
