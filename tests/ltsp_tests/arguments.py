# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of scripts/test."""

from __future__ import annotations

import dataclasses
import getopt
import typing as t

from ltsp_lab.messages import UsageError

if t.TYPE_CHECKING:
    from collections.abc import Sequence

LEGS = ("unit", "sanity", "integration", "e2e", "boots")
DEFAULT = ("unit", "sanity", "integration", "e2e")
USAGE = """\
Usage: scripts/test [unit|sanity|integration|e2e|boots]... [-k NAME]

  unit         the tests of the pure logic, of the shell functions and of the commands
  sanity       ansible-test sanity, ansible-lint, ruff, mypy, shellcheck, antsibull-docs, antsibull-changelog
  integration  modules and roles in containers with the newest supported ansible-core, some modules with the oldest, too (root)
  e2e          labs of its own, made with the oldest: nodes boot and are looked at (root)
  boots        every fault on every transport, of which e2e has a sample, and a table of them: only when asked for (root)

  -k NAME      only some tests: for unit, e2e and boots what pytest takes for -k, for integration a part of a target's name
  --help       show this text

Without a leg: all of them but boots. What they install, and what each of them said last, is kept in {cache}.
"""


@dataclasses.dataclass(frozen=True)
class Choice:
    """The legs, in the order in which they run, and the tests of them."""

    legs: tuple[str, ...]
    name: str = ""
    help: bool = False


def parse(arguments: Sequence[str]) -> Choice:
    """Read the arguments; raises UsageError for those that cannot be."""
    try:
        options, words = getopt.gnu_getopt(list(arguments), "hk:", ["help"])
    except getopt.GetoptError as error:
        raise UsageError(str(error)) from None
    for word in words:
        if word not in LEGS:
            raise UsageError(f"there is no leg {word}: take {', '.join(LEGS)}")
    legs = tuple(leg for leg in LEGS if leg in (words or DEFAULT))
    names = [value for option, value in options if option == "-k"]
    if names:
        _check_name(names[-1], legs)
    return Choice(legs, names[-1] if names else "", any(option in ("-h", "--help") for option, _value in options))


def _check_name(name: str, legs: Sequence[str]) -> None:
    if not name:
        raise UsageError("-k is empty: give a part of a test's name")
    if "sanity" in legs:
        raise UsageError(f"-k {name}: sanity has no tests to choose; name the legs, for example scripts/test unit -k {name}")
