# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The leg sanity: static checks."""

from __future__ import annotations

import os
import re
import shutil
import time
import typing as t

from ltsp_lab.ansible import make_venv, need_collections, supported_ansible
from ltsp_lab.messages import LabError, say
from ltsp_lab.packages import need_packages
from ltsp_tests.checkout import copy_checkout
from ltsp_tests.unit import REQUIREMENTS

if t.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

    from ltsp_lab.settings import Settings
    from ltsp_tests.processes import Processes

SHELL = r"grep -rlE '^(#! ?/bin/sh|# shellcheck shell=)' .ci scripts roles tests | xargs shellcheck --external-sources"


def checks(cache: pathlib.Path) -> dict[str, list[str]]:
    """The checks and their commands."""
    mypy = ["mypy", "--strict", "--cache-dir", f"{cache}/mypy"]
    return {
        "ruff": ["ruff", "check", "--quiet", "."],
        "ruff-format": ["ruff", "format", "--quiet", "--diff", "."],
        "mypy": [*mypy, "-p", "ansible_collections.serverfarm.ltsp.plugins"],
        "mypy-ltsp-join": [*mypy, "--python-version", "3.11", "roles/kubernetes_join/files/ltsp_join.py"],
        "mypy-commands": ["env", "MYPYPATH=scripts:tests", *mypy, "--python-version", "3.11", "-p", "ltsp_lab", "-p", "ltsp_tests"],
        "mypy-e2e": ["env", "MYPYPATH=tests/e2e:scripts", "sh", "-c", '"$@" tests/e2e/*.py', "sh", *mypy, "--python-version", "3.11"],
        "shellcheck": ["sh", "-c", SHELL],
        "antsibull-docs": ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."],
        "antsibull-changelog": ["antsibull-changelog", "lint"],
        # ansible-test finds the project's files by git.
        "ansible-test": ["sh", "-c", "git init --quiet && git add --all && ansible-test sanity --color no"],
        "ansible-lint": ["ansible-lint", "--offline", "--nocolor"],
    }


def run(settings: Settings, processes: Processes, _name: str) -> int:
    need_packages(settings, "git", "shellcheck")
    venv = make_venv(settings, "sanity", supported_ansible(settings.root), REQUIREMENTS, "tests/requirements-sanity.txt")
    others = need_collections(settings, venv)
    parent = settings.cache / "sanity"
    copy = copy_checkout(settings.root, parent)
    home = settings.cache / "home"
    _give_pip(venv, home, settings.root)
    environment = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{venv}/bin:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": f"{parent}:{others}",
        "MYPYPATH": str(parent),
    }
    failed = [name for name, command in checks(settings.cache).items() if not check(processes, name, command, settings.cache, copy, environment)]
    if failed:
        raise LabError(f"sanity: {' '.join(failed)}")
    return 0


def check(processes: Processes, name: str, command: list[str], cache: pathlib.Path, directory: pathlib.Path, environment: Mapping[str, str]) -> bool:
    """Run a check, and show its output only when it fails."""
    log = cache / f"{name}.log"
    begin = time.monotonic()
    passed = processes.start(command, log, directory=directory, environment=environment).wait() == 0
    if not passed:
        say(log.read_text(encoding="utf-8", errors="replace").rstrip("\n"))
    say(f"  {name:<20} {'ok' if passed else 'FAILED':<6} {time.monotonic() - begin:4.0f} s")
    return passed


def _give_pip(venv: pathlib.Path, home: pathlib.Path, root: pathlib.Path) -> None:
    """Lay an installer of pip where ansible-test looks for it: it would download one from a place that is not the package index."""
    (requirements,) = venv.glob("lib/python3*/site-packages/ansible_test/_internal/python_requirements.py")
    version = re.search(r" pip='([0-9.]*)',$", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    if not version:
        raise LabError(f"{requirements} does not say which pip ansible-test wants")
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "tests/ltsp_tests/get_pip.py", cache / f"get_pip_{version[1].replace('.', '_')}.py")
