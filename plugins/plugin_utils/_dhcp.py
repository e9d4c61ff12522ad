# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of dhcpd.conf: every value checked and in the words of ISC dhcpd, so that a template only lays it out."""

from __future__ import annotations

import bisect
import contextlib
import ipaddress
import itertools
import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.serverfarm.ltsp.plugins.module_utils._net import mac_dashes
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import HOST_NAME, address, boolean, mac_addresses, mapping, summary, text

ARCHITECTURE = {"architecture": {"code": 93, "type": "unsigned integer 16"}}

# The options of dhcp-options(5) that networks use, by the type that decides how dhcpd wants their values written.
_OPTIONS = {
    "array of ip-address": """
        cookie-servers domain-name-servers finger-server font-servers impress-servers irc-server log-servers lpr-servers mobile-ip-home-agent
        netbios-dd-server netbios-name-servers nis-servers nisplus-servers nntp-server ntp-servers pop-server resource-location-servers routers
        smtp-server time-servers www-server x-display-manager
    """,
    "ip-address": "broadcast-address router-solicitation-address subnet-mask swap-server",
    "text": """
        bootfile-name domain-name extensions-path host-name merit-dump netbios-scope nis-domain nisplus-domain root-path tftp-server-name
    """,
    "string": "dhcp-client-identifier user-class vendor-class-identifier vendor-encapsulated-options",
    "domain-list": "domain-search",
    "boolean": """
        all-subnets-local ieee802-3-encapsulation ip-forwarding mask-supplier non-local-source-routing perform-mask-discovery
        router-discovery tcp-keepalive-garbage trailer-encapsulation
    """,
    "integer 32": """
        arp-cache-timeout boot-size default-ip-ttl default-tcp-ttl dhcp-rebinding-time dhcp-renewal-time interface-mtu max-dgram-reassembly
        netbios-node-type path-mtu-aging-timeout tcp-keepalive-interval time-offset
    """,
}
OPTION_TYPES = {name: kind for kind, names in _OPTIONS.items() for name in names.split()}

_TYPE = re.compile(r"(array of )?(boolean|((un)?signed )?integer (8|16|32)|ip-address)|text|string|domain-list( compressed)?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*", re.ASCII)
_PRINTABLE = re.compile(r"[ -~]*")
_HEXADECIMAL = re.compile(r"[0-9a-f]{1,2}(:[0-9a-f]{1,2})+", re.IGNORECASE | re.ASCII)
_ARCHITECTURE_CODE = re.compile(r"[0-9a-f]{2}:[0-9a-f]{2}", re.IGNORECASE | re.ASCII)
_CLIENTS = re.compile(r'(un)?known-clients|all clients|dynamic bootp clients|(un)?authenticated clients|members of "[ -!#-~]+"')


class DhcpError(ValueError):
    """The variables ask for leases that cannot be; the message names the place, the value and the remedy."""


class _Span(t.NamedTuple):
    """Addresses from `first` to `last`, and what they are called where the operator wrote them."""

    first: int
    last: int
    name: str


