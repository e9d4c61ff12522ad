# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DHCP servers: one row for each."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp import isc
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.plan import DhcpError, Extra, Plan


class Renderer(t.NamedTuple):
    """Writes the configuration of one server, statements in its own syntax included."""

    extra: Extra
    render: Callable[[Plan], str]


RENDERERS = {
    "isc": Renderer(isc.EXTRA, isc.render),
}


def choose_renderer(server: str) -> Renderer:
    """Return the renderer of the DHCP server `server`."""
    if server not in RENDERERS:
        raise DhcpError(f"{server!r} is not a DHCP server: use {' or '.join(RENDERERS)}")
    return RENDERERS[server]
