# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a DHCP server: networks, leases, options and boot loaders, checked, and independent of any server's syntax."""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import ipaddress
import itertools
import re
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.options import (
    OPTION_TYPES,
    Definition,
    Option,
    machine,
    printable,
    read_definition,
    read_option,
    whole_number,
)
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import HOST_NAME, address, boolean, mac_addresses, mapping, summary, text

PREFIX = "dhcp_"
"""The prefix of the plan's variables. The settings are named without it."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*", re.ASCII)
_ARCHITECTURE = re.compile(r"[0-9a-f]{2}:[0-9a-f]{2}", re.IGNORECASE | re.ASCII)
_CLIENTS = re.compile(r'(?P<kind>(un)?known-clients|all clients|dynamic bootp clients|(un)?authenticated clients)|members of "(?P<name>[ -!#-~]+)"')


class DhcpError(ValueError):
    """The variables ask for an impossible lease; the message names the place, the value and the remedy."""


class Extra(t.NamedTuple):
    """Statements in the syntax of one server: the key that holds them, its former names, and their check."""

    key: str
    former: tuple[str, ...]
    read: Callable[[t.Any], list[str]]


class Range(t.NamedTuple):
    """Addresses from `first` to `last`, with their name in the inventory."""

    first: ipaddress.IPv4Address
    last: ipaddress.IPv4Address
    name: str


class BootFile(t.NamedTuple):
    """A boot loader for client architectures of RFC 4578; none stands for all others."""

    architectures: tuple[int, ...]
    filename: str


class Clients(t.NamedTuple):
    """A kind of clients, or the members of a class."""

    kind: str | None
    class_name: str | None


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of one level: the server, a network, a subnet, a pool or a host. None is not set. A lease time of -1 never ends."""

    authoritative: bool | None
    default_lease_time: int | None
    max_lease_time: int | None
    next_server: str | None
    options: tuple[Option, ...]
    filenames: tuple[BootFile, ...]
    extra: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Pool:
    """Ranges for some clients only."""

    allow: tuple[Clients, ...]
    deny: tuple[Clients, ...]
    settings: Settings
    ranges: tuple[Range, ...]


@dataclasses.dataclass(frozen=True)
class Subnet:
    """A subnet with the ranges of its dynamic addresses."""

    network: ipaddress.IPv4Network
    settings: Settings
    ranges: tuple[Range, ...]
    pools: tuple[Pool, ...]


@dataclasses.dataclass(frozen=True)
class Network:
    """Subnets that share one physical network."""

    name: str
    settings: Settings
    subnets: tuple[Subnet, ...]


