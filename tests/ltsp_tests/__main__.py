# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command scripts/test."""

from __future__ import annotations

import os
import sys

from ltsp_lab.locks import sole_lock
from ltsp_lab.messages import UsageError, say
from ltsp_lab.settings import Settings
from ltsp_tests.arguments import USAGE, Choice, parse
from ltsp_tests.machines import why_no_machines
from ltsp_tests.processes import Processes, guarded, module
from ltsp_tests.report import FAILED, summary
from ltsp_tests.runner import Leg, Run

PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
"""The system's own programs: the user's could be others."""


def plan(choice: Choice, settings: Settings, processes: Processes) -> list[Leg]:
    """The legs, with what runs beside them."""
    reason = why_no_machines(os.geteuid())
    reasons = dict.fromkeys(("integration", "e2e", "boots"), reason)
    # The longest leg, which leaves half of the processors idle.
    longest = "e2e" if "e2e" in choice.legs and not reason else "integration"
    # The build takes minutes where no release can be reached. The lab of e2e waits for it.
    if longest == "e2e" and len(choice.legs) > 1:
        processes.start(module("ltsp_lab.programs"), settings.cache / "kubernetes.log")
    return [
        Leg(
            name,
            module("ltsp_tests.leg", name, choice.name),
            reason=reasons.get(name, ""),
            beside=longest if name in ("sanity", "integration") and name != longest else "",
        )
        for name in choice.legs
    ]


def run(choice: Choice, settings: Settings) -> int:
    with sole_lock(settings.cache / "test.lock", f"another scripts/test is at work in {settings.cache}; wait for it"), Processes() as processes:
        outcomes = Run(plan(choice, settings, processes), settings.cache, processes).outcomes()
        say(summary(outcomes))
        return int(any(outcome.result == FAILED for outcome in outcomes))


def main() -> int:
    os.environ["PATH"] = PATH
    settings = Settings.read(os.environ)
    usage = USAGE.format(cache=settings.cache)
    try:
        choice = parse(sys.argv[1:])
    except UsageError as error:
        raise UsageError(f"{error}\n\n{usage}") from None
    if choice.help:
        print(usage, end="")
        return 0
    return run(choice, settings)


if __name__ == "__main__":
    sys.exit(guarded(main))
