# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between commands."""

from __future__ import annotations

import pathlib
import threading
import typing as t

from ltsp_lab.locks import waiting_lock

if t.TYPE_CHECKING:
    import pytest


def test_a_command_says_for_what_it_waits(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = []
    with waiting_lock(tmp_path / "lock", "not said"):
        begun = threading.Event()

        def other() -> None:
            begun.set()
            with waiting_lock(tmp_path / "lock", "Waiting for the first"):
                order.append("second")

        thread = threading.Thread(target=other)
        thread.start()
        begun.wait()
        while "Waiting" not in (said := capsys.readouterr().out):
            pass
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert said == "Waiting for the first\n"
