# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same surroundings for all unit tests, and no test that is skipped silently."""

from __future__ import annotations

import os
import tempfile
import typing as t

import pytest

COMPLETE = os.environ.get("LTSP_TESTS_COMPLETE") == "1"


def pytest_configure(config: pytest.Config) -> None:
    """Let Ansible keep its files out of the home directory, and programs speak English."""
    home = tempfile.TemporaryDirectory(prefix="ltsp-tests-")
    config.add_cleanup(home.cleanup)
    os.environ.update(ANSIBLE_HOME=home.name, LC_ALL="C.UTF-8")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test fail that would be skipped, where everything has been installed for it."""
    report = yield
    if COMPLETE and report.skipped and isinstance(report.longrepr, tuple):
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr[2]}, and with LTSP_TESTS_COMPLETE=1 no test may be skipped"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly how many tests were skipped."""
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_line(f"*** {skipped} tests were skipped, see below; scripts/test unit has what they need ***", red=True, bold=True)
