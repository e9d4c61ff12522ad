# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a farm of many nodes takes, as ansible-playbook sees it: describe the nodes, and write and test dhcpd.conf.

Fails when a limit is exceeded. Run it as ANSIBLE_COLLECTIONS_PATH=... python3 tests/benchmarks/nodes_and_leases.py [NODES].
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

LIMIT = 60.0  # seconds, for 10,000 nodes on a busy machine with two processors
ROLE = pathlib.Path(__file__).resolve().parents[2] / "roles" / "isc_dhcp"
VARIABLES = {"dhcp_subnets": [{"subnet": "10.0.0.0/8", "ranges": ["10.240.0.1-10.240.255.254"]}]}
NODES = "hostvars | serverfarm.ltsp.ltsp_nodes(groups)"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "inventory.json").write_text(json.dumps(inventory(count)), encoding="utf-8")
        configuration = directory / "dhcpd.conf"
        template = {"src": str(ROLE / "templates" / "dhcpd.conf.j2"), "dest": str(configuration), "mode": "0644"}
        alone = seconds(directory, {"ansible.builtin.meta": "noop"})
        described = seconds(directory, {"ansible.builtin.assert": {"that": f"{NODES} | length == {count}"}})
        written = seconds(directory, {"ansible.builtin.template": template})
        print(f"{count} nodes: inventory {alone:.1f} s, describe {described - alone:.1f} s, describe and write dhcpd.conf {written - alone:.1f} s")
        dhcpd = shutil.which("dhcpd", path="/usr/sbin:/usr/bin")
        if dhcpd:
            begin = time.monotonic()
            subprocess.run([dhcpd, "-t", "-4", "-cf", configuration], check=True, capture_output=True)
            print(f"dhcpd -t of {configuration.stat().st_size / 1e6:.1f} MB: {time.monotonic() - begin:.2f} s")
        if written - alone > LIMIT:
            sys.exit(f"writing dhcpd.conf took longer than {LIMIT} s")


def inventory(count: int) -> dict[str, object]:
    nodes = {
        f"node{i}": {"ltsp_node_macs": [f"5254{i:08x}", f"5255{i:08x}"], "ltsp_node_ip": f"10.{i // 62500}.{i // 250 % 250}.{i % 250 + 1}"}
        for i in range(count)
    }
    servers = {f"ltsp-{i}": {"ansible_host": f"10.250.0.{i}"} for i in range(1, 6)}
    return {"all": {"children": {"ltsp_nodes": {"hosts": nodes}, "ltsp_servers": {"hosts": servers}}}}


def seconds(directory: pathlib.Path, task: dict[str, object]) -> float:
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "tasks": [task],
    }
    (directory / "play.json").write_text(json.dumps([play]), encoding="utf-8")
    begin = time.monotonic()
    command = ["ansible-playbook", "-i", directory / "inventory.json", "-e", json.dumps(VARIABLES), directory / "play.json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


if __name__ == "__main__":
    main()
