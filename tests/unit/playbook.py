# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks that run on this machine, with the collection under test."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import typing as t

import yaml

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils import _renamed

COLLECTIONS = pathlib.Path(_renamed.__file__).parents[5]


class Done(t.NamedTuple):
    """The end of a run: its exit status, its output, and the counters of each host, as in `{"ok": 3}`."""

    status: int
    output: str
    counters: dict[str, dict[str, int]]


def run_playbook(directory: pathlib.Path, plays: list[dict[str, t.Any]], hosts: dict[str, dict[str, t.Any]], *options: str) -> Done:
    """Run plays on hosts that are all this machine."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory, playbook = directory / "inventory.yml", directory / "playbook.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": local}}), encoding="utf-8")
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, **play} for play in plays]), encoding="utf-8")
    command = [sys.executable, "-m", "ansible", "playbook", f"--inventory={inventory}", *options, str(playbook)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000"}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    recap = re.findall(r"^(\S+) +: (ok=.*)$", done.stdout, re.MULTILINE)
    counters = {host: {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)} for host, line in recap}
    return Done(done.returncode, done.stdout, counters)
