# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Kubernetes costs a node: seconds from power-on to Ready and where they went, memory while it is idle, and what it adds to the image.

Looks at a lab that scripts/lab --kubernetes has just made, whose nodes have not booted again since, and builds the image without Kubernetes beside it.
Usage: ANSIBLE_COLLECTIONS_PATH=... PYTHONPATH=scripts:tests/e2e python3 tests/benchmarks/kubernetes.py [LAB_DIRECTORY]
"""

from __future__ import annotations

import datetime
import json
import pathlib
import sys

from cluster import Cluster

from ltsp_lab.cluster import condition
from ltsp_lab.remote import Remote
from playbooks import playbook

# A node that takes longer from the power button to its kernel was not powered on, but booted again.
FIRMWARE = 120
STAGES = ["firmware", "boot", "engine", "join", "Ready"]
UNITS = {"containerd": "InactiveExitTimestampMonotonic", "kubernetes-join": "ExecMainStartTimestampMonotonic"}


def main() -> None:
    lab = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/var/lib/ltsp-lab")
    cluster = Cluster(Remote(lab, "cp-1"))
    nodes = [Remote(lab, name) for name in cluster.names("nodes")]
    print(f"{'':8}" + "".join(f"{stage:>10}" for stage in [*STAGES, "total"]))
    for node in nodes:
        times = moments(cluster, node)
        stages = [end - begin for begin, end in zip(times, times[1:])]
        print(f"{node.name:8}" + "".join(f"{seconds:8.1f} s" for seconds in [*stages, times[-1] - times[0]]))
    for node in nodes:
        print(f"{node.name:8} {memory(node)}")
    server = Remote(lab, "ltsp-1")
    playbook(lab, ["image"], [], "--extra-vars", '{"ltsp_image_name": "plain", "kubernetes_node_version": ""}')
    plain, full = (image_size(server, name) for name in ("plain", "node"))
    print(f"image    {full / 1e6:.0f} MB with Kubernetes, {plain / 1e6:.0f} MB without")


def moments(cluster: Cluster, node: Remote) -> list[float]:
    """Power-on, the kernel's start, the engine's, the join's, its end, and when the node was Ready."""
    on = (node.directory / "run" / f"{node.name}.pid").stat().st_mtime
    now, uptime = map(float, node.run("date +%s.%N && cut -d ' ' -f 1 /proc/uptime").split())
    kernel = now - uptime
    if kernel - on > FIRMWARE:
        sys.exit(f"{node.name} booted again {kernel - on:.0f} s after it was powered on; make the lab anew: scripts/lab --down, scripts/lab --kubernetes")
    starts = [kernel + microseconds(node, unit, name) / 1e6 for unit, name in UNITS.items()]
    joined = kernel + microseconds(node, "kubernetes-join", "ExecMainExitTimestampMonotonic") / 1e6
    ready = datetime.datetime.fromisoformat(condition(cluster.ready(node), "Ready")["lastTransitionTime"].replace("Z", "+00:00"))
    # The API has whole seconds.
    return [on, kernel, *starts, joined, max(joined, ready.timestamp())]


def microseconds(node: Remote, unit: str, name: str) -> int:
    return int(node.run(f"systemctl show --value --property={name} {unit}"))


def memory(node: Remote) -> str:
    """In MiB, with what the root in RAM and the writable layer take."""
    total, available = (int(node.run(f"awk '/^{key}:/ {{ print $2 }}' /proc/meminfo")) >> 10 for key in ("MemTotal", "MemAvailable"))
    services = {unit: int(node.run(f"systemctl show --value --property=MemoryCurrent {unit}")) >> 20 for unit in ("containerd", "kubelet")}
    return f"{total - available} of {total} MiB in use, " + ", ".join(f"{unit} {size}" for unit, size in services.items())


def image_size(server: Remote, name: str) -> int:
    manifest = json.loads(server.run(f"cat /srv/ltsp/public/images/{name}/current/manifest.json"))
    return int(manifest["files"]["root.squashfs"]["size"])


if __name__ == "__main__":
    main()
