# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a boot server hands out an image, by HTTP and NBD: as a pod with its machine's address, as a pod behind a Service, and with systemd.

All three on the same machine of a lab that scripts/lab --server=kubernetes has made, read by the same client, in one run; afterwards the lab is as it was.
Usage: ANSIBLE_COLLECTIONS_PATH=... PYTHONPATH=scripts:tests/e2e python3 tests/benchmarks/pod.py [LAB_DIRECTORY]
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile

from ltsp_lab.remote import Remote
from playbooks import playbook

ROUNDS = 3
MACHINE, SERVICE = "10.77.0.3", "10.77.0.9"
SYSTEMD = {"ltsp_servers": {"hosts": {"systemd": {"ansible_host": MACHINE}}}}
UNITS = "ltsp-nbd-server nginx tftpd-hpa"


def main() -> None:
    lab = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/var/lib/ltsp-lab")
    client, machine = Remote(lab, "ltsp-1"), Remote(lab, "kube-1")
    client.run("command -v nbdcopy >/dev/null || apt-get install -qq --no-install-recommends libnbd-bin >/dev/null 2>&1")
    version = client.run("readlink /srv/ltsp/public/images/node/current")
    size = int(client.run(f"stat -c %s /srv/ltsp/public/images/node/{version}/root.squashfs"))
    found: dict[str, list[tuple[float, float]]] = {"host_network": [], "load_balancer": [], "systemd": []}

    def measure(server: str, address: str) -> None:
        http = seconds(client, f"curl --silent --fail --output /dev/null http://{address}/images/node/{version}/root.squashfs")
        nbd = seconds(client, f"nbdcopy nbd://{address}/node-{version} null:")
        found[server].append((size / http / 1e6, size / nbd / 1e6))

    # The first read of each comes from the disk.
    for _round in range(ROUNDS + 1):
        measure("host_network", MACHINE)
    with tempfile.TemporaryDirectory() as directory:
        inventory = pathlib.Path(directory) / "systemd.json"
        inventory.write_text(json.dumps(SYSTEMD), encoding="utf-8")
        try:
            playbook(lab, ["kubernetes_server"], ["pod_balanced.yml"])
            copy_images(lab, version)
            playbook(lab, ["server"], [str(inventory)], "--limit=systemd")
            for _round in range(ROUNDS + 1):
                measure("load_balancer", SERVICE)
                measure("systemd", MACHINE)
        finally:
            machine.run(f"systemctl disable --now --quiet {UNITS} 2>/dev/null || true")
            playbook(lab, ["kubernetes_server"], [])
    best = {server: [max(column) for column in zip(*rows[1:])] for server, rows in found.items()}
    print(f"{size / 1e6:.0f} MB by{'HTTP':>13}{'NBD':>13}{'HTTP':>8}{'NBD':>8} of systemd's")
    for server, (http, nbd) in best.items():
        print(f"{server:14}{http:8.1f} MB/s{nbd:8.1f} MB/s{http / best['systemd'][0]:8.2f}{nbd / best['systemd'][1]:8.2f}")


def seconds(machine: Remote, command: str) -> float:
    begin, end = map(float, machine.run(f"set -e; date +%s.%N; {command}; date +%s.%N").split())
    return end - begin


def copy_images(lab: pathlib.Path, version: str) -> None:
    """Bring an image from the builder to the machine."""
    ssh = ["ssh", "-F", f"{lab}/ssh_config"]
    with subprocess.Popen([*ssh, "ltsp-1", f"tar -C /srv/ltsp/public/images -cf - node/current node/{version}"], stdout=subprocess.PIPE) as source:
        subprocess.run([*ssh, "kube-1", "mkdir -p /srv/ltsp/public/images && tar -C /srv/ltsp/public/images -xf -"], stdin=source.stdout, check=True)


if __name__ == "__main__":
    main()
