# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    for name in ("dev", "proc", "run", "sys", "etc", "usr/lib/x86_64-linux-gnu", "usr/sbin", "var"):
        (root / name).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "sbin").symlink_to("/usr/sbin")
    (root / "var/run").symlink_to("/run")
    (root / "up").symlink_to("../../../../etc/passwd")
    (root / "loop").symlink_to("/loop")
    (root / "dangling").symlink_to("/not/there")
    (root / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    (root / "etc/.hidden").touch()
    (root / "usr/lib/x86_64-linux-gnu/libc.so.6").touch()
    return root
