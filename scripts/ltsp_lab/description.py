# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a lab: machines with firmware, memory, cards and disks, and containers."""

from __future__ import annotations

import dataclasses
import enum
import typing as t

NETWORK = "10.77.0"
"""First three octets of the lab's /24 network, which exists in its namespace only."""
BUILDER = "ltsp-1"
BUILDER_ADDRESS = f"{NETWORK}.1"
CONTROL_PLANE = "cp-1"
KUBERNETES_MACHINE = "kube-1"
REGISTRY = f"{NETWORK}.1:5000"
SERVERS = ("systemd", "kubernetes")
"""The ways to run the services of the boot server."""

_SERIAL = "console=ttyS0,115200n8"
_MACHINE_PACKAGES = ("conntrack", "containerd", "containernetworking-plugins", "ethtool", "iptables", "kmod", "mount", "nftables", "runc", "socat")


class Firmware(enum.Enum):
    """The firmware of a machine, or its substitute."""

    BIOS = "BIOS"
    UEFI = "UEFI"
    KERNEL = "kernel"
    """QEMU itself, which has the kernel and the initrd of an installed machine."""
    NONE = "none"
    """User-mode Linux, which runs the image's initrd and its systemd as processes of this machine."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine of the lab, virtual or of user-mode Linux."""

    name: str
    number: int
    """Last octet of its address."""
    firmware: Firmware
    macs: tuple[str, ...]
    """A network card each, the first one is booted from."""
    memory: int
    """MiB."""
    disks: tuple[int, ...] = ()
    """Sizes of blank disks in GiB."""
    processors: int = 1
    kernel_args: tuple[str, ...] = ()
    """Added to the kernel command line by the loader of a machine without firmware."""

    @property
    def address(self) -> str:
        return f"{NETWORK}.{self.number}"

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of its cards in the namespace."""
        return (self.name, *(f"{self.name}.{card}" for card in range(2, len(self.macs) + 1)))

    @property
    def record(self) -> dict[str, t.Any]:
        """The machine as JSON has it."""
        return {**dataclasses.asdict(self), "firmware": self.firmware.value, "macs": list(self.macs)}

    @classmethod
    def restore(cls, record: dict[str, t.Any]) -> Machine:
        """The machine of a record."""
        tuples = {key: tuple(record[key]) for key in ("macs", "disks", "kernel_args")}
        return cls(**{**record, **tuples, "firmware": Firmware(record["firmware"])})


@dataclasses.dataclass(frozen=True)
class Installed:
    """A container or a virtual machine with an installed Debian; it stays, with all that is in it."""

    name: str
    number: int
    group: str
    packages: tuple[str, ...] = ()

    @property
    def variables(self) -> dict[str, t.Any]:
        """It as the role ltsp_lab takes it."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Lab:
    """A whole lab."""

    nodes: tuple[Machine, ...]
    kubernetes: bool = False
    server: str = "systemd"

    @property
    def on_kubernetes(self) -> bool:
        """Whether the boot server is a pod."""
        return self.server == "kubernetes"

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The virtual machines with an installed Debian."""
        if not self.on_kubernetes:
            return ()
        return (Machine(KUBERNETES_MACHINE, 3, Firmware.KERNEL, ("52:54:00:77:01:03",), 2048, processors=2),)

    @property
    def variables(self) -> dict[str, t.Any]:
        """The lab as the role ltsp_lab takes it, but for places and versions."""
        control_plane = Installed(CONTROL_PLANE, 2, "kube_control_plane", ("etcd-server",))
        machine = [Installed(found.name, found.number, "ltsp_kubernetes_servers", _MACHINE_PACKAGES).variables for found in self.machines]
        pods = [*self.machines, *(self.nodes if self.kubernetes else ())]
        return {
            "ltsp_lab_server_group": "ltsp_builders" if self.on_kubernetes else "ltsp_servers",
            "ltsp_lab_registry": REGISTRY if self.on_kubernetes else "",
            "ltsp_lab_containers": [control_plane.variables] if self.kubernetes else [],
            "ltsp_lab_machines": machine,
            "ltsp_lab_routes": [{"to": f"10.244.{found.number}.0/24", "via": found.address} for found in pods],
            "ltsp_lab_nodes": [{"name": node.name, "number": node.number, "macs": list(node.macs), "variables": _variables(node)} for node in self.nodes],
        }


def describe(nodes: int = 2, *, fast: bool = False, kubernetes: bool = False, server: str = "systemd") -> Lab:
    """The lab of these options: odd nodes have a BIOS and their root on NBD, even ones UEFI and their root in RAM; `fast` ones have no firmware."""
    return Lab(tuple(_node(index, fast=fast, kubernetes=kubernetes) for index in range(1, nodes + 1)), kubernetes, server)


def _node(index: int, *, fast: bool, kubernetes: bool) -> Machine:
    firmware = Firmware.NONE if fast else Firmware.BIOS if index % 2 else Firmware.UEFI
    memory = 1024 if fast else 2560 if kubernetes else 1536
    return Machine(f"node{index}", 10 + index, firmware, (f"52:54:00:77:00:{index:02x}",), memory, disks=(4,))


def _variables(node: Machine) -> dict[str, t.Any]:
    """The variables of a node in the inventory beside its addresses."""
    root = {"ltsp_node_transports": ["nbd"], "ltsp_node_ram": False} if node.number % 2 else {}
    return {**root, "ltsp_node_kernel_args": [] if node.firmware is Firmware.NONE else [_SERIAL]}
