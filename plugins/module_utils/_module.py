# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module runs and fails."""

from __future__ import annotations

import os
import signal
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from ansible.module_utils.basic import AnsibleModule

Result = t.Dict[str, t.Any]


class Task(t.NamedTuple):
    """The task for which a module runs."""

    params: dict[str, t.Any]
    check_mode: bool
    diff: bool
    warn: t.Callable[[str], None]


def run_module(module: AnsibleModule, run: t.Callable[[Task], Result], *, subject: str = "path", failure: Mapping[str, t.Any] | None = None) -> None:
    """Run a module and return its result, or its error together with the values of `failure`.

    `subject` is the option that names an error of the system without a file name.
    """
    unwind_on_signals()
    # Files and directories of a module do not depend on the umask of the user who runs it.
    os.umask(0o022)
    try:
        result = run(Task(module.params, module.check_mode, module._diff, module.warn))  # pylint: disable=protected-access
    except LtspError as error:
        module.fail_json(msg=str(error), **(failure or {}))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or module.params[subject]}: {error.strerror or error}", **(failure or {}))
    module.exit_json(**result)


def unwind_on_signals() -> None:
    """Raise an exception when the connection drops or the process is terminated, so that unfinished work is undone."""

    def unwind(number: int, frame: FrameType | None) -> t.NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGHUP, signal.SIGTERM):
        # nohup ignores the signal on purpose.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, unwind)


def difference(name: str, before: str, after: str) -> dict[str, str]:
    """Return the diff of one file, or of one object that has a text."""
    return {"before_header": name, "after_header": name, "before": before, "after": after}
