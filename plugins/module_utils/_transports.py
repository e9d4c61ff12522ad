# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transports by which a node gets its root: one row for each."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping


class Transport(t.NamedTuple):
    """The URL of a transport's root on the kernel command line, and its server.

    `path` has the fields {squashfs} (path below the HTTP root) and {export} (name of an export) of an image version.
    """

    scheme: str
    port: int
    path: str
    always_in_ram: bool

    def locator(self, authority: str, squashfs: str, export: str) -> str:
        return f"{self.scheme}://{authority}{self.path.format(squashfs=squashfs, export=export)}"


TRANSPORTS = {
    "http": Transport(scheme="http", port=80, path="{squashfs}", always_in_ram=True),
    "nbd": Transport(scheme="nbd", port=10809, path="/{export}", always_in_ram=False),
}
"""The known transports by name."""

DEFAULT_TRANSPORTS = ("http", "nbd")
"""The transports of a node whose inventory names none, in their order. A new row in TRANSPORTS does not change them."""


def port_options() -> dict[str, dict[str, t.Any]]:
    """Return the options of the module option `ports`. Only the default transports have a default port, so that a server offers no other one unasked."""
    return {name: {"type": "int", **({"default": row.port} if name in DEFAULT_TRANSPORTS else {})} for name, row in TRANSPORTS.items()}


def former_port_options() -> dict[str, dict[str, t.Any]]:
    """Return the module options that ports had before there was `ports`."""
    return {_former_option(name): {"type": "int", "removed_in_version": "0.5.0", "removed_from_collection": "serverfarm.ltsp"} for name in DEFAULT_TRANSPORTS}


def given_ports(options: Mapping[str, t.Any]) -> dict[str, int | None]:
    """Return the ports in module options. A former option is stronger than `ports`, which has defaults."""
    former = {name: options.get(_former_option(name)) for name in DEFAULT_TRANSPORTS}
    return {**options["ports"], **{name: port for name, port in former.items() if port is not None}}


def offered_ports(ports: Mapping[str, int | None]) -> dict[str, int]:
    """Return the transports that a boot server offers, each with its port: those with a port in `ports`, which may have other daemons too."""
    return {name: port for name in TRANSPORTS if (port := ports.get(name)) is not None}


def _former_option(name: str) -> str:
    return f"{name}_port"
