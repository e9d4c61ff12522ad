# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each machine boots: descriptions as JSON, and the boot loader's files that are rendered from them."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._net import mac_dashes, normalize_mac

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = 1
DEFAULT = "default"
SUFFIXES = (".json", ".cfg")

_HTTP_PORT, _NBD_PORT = 80, 10809
# GRUB splits a command line at blanks and gives quotes, backslashes, dollars and globs a meaning of its own.
_WRITABLE = re.compile(r"[A-Za-z0-9_.,:=/+@%~!-]+")
# GRUB's own variable, for a machine whose description names no server.
_LOADER_SERVER = "$net_default_server"
_SHOWN_PROBLEMS = 10


class BootError(LtspError):
    """A machine cannot get a description; the message names it, the value and the remedy."""


class Ports(t.NamedTuple):
    """Where the boot servers listen."""

    http: int = _HTTP_PORT
    nbd: int = _NBD_PORT


class Description(t.TypedDict):
    """What one machine boots. One that nobody knows has neither name nor addresses, and may have no server but the one that it got its loader from."""

    schema: int
    name: t.Optional[str]
    mac: t.Optional[str]
    ip: t.Optional[str]
    image: str
    image_version: t.Optional[str]
    server: t.Optional[str]
    http_port: int
    nbd_port: int
    transports: list[str]
    ram: bool
    overlay: str
    config: str
    kernel_args: list[str]


def boot_files(nodes: Iterable[Mapping[str, t.Any]], default: Mapping[str, t.Any] | None, ports: Ports) -> dict[str, bytes]:
    """Give the files of all machines, name to content."""
    files: dict[str, bytes] = {}
    owners: dict[str, str] = {}
    for node in nodes:
        for address in node["macs"]:
            try:
                mac = normalize_mac(address)
            except ValueError as error:
                raise BootError(f"node {node['name']}: {error}") from error
            owner = owners.setdefault(mac, node["name"])
            if owner != node["name"]:
                raise BootError(f"nodes {owner} and {node['name']} both have the MAC address {mac}: give each its own")
            files.update(_files(mac_dashes(mac), describe(node, mac, ports)))
    if default is not None:
        files.update(_files(DEFAULT, describe(default, None, ports)))
    return files


def describe(node: Mapping[str, t.Any], mac: str | None, ports: Ports) -> Description:
    """Describe what `node` boots from its network card `mac`, or what an unknown machine boots when there is no `mac`."""
    return Description(
        schema=SCHEMA,
        name=node["name"] if mac else None,
        mac=mac,
        ip=node["ip"] if mac else None,
        image=node["image"],
        image_version=node["image_version"] or None,
        server=node["server_address"] if mac else node.get("server_address") or None,
        http_port=ports.http,
        nbd_port=ports.nbd,
        transports=list(node["transports"]),
        ram=node["ram"],
        overlay=node["overlay"],
        config=f"/config/nodes/{mac_dashes(mac)}.conf" if mac else "/config/lts.conf",
        kernel_args=list(node["kernel_args"]),
    )


def grub_script(description: Description) -> str:
    """Render the part of GRUB's configuration that belongs to one machine; the fixed part says how it is used."""
    who = description["name"] or "machines that nobody knows"
    for key, value in description.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and not _WRITABLE.fullmatch(item):
                raise BootError(f"{who}: {key}: GRUB cannot be given {item!r}: use letters, digits and _ . , : = / + @ % ~ ! - only")
    if not description["transports"]:
        raise BootError(f"{who}: transports is empty: name at least one")
    mac = mac_dashes(description["mac"]) if description["mac"] else "$ltsp_mac"
    wanted = f"{description['image']}/{description['image_version'] or 'current'}"
    server = _authority(description, "http")
    arguments = [
        "boot=ltsp",
        "init=/sbin/init-ltsp",
        "ip=dhcp",
        f"BOOTIF=01-{mac}",
        "panic=30",
        "ltsp.root=" + ",".join(_root(description, transport) for transport in description["transports"]),
        *(["ltsp.ram=1"] if description["ram"] else []),
        f"ltsp.overlay={description['overlay']}",
        f"ltsp.conf=http://{server}{description['config']}",
        "$ltsp_arguments",
        *description["kernel_args"],
    ]
    return (
        f'set ltsp_node="{description["name"] or "$ltsp_mac"}"\n'
        f'set ltsp_wanted="{wanted}"\n'
        f'set ltsp_http="(http,{server})"\n'
        f'source "/images/{wanted}/boot.cfg"\n'
        f'set ltsp_command_line="{" ".join(arguments)}"\n'
    )


def missing_images(nodes: Iterable[Mapping[str, t.Any]], default: Mapping[str, t.Any] | None, images: Iterable[Mapping[str, t.Any]], server: str) -> list[str]:
    """Say which nodes of `server`, and whether unknown machines, are to boot what is not among its `images`."""
    versions = {image["name"]: [version["version"] for version in image["versions"]] for image in images}
    current = {image["name"]: image["current"] for image in images}
    problems: list[str] = []
    wanted = [(f"node {node['name']}", "ltsp_node_image", node) for node in nodes if node["server"] == server]
    if default is not None:
        wanted.append(("machines that nobody knows", "ltsp_server_default_image", default))
    for who, variable, node in wanted:
        image, version = node["image"], node["image_version"]
        place = f"{who}: image {image} on server {server}"
        if image not in versions:
            problems.append(f"{place} does not exist (there is: {', '.join(sorted(versions)) or 'none'}): build it there, or correct {variable}")
        elif version and version not in versions[image]:
            problems.append(f"{place} has no version {version} (newest: {versions[image][0] if versions[image] else 'none'}): correct {variable}_version")
        elif not version and not current[image]:
            problems.append(f"{place} has no current version: build it again, or point {image}/current to a version")
    rest = len(problems) - _SHOWN_PROBLEMS
    return problems[:_SHOWN_PROBLEMS] + ([f"and {rest} more"] if rest > 0 else [])


def _files(name: str, description: Description) -> dict[str, bytes]:
    return {
        f"{name}.json": (json.dumps(description, indent=2) + "\n").encode(),
        f"{name}.cfg": f"# Rendered from {name}.json. The place to change it is the inventory.\n{grub_script(description)}".encode(),
    }


def _root(description: Description, transport: str) -> str:
    if transport == "http":
        return f"http://{_authority(description, transport)}${{ltsp_squashfs}}"
    if transport == "nbd":
        return f"nbd://{_authority(description, transport)}/${{ltsp_export}}"
    raise BootError(f"{description['name'] or 'machines that nobody knows'}: {transport!r} is not a transport: use http or nbd")


def _authority(description: Description, transport: str) -> str:
    server = description["server"] or _LOADER_SERVER
    port, usual = (description["http_port"], _HTTP_PORT) if transport == "http" else (description["nbd_port"], _NBD_PORT)
    return server if port == usual else f"{server}:{port}"
