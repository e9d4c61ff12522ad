# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of faults and transports: the fault, the message on the console, and the end of the boot. docs/runtime.md has the same table in words."""

from __future__ import annotations

import dataclasses

HTTP, NBD_TO_RAM, NBD = "http", "nbd-to-ram", "nbd"
SERVER, GATEWAY = "10.77.0.1", "10.77.0.254"
FAULTY, LATE = 8090, 8091
"""Ports of the web server with faults: from the beginning, and from the moment on when the trouble is over."""
NO_PORT = 8099
_ZEROS = "0" * 64


@dataclasses.dataclass(frozen=True)
class Fault:
    """A boot. In its arguments {good} is the URI of the boot server's own image by HTTP, {export} by NBD, {port} the port of its own server."""

    name: str
    transport: str
    says: str
    """A pattern of the message on the console, which names the cause."""
    arguments: tuple[str, ...]
    """On the kernel command line, where the last of equal ones counts."""
    root: str = ""
    """Where the node has its root from at the end, or at first where it dies; empty: it stops."""
    ends: str = "boots"
    """boots, retries (says THIS NODE CANNOT BOOT and boots when the fault is repaired), runs on (without its server), loses its root (and does not restart), or
    panics (and starts again)."""
    trouble: str = ""
    """What happens in the middle of the copy, or after the boot: kill or stop, of its own server; or repair."""
    damage: str = ""
    """How the export of its NBD server differs from the image: flipped or short."""
    memory: int = 0
    conf: str = ""
    """An lts.conf of its own."""
    proof: str = "true"
    """A command on the node that proves that the rest works."""
    long: bool = False

    @property
    def id(self) -> str:
        return f"{self.name}-{self.transport}"


def _http(fault: str, *more: str) -> tuple[str, ...]:
    return (f"ltsp.root=http://{GATEWAY}:{FAULTY}/{fault}/root.squashfs,{{export}}", "ltsp.ram=0", *more)


def _nbd_to_ram(*more: str) -> tuple[str, ...]:
    return (f"ltsp.root=nbd://{SERVER}:{{port}}/fault,{{good}}", "ltsp.ram=1", *more)


def _nbd(*more: str) -> tuple[str, ...]:
    return (f"ltsp.root=nbd://{SERVER}:{{port}}/fault,{{good}}", "ltsp.ram=0", *more)


def _conf(uri: str) -> tuple[str, ...]:
    return ("ltsp.root={good}", f"ltsp.conf={uri}")


_OWN_CONF = f"http://{GATEWAY}:{FAULTY}/{{name}}.conf"
_CAME = r"[0-9]+ of [0-9]+ bytes came"
_DIGEST = r"refused: SHA-256 is [0-9a-f]{64} and should be"
_MEMORY = r"the image has [0-9]+ MiB and this node [0-9]+ MiB of free memory"
_REFUSED = r"Connection refused"

