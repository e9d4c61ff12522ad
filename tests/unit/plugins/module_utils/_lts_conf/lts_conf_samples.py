# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import section_changes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import Document


def change(text, *sections):
    document = Document(text)
    document.change(section_changes(sections))
    return document.text()


def present(name, **values):
    return {"name": name, "state": "present", "parameters": values}


def absent(name):
    return {"name": name, "state": "absent", "parameters": {}}