@dataclasses.dataclass(frozen=True)
class Host:
    """A machine with a fixed address, the same for all of its network cards."""

    name: str
    macs: tuple[str, ...]
    ip: ipaddress.IPv4Address
    settings: Settings


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that a DHCP server has to know."""

    interfaces: tuple[str, ...]
    definitions: Mapping[str, Definition]
    ignore_client_identifiers: bool
    settings: Settings
    networks: tuple[Network, ...]
    subnets: tuple[Subnet, ...]
    hosts: tuple[Host, ...]
    former_keys: frozenset[str]
    """The former names of the key of extra statements that the inventory uses."""


def make_plan(settings: Mapping[str, t.Any], nodes: Iterable[Mapping[str, t.Any]], extra: Extra) -> Plan:
    """Check the variables, named without their prefix, and the node descriptions."""
    with _at(f"{PREFIX}option_definitions"):
        definitions = _definitions(settings["option_definitions"], extra.key)
    reader = _Reader({**OPTION_TYPES, **{name: definition.type for name, definition in definitions.items()}}, extra)
    with _at(f"{PREFIX}interfaces"):
        interfaces = tuple(to_list(settings["interfaces"]))
    server = reader.settings(settings, PREFIX)
    with _at(f"{PREFIX}ignore_client_identifiers"):
        ignore_client_identifiers = boolean(settings["ignore_client_identifiers"])
    with _at(f"{PREFIX}networks"):
        networks = tuple(reader.network(network) for network in settings["networks"])
    with _at(f"{PREFIX}subnets"):
        subnets = tuple(reader.subnet(subnet) for subnet in settings["subnets"])
    if not reader.subnets:
        raise DhcpError(f"{PREFIX}subnets and {PREFIX}networks are empty: give at least the subnet of the server's own interface")
    with _at(f"{PREFIX}hosts"):
        hosts = [reader.host(host) for host in settings["hosts"]]
    with _at(f"{PREFIX}nodes"):
        hosts += [reader.host({**node, "next_server": node.get("server_address")}) for node in map(_node, nodes)]
    _check_addresses(hosts, reader.subnets, reader.ranges)
    return Plan(interfaces, definitions, ignore_client_identifiers, server, networks, subnets, tuple(hosts), frozenset(reader.former_keys))


@contextlib.contextmanager
def _at(place: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DhcpError(f"{place}: {error}") from error


def _definitions(values: t.Any, extra: str) -> dict[str, Definition]:
    definitions = {}
    for name, value in mapping(values).items():
        with _at(name):
            definitions[_name(name)] = read_definition(value, extra)
    return definitions


class _Reader:
    """Reads the levels of the variables, and collects all subnets and ranges for the checks across them."""

    def __init__(self, types: Mapping[str, str], extra: Extra) -> None:
        self._types = types
        self._extra = extra
        self.subnets: list[Range] = []
        self.ranges: list[Range] = []
        self.former_keys: set[str] = set()

    def settings(self, values: Mapping[str, t.Any], prefix: str = "") -> Settings:
        """Read the settings that all levels have."""

        def optional(key: str, check: Callable[[t.Any], t.Any]) -> t.Any:
            with _at(prefix + key):
                return None if values.get(key) in (None, "") else check(values[key])

        return Settings(
            default_lease_time=optional("default_lease_time", _lease_time),
            max_lease_time=optional("max_lease_time", _lease_time),
            next_server=optional("next_server", machine),
            options=optional("options", self._options) or (),
            authoritative=optional("authoritative", boolean),
            filenames=optional("filenames", _filenames) or (),
            extra=tuple(self._statements(values)),
        )

    def _options(self, values: t.Any) -> tuple[Option, ...]:
        options = []
        for name, value in mapping(values).items():
            with _at(name):
                options.append(read_option(name, value, self._types, f"{PREFIX}option_definitions"))
        return tuple(options)

    def _statements(self, values: Mapping[str, t.Any]) -> Iterator[str]:
        for key in (*self._extra.former, self._extra.key):
            if values.get(key):
                with _at(key):
                    yield from self._extra.read(values[key])
                if key != self._extra.key:
                    self.former_keys.add(key)

    def network(self, values: Mapping[str, t.Any]) -> Network:
        with _at(values["name"]):
            if not values["subnets"]:
                raise DhcpError("it has no subnets: give it at least one, or remove it")
            return Network(_name(values["name"]), self.settings(values), tuple(self.subnet(subnet) for subnet in values["subnets"]))

    def subnet(self, values: Mapping[str, t.Any]) -> Subnet:
        with _at(values["subnet"]):
            network = _network(values["subnet"])
            self.subnets.append(Range(network.network_address, network.broadcast_address, str(network)))
            settings = self.settings(values)
            ranges = self._ranges(values, network)
            return Subnet(network, settings, ranges, tuple(self._pools(values.get("pools") or [], network)))

    def _pools(self, pools: Iterable[Mapping[str, t.Any]], network: ipaddress.IPv4Network) -> Iterator[Pool]:
        for number, values in enumerate(pools, 1):
            with _at(f"pool {number}"):
                allow, deny = (tuple(_clients(clients) for clients in to_list(values.get(permit) or [])) for permit in ("allow", "deny"))
                ranges = self._ranges(values, network)
                if not ranges:
                    raise DhcpError("it has no ranges: give it at least one, or remove it")
                yield Pool(allow, deny, self.settings(values), ranges)

    def _ranges(self, values: Mapping[str, t.Any], network: ipaddress.IPv4Network) -> tuple[Range, ...]:
        ranges = tuple(_range(value, network) for value in to_list(values.get("ranges") or []))
        self.ranges += ranges
        return ranges

    def host(self, values: Mapping[str, t.Any]) -> Host:
        name = text(values["name"], "name")
        with _at(name):
            if not HOST_NAME.fullmatch(name):
                raise DhcpError("it is not a host name: use letters, digits, hyphens and dots only")
            settings = self.settings({**values, "options": {"host-name": name, **mapping(values.get("options") or {})}})
            return Host(name, tuple(mac_addresses(values["macs"])), ipaddress.IPv4Address(address(values["ip"])), settings)


def _node(node: Mapping[str, t.Any]) -> dict[str, t.Any]:
    for key in ("name", "macs", "ip"):
        if not node.get(key):
            raise DhcpError(f"{node.get('name') or 'a node'}: it has no {key}: describe nodes as the filter ltsp_nodes does")
    return {key: node.get(key) for key in ("name", "macs", "ip", "server_address")}


def _network(value: t.Any) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text(value, "subnet"))
    except ValueError as error:
        raise DhcpError(f"it is not an IPv4 subnet ({error}): write it as in 10.77.0.0/24") from None


def _range(value: t.Any, network: ipaddress.IPv4Network) -> Range:
    with _at(f"range {value}"):
        first, _hyphen, last = text(value, "range").partition("-")
        ends = [ipaddress.IPv4Address(address(end)) for end in (first, last or first)]
        if ends[0] > ends[1]:
            raise DhcpError("it ends before it begins: exchange the two addresses")
        for end in ends:
            if end not in network:
                raise DhcpError(f"{end} is outside of the subnet: keep the range within {network}")
        return Range(ends[0], ends[1], str(value))


def _check_addresses(hosts: list[Host], subnets: Iterable[Range], ranges: Iterable[Range]) -> None:
    """Refuse ranges that overlap, and fixed addresses that are taken or in the wrong place."""
    subnets = _disjoint("subnet", subnets)
    ranges = _disjoint("range", ranges)
    problems = [problem for host in hosts for problem in _misplaced(host, subnets, ranges)] + _conflicts(hosts)
    if problems:
        raise DhcpError(summary(problems))


def _disjoint(what: str, ranges: Iterable[Range]) -> list[Range]:
    ordered = sorted(ranges)
    for before, after in itertools.pairwise(ordered):
        if after.first <= before.last:
            raise DhcpError(f"{what} {before.name} and {what} {after.name} overlap: each address may belong to one {what} only")
    return ordered


def _misplaced(host: Host, subnets: list[Range], ranges: list[Range]) -> Iterator[str]:
    subnet = _around(host.ip, subnets)
    if subnet is None:
        known = ", ".join(subnet.name for subnet in subnets[:5]) + (", ..." if len(subnets) > 5 else "")
        yield f"{host.name}: {host.ip} is in none of the subnets ({known}): correct the address, or add its subnet to {PREFIX}subnets"
    elif host.ip in (subnet.first, subnet.last) and int(subnet.last) - int(subnet.first) > 1:
        yield f"{host.name}: {host.ip} is the network or broadcast address of {subnet.name}: choose another one"
    dynamic = _around(host.ip, ranges)
    if dynamic is not None:
        yield f"{host.name}: {host.ip} is in the range {dynamic.name} of dynamic addresses: choose one outside, or a smaller range"


def _around(ip: ipaddress.IPv4Address, ranges: list[Range]) -> Range | None:
    index = bisect.bisect_right(ranges, ip, key=lambda candidate: candidate.first) - 1
    return ranges[index] if index >= 0 and ip <= ranges[index].last else None


def _conflicts(hosts: list[Host]) -> list[str]:
    problems = []
    owners: dict[tuple[str, str], int] = {}
    for index, host in enumerate(hosts):
        claims = [("host name", host.name.lower()), ("IP address", str(host.ip)), *(("MAC address", mac) for mac in host.macs)]
        for claim in claims:
            other = owners.setdefault(claim, index)
            if other != index:
                problems.append(f"{host.name}: {claim[0]} {claim[1]} is taken by {hosts[other].name} already: give each its own")
    return problems


def _lease_time(value: t.Any) -> int:
    seconds = whole_number(value)
    if seconds < 1 and seconds != -1:
        raise DhcpError(f"{value!r} is not a lease time: write seconds, or -1 for a lease that never ends")
    return seconds


def _filenames(values: Iterable[Mapping[str, t.Any]]) -> tuple[BootFile, ...]:
    filenames = []
    for value in values:
        architectures = tuple(_architecture(code) for code in to_list(value.get("architectures") or []))
        filenames.append(BootFile(architectures, printable(value["filename"])))
    if any(not filename.architectures for filename in filenames[:-1]):
        raise DhcpError("an entry without architectures is for all others: put it last")
    return tuple(filenames)


def _architecture(value: t.Any) -> int:
    code = text(value, "architecture")
    if not _ARCHITECTURE.fullmatch(code):
        raise DhcpError(f"{value!r} is not a client architecture of RFC 4578: write it as in 00:07")
    return int(code.replace(":", ""), 16)


def _clients(value: t.Any) -> Clients:
    match = _CLIENTS.fullmatch(text(value, "clients"))
    if not match:
        raise DhcpError(f'{value!r} does not name clients: write known-clients, unknown-clients, all clients or members of "CLASS"')
    return Clients(match["kind"], match["name"])


def _name(value: t.Any) -> str:
    name = text(value, "name")
    if not _NAME.fullmatch(name):
        raise DhcpError(f"{value!r} is not a name: use letters, digits, '.', '_' and '-', a letter first")
    return name
