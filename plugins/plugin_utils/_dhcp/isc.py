# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in the syntax of ISC dhcpd, dhcpd.conf(5)."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator

from ansible_collections.serverfarm.ltsp.plugins.module_utils._net import mac_dashes
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.options import OPTION_TYPES, Definition, Octets, Option
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.plan import (
    BootFile,
    Clients,
    DhcpError,
    Extra,
    Host,
    Network,
    Plan,
    Pool,
    Range,
    Settings,
    Subnet,
)
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import text

# Conditions on the architecture need a definition, because dhcpd does not know this option.
_DEFINITIONS = {"architecture": Definition(93, OPTION_TYPES["architecture"])}


def read_statements(value: t.Any) -> list[str]:
    """Check that each statement ends, so that it cannot swallow the next line."""
    statements = [text(statement, "statement") for statement in to_list(value, separator="\n")]
    for statement in statements:
        if not statement.endswith((";", "}")):
            raise DhcpError(f"{statement!r} is not a statement: end it with a semicolon")
    return statements


EXTRA = Extra("isc_dhcp_extra", ("extra",), read_statements)


def render(plan: Plan) -> str:
    """Write the content of dhcpd.conf. The interfaces are no part of it: dhcpd takes them as arguments."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    for name, definition in {**_DEFINITIONS, **plan.definitions}.items():
        yield f"option {name} code {definition.code} = {definition.type};"
    yield f"ignore-client-uids {_boolean(plan.ignore_client_identifiers)};"
    yield from _settings(plan.settings)
    for block in (*map(_network, plan.networks), *map(_subnet, plan.subnets), *_hosts(plan.hosts)):
        yield ""
        yield from block


def _block(head: str, *parts: Iterable[str]) -> Iterator[str]:
    yield f"{head} {{"
    for part in parts:
        yield from (f"    {line}" if line else line for line in part)
    yield "}"


def _network(network: Network) -> Iterator[str]:
    return _block(f"shared-network {network.name}", _settings(network.settings), *map(_subnet, network.subnets))


def _subnet(subnet: Subnet) -> Iterator[str]:
    head = f"subnet {subnet.network.network_address} netmask {subnet.network.netmask}"
    return _block(head, _settings(subnet.settings), _ranges(subnet.ranges), *map(_pool, subnet.pools))


def _pool(pool: Pool) -> Iterator[str]:
    permits = (f"{verb} {_clients(clients)};" for verb, permitted in (("allow", pool.allow), ("deny", pool.deny)) for clients in permitted)
    return _block("pool", permits, _settings(pool.settings), _ranges(pool.ranges))


def _clients(clients: Clients) -> str:
    return clients.kind or f'members of "{clients.class_name}"'


def _ranges(ranges: Iterable[Range]) -> Iterator[str]:
    return (f"range {addresses.first} {addresses.last};" for addresses in ranges)


def _hosts(hosts: Iterable[Host]) -> Iterator[Iterator[str]]:
    """Declare each network card by itself, because dhcpd takes one hardware address in a declaration."""
    names = {host.name for host in hosts}
    for host in hosts:
        for number, mac in enumerate(host.macs, 1):
            name = host.name if number == 1 else f"{host.name}-{number}"
            if number > 1 and name in names:
                name = f"{host.name}-{mac_dashes(mac)}"
            yield _block(f"host {name}", (f"hardware ethernet {mac};", f"fixed-address {host.ip};"), _settings(host.settings))


def _settings(settings: Settings) -> Iterator[str]:
    if settings.authoritative is not None:
        yield "authoritative;" if settings.authoritative else "not authoritative;"
    if settings.default_lease_time is not None:
        yield f"default-lease-time {settings.default_lease_time};"
    if settings.max_lease_time is not None:
        yield f"max-lease-time {settings.max_lease_time};"
    if settings.next_server is not None:
        yield f"next-server {settings.next_server};"
    for option in settings.options:
        yield f"option {option.name} {', '.join(_value(value, option) for value in option.values)};"
    yield from _filenames(settings.filenames)
    for statement in settings.extra:
        yield from statement.splitlines()


def _filenames(filenames: Iterable[BootFile]) -> Iterator[str]:
    for number, file in enumerate(filenames):
        statement = f"filename {_quoted(file.filename)};"
        if file.architectures:
            condition = " or ".join(f"option architecture = {code >> 8:02x}:{code & 255:02x}" for code in file.architectures)
            yield f"{'elsif' if number else 'if'} {condition} {{ {statement} }}"
        else:
            yield f"else {{ {statement} }}" if number else statement


def _value(value: bool | int | str, option: Option) -> str:
    if isinstance(value, bool):
        return _boolean(value)
    if isinstance(value, (int, Octets)) or option.element_type == "ip-address":
        return str(value)
    return _quoted(value)


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
