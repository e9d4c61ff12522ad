# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemons of a boot server: one row for each, which systemd, the container image and Kubernetes read."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping

from ansible_collections.serverfarm.ltsp.plugins.module_utils._transports import TRANSPORTS

Probe = Callable[[str, int], dict[str, t.Any]]


class Service(t.NamedTuple):
    """A daemon of a boot server.

    Its name is that of its container and of its port in a pod, of its tasks roles/ltsp_server/tasks/NAME.yml, and of its start
    roles/ltsp_container/files/services/NAME.sh.
    """

    name: str
    protocol: t.Literal["TCP", "UDP"]
    port: int
    packages: tuple[str, ...]
    container_packages: tuple[str, ...]
    # Its probes in a pod, by name and port.
    probe: Probe
    # The patterns of those files of its packages that a container image leaves out.
    container_exclude: tuple[str, ...] = ()
    # The variable with its port. The port is fixed without one.
    variable: str = ""
    # Whether it reads the files of nodes, which a pod has in a volume.
    reads_nodes: bool = True
    # Shell commands that wait until its clients have gone, before it gets SIGTERM. Process 1 is the daemon, {port:04X} its port as in /proc/net.
    drain: str = ""


class Described(t.TypedDict):
    """A daemon as roles read it; `exposed_port` is written as in a container image. Nodes get their root from a transport."""

    name: str
    is_transport: bool
    variable: str
    port: t.Any
    exposed_port: str
    packages: list[str]
    container_packages: list[str]
    container_exclude: list[str]


def _bound(_name: str, port: int) -> dict[str, t.Any]:
    """Return a startup probe that looks for the UDP port in /proc. Kubernetes has no probe for UDP, and a program for each later probe would be expensive."""
    command = ["grep", "-Eq", f"^ *[0-9]+: [0-9A-F]{{8}}:{port:04X} ", "/proc/net/udp"]
    return {"startupProbe": {"exec": {"command": command}, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 60}}


def _open(name: str, _port: int) -> dict[str, t.Any]:
    return {"readinessProbe": {"tcpSocket": {"port": name}, "periodSeconds": 5, "timeoutSeconds": 5}}


_CONNECTED = "grep -Eq '^ *[0-9]+: [0-9A-F]+:{port:04X} [0-9A-F]+:[0-9A-F]+ 01 ' /proc/net/tcp /proc/net/tcp6 2>/dev/null"

_ROWS = (
    Service(name="tftp", protocol="UDP", port=69, packages=("tftpd-hpa",), container_packages=("dnsmasq-base",), probe=_bound),
    Service(
        name="http",
        protocol="TCP",
        port=TRANSPORTS["http"].port,
        packages=("nginx",),
        container_packages=("nginx",),
        probe=_open,
        variable="ltsp_server_http_port",
        drain="kill -QUIT 1; while kill -0 1 2>/dev/null; do sleep 1; done",
    ),
    Service(
        name="nbd",
        protocol="TCP",
        port=TRANSPORTS["nbd"].port,
        packages=("nbd-server",),
        container_packages=("nbd-server",),
        probe=_open,
        container_exclude=("etc/nbd-server/*",),
        variable="ltsp_server_nbd_port",
        reads_nodes=False,
        drain=f"while {_CONNECTED}; do sleep 1; done",
    ),
)
SERVICES: dict[str, Service] = {service.name: service for service in _ROWS}
"""The daemons by name."""


def describe_services(variables: Mapping[str, t.Any]) -> list[Described]:
    """Describe the daemons of a boot server with these variables."""
    return [_describe(service, variables.get(service.variable, service.port) if service.variable else service.port) for service in SERVICES.values()]


def _describe(service: Service, port: t.Any) -> Described:
    return Described(
        name=service.name,
        is_transport=service.name in TRANSPORTS,
        variable=service.variable,
        port=port,
        exposed_port=f"{port}/{service.protocol.lower()}",
        packages=list(service.packages),
        container_packages=list(service.container_packages),
        container_exclude=list(service.container_exclude),
    )
