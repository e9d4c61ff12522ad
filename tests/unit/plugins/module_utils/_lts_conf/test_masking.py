# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from lts_conf_samples import present

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.masking import MASK, masked, masked_sections
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import glob_pattern


def test_secret_values_are_masked_wherever_they_stand():
    text = '[a]\r\nA_JOIN = "x" # y\n#a_join=x\n A_JOIN = "x" x "x\nB = "x"\n'
    secret = [glob_pattern("*_join")]
    assert masked(text, secret) == '[a]\r\nA_JOIN = "********"\n#a_join="********"\n A_JOIN = "********"\nB = "x"\n'
    assert masked_sections([present("a", A_Join="x", B="x"), {"name": "b", "parameters": None}], secret) == [
        present("a", A_Join=MASK, B="x"),
        {"name": "b", "parameters": {}},
    ]
