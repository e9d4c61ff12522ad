# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import typing as t

import pytest

MODULE = """
import os, signal
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import run_module

def run(task):
    {body}

failure = {{"path": "of the task"}}
module = AnsibleModule(argument_spec={{"path": {{"type": "path"}}}}, supports_check_mode=True)
run_module(module, run, failure=failure)
"""


def process(body: str, before: t.Optional[t.Callable[[], None]] = None, **arguments: t.Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MODULE.format(body=body)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {"path": "/given", **arguments}}),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        preexec_fn=before,
    )


def result(body: str, **arguments: t.Any) -> dict[str, t.Any]:
    ran = process(body, **arguments)
    assert ran.stdout, ran.stderr
    values: dict[str, t.Any] = json.loads(ran.stdout)
    return values


def test_a_run_knows_its_task() -> None:
    body = "task.warn('careful'); return {'changed': True, 'task': [task.params, task.check_mode, task.diff]}"
    values = result(body, _ansible_check_mode=True, _ansible_diff=True)
    assert values["task"] == [{"path": "/given"}, True, True]
    assert "careful" in json.dumps(values["warnings"])
    assert "failed" not in values


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise LtspError('path: is wrong')", "path: is wrong"),
        ("open('/nonexistent/file')", "/nonexistent/file: No such file or directory"),
        ("raise BrokenPipeError(32, 'Broken pipe')", "/given: Broken pipe"),
        ("raise TimeoutError('too late')", "/given: too late"),
    ],
)
def test_a_failure_has_a_message_and_the_values_of_a_failure(body: str, message: str) -> None:
    values = result(body)
    assert (values["failed"], values["msg"], values["path"]) == (True, message, "of the task")
    assert "exception" not in values or values["exception"].startswith("(traceback unavailable)")


def test_values_may_come_while_the_module_runs() -> None:
    assert result("failure.update(rc=3); raise LtspError('no')")["rc"] == 3


def test_a_fault_of_the_module_is_not_hidden() -> None:
    ran = process("return {}['missing']")
    assert ran.returncode != 0
    assert "KeyError" in ran.stderr


def test_modes_do_not_depend_on_the_umask_of_the_user() -> None:
    ran = process("return {'umask': os.umask(0)}", before=lambda: os.umask(0o077) and None)
    assert json.loads(ran.stdout)["umask"] == 0o022


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_undo_the_work(number: signal.Signals) -> None:
    ran = process(f"""
    try:
        os.kill(os.getpid(), {int(number)})
    finally:
        print("undone")""")
    assert (ran.returncode, ran.stdout) == (128 + number, "undone\n")


def test_a_module_survives_the_connection_when_it_shall() -> None:
    """nohup, and everything that starts a module under it, ignores SIGHUP."""
    ran = process("os.kill(os.getpid(), signal.SIGHUP); return {'survived': True}", before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN) and None)
    assert json.loads(ran.stdout)["survived"]
