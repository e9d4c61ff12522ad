# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot description of a machine and its checks, for all boot loaders."""

from __future__ import annotations

import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._net import mac_dashes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._transports import TRANSPORTS

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = 1
DEFAULT = "default"
UNKNOWN = "unknown machines"

_SHOWN_PROBLEMS = 10


class BootError(LtspError):
    """A machine cannot get a description; the message names it, the value and the remedy."""


class References(t.NamedTuple):
    """A loader's syntax for values that are unknown until a machine boots: of the machine, and of the image version."""

    mac: str
    server: str
    squashfs: str
    export: str
    arguments: str


class Description(t.NamedTuple):
    """The boot description of one machine. An unknown machine has neither name nor addresses; without a server it uses the one that served its loader."""

    name: str | None
    mac: str | None
    ip: str | None
    image: str
    image_version: str | None
    server: str | None
    ports: Mapping[str, int]
    transports: list[str]
    ram: bool
    overlay: str
    config: str
    kernel_args: list[str]

    @property
    def label(self) -> str:
        """The machine in a message."""
        return self.name or UNKNOWN

    @property
    def file_name(self) -> str:
        """The name of the machine's files, without suffix."""
        return mac_dashes(self.mac) if self.mac else DEFAULT

    @property
    def version_directory(self) -> str:
        """The directory of the image version below /images; `current` is a link."""
        return f"{self.image}/{self.image_version or 'current'}"

    def document(self) -> dict[str, t.Any]:
        """Return the description as it is written to the JSON file: flat, with NAME_port for each offered transport."""
        document: dict[str, t.Any] = {"schema": SCHEMA}
        for key, value in self._asdict().items():
            document.update({f"{transport}_port": port for transport, port in value.items()} if key == "ports" else {key: value})
        return document

    def authority(self, transport: str, loader_server: str) -> str:
        """Return the server of a transport for a URL, with its port unless it is the usual one."""
        server, port = self.server or loader_server, self.ports[transport]
        return server if port == TRANSPORTS[transport].port else f"{server}:{port}"

    def kernel_command_line(self, loader: References) -> str:
        """Return the kernel command line in the syntax of a loader."""
        roots = [TRANSPORTS[name].locator(self.authority(name, loader.server), loader.squashfs, loader.export) for name in self.transports]
        arguments = [
            "boot=ltsp",
            "init=/sbin/init-ltsp",
            "ip=dhcp",
            f"BOOTIF=01-{mac_dashes(self.mac) if self.mac else loader.mac}",
            "panic=30",
            f"ltsp.root={','.join(roots)}",
            *(["ltsp.ram=1"] if self.ram else []),
            f"ltsp.overlay={self.overlay}",
            f"ltsp.conf=http://{self.authority('http', loader.server)}{self.config}",
            loader.arguments,
            *self.kernel_args,
        ]
        return " ".join(arguments)


def describe(node: Mapping[str, t.Any], mac: str | None, ports: Mapping[str, int]) -> Description:
    """Describe what `node` boots from its network card `mac`, or what an unknown machine boots when there is no `mac`.

    `ports` are those of the transports that the boot servers offer.
    """
    description = Description(
        name=node["name"] if mac else None,
        mac=mac,
        ip=node["ip"] if mac else None,
        image=node["image"],
        image_version=node["image_version"] or None,
        server=node["server_address"] if mac else node.get("server_address") or None,
        ports=ports,
        transports=list(node["transports"]),
        ram=node["ram"],
        overlay=node["overlay"],
        config=f"/config/nodes/{mac_dashes(mac)}.conf" if mac else "/config/lts.conf",
        kernel_args=list(node["kernel_args"]),
    )
    _check_transports(description)
    return description


def missing_images(nodes: Iterable[Mapping[str, t.Any]], default: Mapping[str, t.Any] | None, images: Iterable[Mapping[str, t.Any]], server: str) -> list[str]:
    """Return a problem for each node of `server`, and for unknown machines, whose image or version is not among `images`."""
    versions = {image["name"]: [version["version"] for version in image["versions"]] for image in images}
    current = {image["name"]: image["current"] for image in images}
    problems: list[str] = []
    wanted = [(f"node {node['name']}", "ltsp_node_image", node) for node in nodes if node["server"] == server]
    if default is not None:
        wanted.append((UNKNOWN, "ltsp_server_default_image", default))
    for label, variable, node in wanted:
        image, version = node["image"], node["image_version"]
        place = f"{label}: image {image} on server {server}"
        if image not in versions:
            problems.append(f"{place} does not exist (there is: {', '.join(sorted(versions)) or 'none'}): build it there, or correct {variable}")
        elif version and version not in versions[image]:
            problems.append(f"{place} has no version {version} (newest: {versions[image][0] if versions[image] else 'none'}): correct {variable}_version")
        elif not version and not current[image]:
            problems.append(f"{place} has no current version: build it again, or point {image}/current to a version")
    more = len(problems) - _SHOWN_PROBLEMS
    return problems[:_SHOWN_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])


def _check_transports(description: Description) -> None:
    if not description.transports:
        raise BootError(f"{description.label}: transports is empty: name at least one")
    for name in description.transports:
        if name not in TRANSPORTS:
            raise BootError(f"{description.label}: {name!r} is not a transport: use {' or '.join(TRANSPORTS)}")
        if name not in description.ports:
            raise BootError(
                f"{description.label}: the boot servers do not offer the transport {name}: use {' or '.join(description.ports)}, or set ports.{name}"
            )