FAULTS = [
    Fault("gone-before", HTTP, _REFUSED, (f"ltsp.root=http://{GATEWAY}:{NO_PORT}/root.squashfs,{{export}}", "ltsp.ram=0"), "nbd", long=True),
    Fault("gone-before-without-other", HTTP, _REFUSED, (f"ltsp.root=http://{GATEWAY}:{LATE}/whole/root.squashfs",), "http", "retries", "repair"),
    Fault("gone-before", NBD_TO_RAM, _REFUSED, (f"ltsp.root=nbd://{SERVER}:{NO_PORT}/fault,{{good}}", "ltsp.ram=1"), "http", long=True),
    Fault("gone-before", NBD, _REFUSED, (f"ltsp.root=nbd://{SERVER}:{NO_PORT}/fault,{{good}}", "ltsp.ram=0"), "http"),
    Fault("gone-during", HTTP, _CAME, _http("reset"), "nbd"),
    Fault("gone-during", NBD_TO_RAM, _CAME, _nbd_to_ram(), "http", trouble="kill"),
    Fault("gone-after", HTTP, "root mounted", (f"ltsp.root=http://{GATEWAY}:{{port}}/whole/root.squashfs",), "http", "runs on", "kill"),
    Fault("gone-after", NBD_TO_RAM, "root mounted", _nbd_to_ram(), "nbd", "runs on", "kill", long=True),
    Fault("gone-after", NBD, "root mounted", _nbd(), "nbd", "loses its root", "kill"),
    Fault("wrong-digest", HTTP, _DIGEST, _http("whole", f"ltsp.sha256={_ZEROS}"), "nbd", long=True),
    Fault("wrong-digest", NBD_TO_RAM, _DIGEST, ("ltsp.root={export},{good}", "ltsp.ram=1", f"ltsp.sha256={_ZEROS}"), "", "retries"),
    Fault("wrong-digest", NBD, "dm-verity|refused", ("ltsp.root={export}", "ltsp.ram=0", f"ltsp.verity={_ZEROS}"), "", "retries", long=True),
    Fault("flipped-byte", HTTP, _DIGEST, _http("flipped"), "nbd"),
    Fault("flipped-byte", NBD_TO_RAM, _DIGEST, _nbd_to_ram(), "http", damage="flipped", long=True),
    Fault("flipped-byte", NBD, "root mounted", _nbd("panic=1"), "nbd", "panics", damage="flipped"),
    Fault("stalled", HTTP, _CAME, _http("stalled"), "nbd"),
    Fault("stalled", NBD_TO_RAM, _CAME, _nbd_to_ram(), "http", trouble="stop", long=True),
    Fault("silent", HTTP, "no answer", _http("silent"), "nbd", long=True),
    Fault("silent", NBD, "no answer", (f"ltsp.root=nbd://{GATEWAY}:{FAULTY}/fault,{{good}}", "ltsp.ram=0"), "http", long=True),
    Fault("short-answer", HTTP, _CAME, _http("short"), "nbd"),
    Fault("short-answer", NBD_TO_RAM, _DIGEST, _nbd_to_ram(), "http", damage="short", long=True),
    Fault("too-little-memory", HTTP, _MEMORY, ("ltsp.root={good},{export}", "ltsp.ram=0"), "nbd", memory=288),
    Fault("too-little-memory", NBD_TO_RAM, _MEMORY, ("ltsp.root={export}", "ltsp.ram=1"), "", "retries", memory=288, long=True),
    Fault("no-answer-for-lts.conf", HTTP, r"NO LTS\.CONF: .* did not come within 60 s", _conf(f"http://{GATEWAY}:{FAULTY}/silent/lts.conf"), "http"),
    Fault("no-server-for-lts.conf", HTTP, r"NO LTS\.CONF: .* did not come within 60 s", _conf(f"http://{GATEWAY}:{NO_PORT}/lts.conf"), "http", long=True),
    Fault(
        "broken-lts.conf",
        HTTP,
        r"lts\.conf.*line 2: HOSTS_1",
        _conf(_OWN_CONF),
        "http",
        conf='[default]\nHOSTS_1 = "10.0.0.9 nine\nHOSTS_2 = "10.0.0.8 eight"\n',
        proof="grep -q eight /etc/hosts",
    ),
    Fault(
        "failing-commands",
        HTTP,
        "PREINIT_1 failed with status 1",
        _conf(_OWN_CONF),
        "http",
        conf='[default]\nPREINIT_1 = "false"\nPREINIT_2 = "echo next >/etc/e2e-next"\nRCFILE_1 = "exit 3"\nRCFILE_2 = "echo next >/etc/e2e-never"\n',
        proof="[ -e /etc/e2e-next ] && [ ! -e /etc/e2e-never ] && systemctl is-active --quiet ssh"
        " && until systemctl is-failed --quiet ltsp-rc; do sleep 1; done && journalctl -u ltsp-rc | grep -q 'RCFILE_1 failed with status 3'",
    ),
]
