# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf import keys


@pytest.mark.parametrize(
    ("key", "near"), [("FSATB_01_SSH", "FSTAB_*"), ("RCFILE01_X", "RCFILE_*"), ("TIMEZON", "TIMEZONE"), ("QQQQ", None), ("PREINIT_", "PREINIT_*")]
)
def test_nearest_parameter(key, near):
    assert not keys.is_known(key)
    assert keys.nearest(key) == near
