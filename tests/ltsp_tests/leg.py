# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of one leg: python3 -m ltsp_tests.leg LEG [NAME]."""

from __future__ import annotations

import os
import sys
import typing as t

from ltsp_lab.settings import Settings
from ltsp_tests import integration, machines, sanity, unit
from ltsp_tests.processes import Processes, guarded

if t.TYPE_CHECKING:
    from collections.abc import Callable

LEGS: dict[str, Callable[[Settings, Processes, str], int]] = {
    "unit": unit.run,
    "sanity": sanity.run,
    "integration": integration.run,
    "integration-beside": integration.run_beside,
    "e2e": machines.run_e2e,
    "e2e-fast": machines.run_e2e_fast,
    "boots": machines.run_boots,
}


def main(leg: str, name: str) -> int:
    with Processes() as processes:
        return LEGS[leg](Settings.read(os.environ), processes, name)


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(*sys.argv[1:])))