def dhcpd_config(settings: Mapping[str, t.Any], nodes: Iterable[Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Turn the role's variables (without their prefix) and the node descriptions into what the template lays out."""
    with _at("isc_dhcp_option_definitions"):
        definitions = _definitions(settings["option_definitions"])
    reader = _Reader({**OPTION_TYPES, **{name: definition["type"] for name, definition in definitions.items()}})
    config = {"definitions": definitions, **reader.scope(settings, "isc_dhcp_")}
    with _at("isc_dhcp_ignore_client_uids"):
        config["ignore_client_uids"] = boolean(settings["ignore_client_uids"])
    with _at("isc_dhcp_shared_networks"):
        config["shared_networks"] = [reader.shared_network(network) for network in settings["shared_networks"]]
    with _at("isc_dhcp_subnets"):
        config["subnets"] = [reader.subnet(subnet) for subnet in settings["subnets"]]
    if not reader.subnets:
        raise DhcpError("isc_dhcp_subnets and isc_dhcp_shared_networks are empty: dhcpd needs at least the subnet of its own interface")
    subnets = _disjoint("subnet", reader.subnets)
    ranges = _disjoint("range", reader.ranges)
    with _at("isc_dhcp_hosts"):
        hosts = [reader.host(host) for host in settings["hosts"]]
    with _at("isc_dhcp_nodes"):
        hosts += [reader.host({**node, "next_server": node.get("server_address")}) for node in map(_node, nodes)]
    problems = [problem for host in hosts for problem in _misplaced(host, subnets, ranges)] + _conflicts(hosts)
    if problems:
        raise DhcpError(summary(problems))
    config["hosts"] = list(_declarations(hosts))
    return config


@contextlib.contextmanager
def _at(place: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DhcpError(f"{place}: {error}") from error


def _definitions(values: t.Any) -> dict[str, dict[str, t.Any]]:
    definitions = {}
    for name, value in {**ARCHITECTURE, **mapping(values)}.items():
        with _at(name):
            kind = text(value["type"], "type")
            if not _TYPE.fullmatch(kind):
                raise DhcpError(f"{kind!r} is not a type of a value: write it as dhcp-options(5) does, or define the option as a statement in isc_dhcp_extra")
            definitions[_word(name)] = {"code": _integer(value["code"]), "type": kind}
    return definitions


class _Reader:
    """Reads the levels of dhcpd.conf and remembers which addresses they speak of."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types
        self.subnets: list[_Span] = []
        self.ranges: list[_Span] = []

    def scope(self, values: Mapping[str, t.Any], prefix: str = "") -> dict[str, t.Any]:
        """Return what can be said at every level."""
        parameters: dict[str, t.Any] = {}
        for name, check in (("default_lease_time", _lease_time), ("max_lease_time", _lease_time), ("next_server", _machine)):
            if values.get(name) not in (None, ""):
                with _at(prefix + name):
                    parameters[name.replace("_", "-")] = check(values[name])
        options: dict[str, str] = {}
        with _at(f"{prefix}options"):
            for name, value in mapping(values.get("options") or {}).items():
                with _at(name):
                    if name not in self._types:
                        raise DhcpError("dhcpd knows the option only after a definition: give its code and type in isc_dhcp_option_definitions")
                    options[name] = _option(value, self._types[name])
        with _at(f"{prefix}authoritative"):
            authoritative = None if values.get("authoritative") in (None, "") else boolean(values["authoritative"])
        with _at(f"{prefix}filenames"):
            filenames = _filenames(values.get("filenames") or [])
        with _at(f"{prefix}extra"):
            extra = [_statement(statement) for statement in to_list(values.get("extra") or [], separator="\n")]
        return {"authoritative": authoritative, "parameters": parameters, "options": options, "filenames": filenames, "extra": extra}

    def shared_network(self, values: Mapping[str, t.Any]) -> dict[str, t.Any]:
        with _at(values["name"]):
            if not values["subnets"]:
                raise DhcpError("it has no subnets: give it at least one, or remove it")
            return {"name": _word(values["name"]), **self.scope(values), "subnets": [self.subnet(subnet) for subnet in values["subnets"]]}

    def subnet(self, values: Mapping[str, t.Any]) -> dict[str, t.Any]:
        with _at(values["subnet"]):
            try:
                network = ipaddress.IPv4Network(text(values["subnet"], "subnet"))
            except ValueError as error:
                raise DhcpError(f"it is not an IPv4 subnet ({error}): write it as in 10.77.0.0/24") from None
            self.subnets.append(_Span(int(network.network_address), int(network.broadcast_address), str(network)))
            subnet = {"address": str(network.network_address), "netmask": str(network.netmask), **self.scope(values)}
            subnet["ranges"] = self._ranges(values, network)
            subnet["pools"] = []
            for number, pool in enumerate(values.get("pools") or [], 1):
                with _at(f"pool {number}"):
                    subnet["pools"].append(self._pool(pool, network))
            return subnet

    def _pool(self, values: Mapping[str, t.Any], network: ipaddress.IPv4Network) -> dict[str, t.Any]:
        permits = [f"{permit} {_clients(clients)}" for permit in ("allow", "deny") for clients in to_list(values.get(permit) or [])]
        ranges = self._ranges(values, network)
        if not ranges:
            raise DhcpError("it has no ranges: give it at least one, or remove it")
        return {"permits": permits, **self.scope(values), "ranges": ranges}

    def _ranges(self, values: Mapping[str, t.Any], network: ipaddress.IPv4Network) -> list[str]:
        spans = [_range(value, network) for value in to_list(values.get("ranges") or [])]
        self.ranges += spans
        return [f"{ipaddress.IPv4Address(span.first)} {ipaddress.IPv4Address(span.last)}" for span in spans]

    def host(self, values: Mapping[str, t.Any]) -> dict[str, t.Any]:
        name = text(values["name"], "name")
        with _at(name):
            if not HOST_NAME.fullmatch(name):
                raise DhcpError("it is not a host name: use letters, digits, hyphens and dots only")
            scope = self.scope({**values, "options": {"host-name": name, **mapping(values.get("options") or {})}})
            return {"name": name, "macs": mac_addresses(values["macs"]), "ip": address(values["ip"]), **scope}


def _node(node: Mapping[str, t.Any]) -> dict[str, t.Any]:
    for key in ("name", "macs", "ip"):
        if not node.get(key):
            raise DhcpError(f"{node.get('name') or 'a node'}: it has no {key}: describe nodes as the filter ltsp_nodes does")
    return {key: node.get(key) for key in ("name", "macs", "ip", "server_address")}


def _range(value: t.Any, network: ipaddress.IPv4Network) -> _Span:
    with _at(f"range {value}"):
        first, _hyphen, last = text(value, "range").partition("-")
        ends = [ipaddress.IPv4Address(address(end)) for end in (first, last or first)]
        if ends[0] > ends[1]:
            raise DhcpError("it ends before it begins: exchange the two addresses")
        for end in ends:
            if end not in network:
                raise DhcpError(f"{end} is outside of the subnet: keep the range within {network}")
        return _Span(int(ends[0]), int(ends[1]), str(value))


def _declarations(hosts: list[dict[str, t.Any]]) -> Iterator[dict[str, t.Any]]:
    """Give each network card a declaration of its own, because dhcpd takes one hardware address in each."""
    names = {host["name"] for host in hosts}
    for host in hosts:
        for number, mac in enumerate(host["macs"], 1):
            name = host["name"] if number == 1 else f"{host['name']}-{number}"
            yield {**host, "name": f"{host['name']}-{mac_dashes(mac)}" if number > 1 and name in names else name, "mac": mac}


def _disjoint(what: str, spans: Iterable[_Span]) -> list[_Span]:
    ordered = sorted(spans)
    for before, after in itertools.pairwise(ordered):
        if after.first <= before.last:
            raise DhcpError(f"{what} {before.name} and {what} {after.name} overlap: each address may belong to one {what} only")
    return ordered


def _misplaced(host: Mapping[str, t.Any], subnets: list[_Span], ranges: list[_Span]) -> Iterator[str]:
    ip = int(ipaddress.IPv4Address(host["ip"]))
    subnet = _around(ip, subnets)
    if subnet is None:
        known = ", ".join(span.name for span in subnets[:5]) + (", ..." if len(subnets) > 5 else "")
        yield f"{host['name']}: {host['ip']} is in none of the subnets ({known}): correct the address, or add its subnet to isc_dhcp_subnets"
    elif ip in (subnet.first, subnet.last) and subnet.last - subnet.first > 1:
        yield f"{host['name']}: {host['ip']} is the network or broadcast address of {subnet.name}: choose another one"
    taken = _around(ip, ranges)
    if taken is not None:
        yield f"{host['name']}: {host['ip']} is in the range {taken.name}, from which other machines get theirs: choose one outside, or a smaller range"


def _around(ip: int, spans: list[_Span]) -> _Span | None:
    index = bisect.bisect_right(spans, ip, key=lambda span: span.first) - 1
    return spans[index] if index >= 0 and ip <= spans[index].last else None


def _conflicts(hosts: list[dict[str, t.Any]]) -> list[str]:
    problems = []
    owners: dict[tuple[str, str], int] = {}
    for index, host in enumerate(hosts):
        claims = [("host name", host["name"].lower()), ("IP address", host["ip"]), *(("MAC address", mac) for mac in host["macs"])]
        for claim in claims:
            other = owners.setdefault(claim, index)
            if other != index:
                problems.append(f"{host['name']}: {claim[0]} {claim[1]} is taken by {hosts[other]['name']} already: give each its own")
    return problems


def _option(value: t.Any, kind: str) -> str:
    if kind.startswith("array of "):
        return ", ".join(_value(item, kind[len("array of ") :]) for item in _items(value))
    if kind.startswith("domain-list"):
        return ", ".join(_quoted(item) for item in _items(value))
    return _value(value, kind)


def _items(value: t.Any) -> list[t.Any]:
    items = to_list(value) if isinstance(value, (str, list, tuple)) else [value]
    if not items:
        raise DhcpError("the list is empty: give at least one value, or remove the option")
    return items


def _value(value: t.Any, kind: str) -> str:
    if kind == "ip-address":
        return _machine(value)
    if kind == "boolean":
        return "true" if boolean(value) else "false"
    if kind.endswith(("8", "16", "32")):
        return str(_integer(value))
    if kind == "string" and isinstance(value, str) and _HEXADECIMAL.fullmatch(value):
        return str(value)
    return _quoted(value)


def _quoted(value: t.Any) -> str:
    plain = str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else text(value, "value")
    if not plain or not _PRINTABLE.fullmatch(plain):
        raise DhcpError(f"{value!r} cannot be written in quotes: use at least one printable ASCII character, and nothing else")
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _machine(value: t.Any) -> str:
    name = text(value, "address")
    with contextlib.suppress(ipaddress.AddressValueError):
        return str(ipaddress.IPv4Address(name))
    if not HOST_NAME.fullmatch(name) or name.replace(".", "").isdigit():
        raise DhcpError(f"{value!r} is neither an IPv4 address nor a host name: use one of them")
    return name


def _integer(value: t.Any) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise DhcpError(f"{value!r} is not a whole number: write one") from None


def _lease_time(value: t.Any) -> int:
    seconds = _integer(value)
    if seconds < 1 and seconds != -1:
        raise DhcpError(f"{value!r} is not a lease time: write seconds, or -1 for a lease that never ends")
    return seconds


def _filenames(values: Iterable[Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    filenames = []
    for value in values:
        codes = [_architecture(code) for code in to_list(value.get("architectures") or [])]
        filenames.append({"test": " or ".join(f"option architecture = {code}" for code in codes), "filename": _quoted(value["filename"])})
    if any(not filename["test"] for filename in filenames[:-1]):
        raise DhcpError("an entry without architectures is for all that is left: put it last")
    return filenames


def _architecture(value: t.Any) -> str:
    code = text(value, "architecture")
    if not _ARCHITECTURE_CODE.fullmatch(code):
        raise DhcpError(f"{value!r} is not a client architecture of RFC 4578: write it as in 00:07")
    return code.lower()


def _statement(value: t.Any) -> str:
    statement = text(value, "statement")
    if not statement.endswith((";", "}")):
        raise DhcpError(f"{statement!r} is not a statement: end it with a semicolon")
    return statement


def _clients(value: t.Any) -> str:
    clients = text(value, "clients")
    if not _CLIENTS.fullmatch(clients):
        raise DhcpError(f'{value!r} does not name clients: write known-clients, unknown-clients, all clients or members of "CLASS"')
    return clients


def _word(value: t.Any) -> str:
    word = text(value, "name")
    if not _WORD.fullmatch(word):
        raise DhcpError(f"{value!r} is not a name that dhcpd takes: use letters, digits, '.', '_' and '-', a letter first")
    return word
