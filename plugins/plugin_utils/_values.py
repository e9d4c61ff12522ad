# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the inventory, which may come as text from a survey: checked, and in one form. Errors are ValueErrors."""

from __future__ import annotations

import ipaddress
import json
import re
import typing as t
from collections.abc import Mapping

from ansible_collections.serverfarm.ltsp.plugins.module_utils._net import normalize_mac
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list

HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.IGNORECASE | re.ASCII)

_SHOWN_PROBLEMS = 20
_TRUE = frozenset(("true", "yes", "on", "1"))
_FALSE = frozenset(("false", "no", "off", "0"))


def text(value: t.Any, what: str) -> str:
    """Return text without the blanks around it. YAML turns unquoted text such as 1.30 into other types, which are refused."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text: write the {what} in quotes")
    return str(value).strip()


def mapping(value: t.Any) -> dict[t.Any, t.Any]:
    """Take a dictionary, or the JSON text of one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is not valid JSON ({error}): correct it, or give the value as YAML") from None
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is not a dictionary: write {{KEY: value}}")
    return dict(value.items())


def boolean(value: t.Any) -> bool:
    """Return a truth value, which a survey hands over as text."""
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{value!r} is neither true nor false: use one of them")
    return word in _TRUE


def address(value: t.Any) -> str:
    """Return the IPv4 address of one machine."""
    try:
        parsed = ipaddress.IPv4Address(text(value, "address"))
    except ipaddress.AddressValueError:
        raise ValueError(f"{value!r} is not an IPv4 address: write it as in 10.77.0.11") from None
    if parsed.is_loopback or parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified:
        raise ValueError(f"{value!r} is not the address of one machine on a network: use that one")
    return str(parsed)


def mac_addresses(value: t.Any) -> list[str]:
    """Return the addresses of one machine's network cards in one spelling."""
    macs = [normalize_mac(text(mac, "MAC address")) for mac in to_list(value)]
    if not macs:
        raise ValueError("the list is empty: give the address of at least one network card")
    return no_repetition(macs)


def no_repetition(items: list[str]) -> list[str]:
    """Return `items`, unless one of them stands there twice."""
    for index, item in enumerate(items):
        if item in items[:index]:
            raise ValueError(f"{item} stands in the list twice: remove one")
    return items


def summary(problems: list[str]) -> str:
    """Say all problems at once, but not thousands."""
    rest = len(problems) - _SHOWN_PROBLEMS
    return "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {rest} more" if rest > 0 else "")
