# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of network cards in one spelling."""

from __future__ import annotations

import re

from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError

_SPELLINGS = re.compile(
    r"""
    [0-9a-f]{1,2}(?P<octets>[:.-])[0-9a-f]{1,2}(?:(?P=octets)[0-9a-f]{1,2}){4}  # 52:54:0:77:0:1, 52-54-00-77-00-01
    | [0-9a-f]{4}(?P<quads>[:.-])[0-9a-f]{4}(?P=quads)[0-9a-f]{4}               # 5254.0077.0001
    | [0-9a-f]{6}[:-]?[0-9a-f]{6}                                               # 525400-770001, 525400770001
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


class AddressError(LtspError, ValueError):
    """The text is no hardware address of a network card."""


def normalize_mac(value: str) -> str:
    """Return the hardware address `value`, in whatever usual spelling it comes, as `52:54:00:77:00:01`."""
    text = value.strip().lower()
    match = _SPELLINGS.fullmatch(text)
    if match is None:
        raise AddressError(f"{value!r} is not a MAC address: write six pairs of hexadecimal digits, such as 52:54:00:77:00:01")
    separator = match["octets"]
    digits = "".join(octet.zfill(2) for octet in text.split(separator)) if separator else re.sub("[:.-]", "", text)
    if int(digits[:2], 16) & 1 or not int(digits, 16):
        raise AddressError(f"{value!r} is not the MAC address of a network card: it is a group address or zero")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def mac_dashes(mac: str) -> str:
    """Return a MAC address as it stands in file names: `52-54-00-77-00-01`."""
    return normalize_mac(mac).replace(":", "-")
