# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP options: their types, and values checked against them. Errors are ValueErrors."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import typing as t
from collections.abc import Iterator, Mapping

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import HOST_NAME, boolean, text

# The options of dhcp-options(5) that networks use, by the type of their values, and the client architecture of RFC 4578.
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
    "unsigned integer 16": "architecture",
}
OPTION_TYPES = {name: kind for kind, names in _OPTIONS.items() for name in names.split()}

_TYPE = re.compile(r"(array of )?(boolean|((un)?signed )?integer (8|16|32)|ip-address)|text|string|domain-list( compressed)?")
_PRINTABLE = re.compile(r"[ -~]*")
_OCTETS = re.compile(r"[0-9a-f]{1,2}(:[0-9a-f]{1,2})+", re.IGNORECASE | re.ASCII)


class Octets(str):
    """Octets in hexadecimal, separated by colons, as the inventory has them."""

    __slots__ = ()


class Definition(t.NamedTuple):
    """The code and the type of an option that the server does not know."""

    code: int
    type: str


class Option(t.NamedTuple):
    """An option with at least one value. Addresses, names and texts are a str, binary data are Octets."""

    name: str
    type: str
    values: tuple[bool | int | str, ...]

    @property
    def element_type(self) -> str:
        """The type of one value."""
        return self.type.removeprefix("array of ")


def read_definition(value: Mapping[str, t.Any], extra: str) -> Definition:
    """Check a definition. The variable `extra` is for types of the server's own."""
    kind = text(value["type"], "type")
    if not _TYPE.fullmatch(kind):
        raise ValueError(f"{kind!r} is not a type of a value: write it as dhcp-options(5) does, or define the option as a statement in {extra}")
    return Definition(whole_number(value["code"]), kind)


def read_option(name: str, value: t.Any, types: Mapping[str, str], definitions: str) -> Option:
    """Check an option of one of `types`. The variable `definitions` adds a type."""
    if name not in types:
        raise ValueError(f"the option is unknown: give its code and type in {definitions}")
    option = Option(name, types[name], ())
    return option._replace(values=tuple(_values(value, option)))


def _values(value: t.Any, option: Option) -> Iterator[bool | int | str]:
    if option.type != option.element_type or option.type.startswith("domain-list"):
        return (_value(item, option.element_type) for item in _items(value))
    return iter((_value(value, option.type),))


def _items(value: t.Any) -> list[t.Any]:
    items = to_list(value) if isinstance(value, (str, list, tuple)) else [value]
    if not items:
        raise ValueError("the list is empty: give at least one value, or remove the option")
    return items


def _value(value: t.Any, kind: str) -> bool | int | str:
    if kind == "ip-address":
        return machine(value)
    if kind == "boolean":
        return boolean(value)
    if kind.endswith(("8", "16", "32")):
        return whole_number(value)
    if kind == "string" and isinstance(value, str) and _OCTETS.fullmatch(value):
        return Octets(value)
    return printable(value)


def printable(value: t.Any) -> str:
    """Return text that every server can hand over; a number is text, too."""
    plain = str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else text(value, "value")
    if not plain or not _PRINTABLE.fullmatch(plain):
        raise ValueError(f"{value!r} is empty or has characters that are not printable ASCII: use at least one such character, and no others")
    return plain


def machine(value: t.Any) -> str:
    """Return the IPv4 address or host name of a machine."""
    name = text(value, "address")
    with contextlib.suppress(ipaddress.AddressValueError):
        return str(ipaddress.IPv4Address(name))
    if not HOST_NAME.fullmatch(name) or name.replace(".", "").isdigit():
        raise ValueError(f"{value!r} is neither an IPv4 address nor a host name: use one of them")
    return name


def whole_number(value: t.Any) -> int:
    """Return a whole number, which a survey hands over as text."""
    try:
        return int(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a whole number: write one") from None
