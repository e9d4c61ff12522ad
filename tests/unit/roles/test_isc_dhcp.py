# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dhcpd.conf of the role isc_dhcp, as Ansible makes it from an inventory."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from playbook import COLLECTIONS

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._renamed import RENAMED

ROOT = pathlib.Path(__file__).parents[3]
ROLE = ROOT / "roles/isc_dhcp"
FILES = pathlib.Path(__file__).parent / "isc_dhcp"


def write(directory: pathlib.Path, inventory: pathlib.Path) -> str:
    """Write dhcpd.conf with the variables and the template of the role, without its other tasks."""
    copy = directory / "roles/isc_dhcp"
    (copy / "tasks").mkdir(parents=True)
    for name in ("defaults", "vars", "templates", "meta"):
        (copy / name).symlink_to(ROLE / name)
    template = {"src": "dhcpd.conf.j2", "dest": str(directory / "dhcpd.conf"), "mode": "0644"}
    (copy / "tasks/main.yml").write_text(json.dumps([{"ansible.builtin.template": template}]), encoding="utf-8")
    play = {"hosts": "dhcp_servers", "connection": "local", "gather_facts": False, "roles": [{"role": "isc_dhcp"}]}
    playbook = directory / "play.yml"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_HOME": str(directory / "home"), "LC_ALL": "C.UTF-8"}
    variables = json.dumps({"ansible_python_interpreter": sys.executable})
    words = [sys.executable, "-m", "ansible", "playbook", f"--inventory={inventory}", f"--extra-vars={variables}", str(playbook)]
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return (directory / "dhcpd.conf").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("inventory", "expected"), [(FILES / "inventory-0.3.0.yml", "inventory-0.3.0.conf"), (ROOT / "examples/inventory.yml", "example.conf")]
)
def test_the_configuration_is_that_of_0_3_0(tmp_path: pathlib.Path, inventory: pathlib.Path, expected: str) -> None:
    assert write(tmp_path, inventory) == (FILES / expected).read_text(encoding="utf-8")


def test_the_inventory_of_0_3_0_has_all_former_names() -> None:
    former = [name for name in RENAMED if name.startswith("isc_dhcp_")]
    content = yaml.safe_load((FILES / "inventory-0.3.0.yml").read_text(encoding="utf-8"))
    assert sorted(content["dhcp_servers"]["vars"]) == sorted([*former, "isc_dhcp_extra"])


def test_defaults_read_the_former_names() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    assert [former for former, new in RENAMED.items() if new in defaults and f"{{{{ {former} " not in defaults[new]] == []
