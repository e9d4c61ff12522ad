# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The labs of the tests, and the order of the tests that follows from them. The two marks run at the same time, each with one lab after the other."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import typing as t

from playbooks import E2E

if t.TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = pathlib.Path(__file__).parents[2] / "scripts" / "lab"


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of lab: the mark of its tests, the options of scripts/lab, the inventories beside this file, and why its tests need it."""

    mark: str
    options: tuple[str, ...]
    inventories: tuple[str, ...]
    why: str


FIRMWARE = Kind("firmware", ("--kubernetes",), ("inventory.yml",), "firmware, boot loaders, the image's own kernel, and Kubernetes, which needs that kernel")
FAST = Kind("fast", ("--fast", "--nodes=6"), ("fast.yml",), "many boots of the runtime, which knows neither firmware nor loader nor kernel")
ARTICLE = Kind("fast", ("--fast",), ("article.yml",), "an lts.conf and a userland, of which no line needs the image's kernel")

SCENARIOS: dict[str, Kind | None] = {
    "test_nodes": FIRMWARE,
    "test_kubernetes": FIRMWARE,
    "test_attacks": FIRMWARE,
    "test_pod": FIRMWARE,
    "test_rejoin": FIRMWARE,
    "test_service": FIRMWARE,
    "test_identities": FAST,
    "test_faults": FAST,
    "test_bookworm": ARTICLE,
    "test_article": ARTICLE,
    "test_down": None,
}
"""The modules in their order, each with its lab. test_down needs the absence of a lab, and runs after each mark."""


def lab(*options: str, inventories: Sequence[str] = ()) -> None:
    """Runs scripts/lab, with some of the inventories beside this file."""
    more = [f"--inventory={E2E / name}" for name in inventories]
    subprocess.run([COMMAND, *options, *(["--", *more] if more else [])], stdin=subprocess.DEVNULL, check=True)


class Labs:
    """The one lab of the tests, which becomes of another kind when a test needs it."""

    def __init__(self) -> None:
        self.kind: Kind | None = None

    def bring(self, kind: Kind | None) -> None:
        """The lab is of this kind afterwards, or away."""
        if kind == self.kind:
            return
        # A lab that failed to come up is of no kind.
        self.kind = None
        if kind:
            lab(*kind.options, inventories=kind.inventories)
        else:
            lab("--down")
        self.kind = kind
