# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm: the duties of hosts, the addresses of boot servers, and the defaults of a node."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Mapping

from ansible_collections.serverfarm.ltsp.plugins.module_utils._transports import DEFAULT_TRANSPORTS
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import text
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._variables import HostVariables

Groups = Mapping[str, Iterable[str]]

SERVER_ADDRESS = ("ltsp_server_address", "ansible_host")
"""The variables that give the address of a boot server, the first that is set."""

NODE_DEFAULTS: Mapping[str, t.Any] = {"image": "node", "image_version": None, "transports": DEFAULT_TRANSPORTS, "ram": True, "overlay": "50%"}
"""The defaults of a node."""


def hosts_for(duty: str, groups: Groups) -> list[str]:
    """Return the hosts that have the duty, in the order of the inventory."""
    if duty not in _DUTIES:
        raise ValueError(f"{duty!r} is not a duty of hosts: use one of {', '.join(_DUTIES)}")
    return _DUTIES[duty](groups)


def next_server(hostvars: Mapping[str, t.Any], groups: Groups) -> str:
    """Return the address or name of the first boot server, or "" without one: DHCP sends unknown machines there."""
    for server in _servers(groups):
        variables = HostVariables(server, hostvars[server])
        return next((value for value in (variables.optional(name, "", _address_or_name) for name in SERVER_ADDRESS) if value), server)
    return ""


def _address_or_name(value: t.Any) -> str:
    return text(value, "address or name")


def _group(name: str) -> Callable[[Groups], list[str]]:
    return lambda groups: list(groups.get(name, ()))


_control_plane = _group("kube_control_plane")
_kubernetes_servers = _group("ltsp_kubernetes_servers")
_nodes = _group("ltsp_nodes")
_servers = _group("ltsp_servers")


def _managed_servers(groups: Groups) -> list[str]:
    on_kubernetes = frozenset(_kubernetes_servers(groups))
    return [host for host in _servers(groups) if host not in on_kubernetes]


def _builders(groups: Groups) -> list[str]:
    return list(groups.get("ltsp_builders", ())) or _managed_servers(groups)[:1]


def _join_servers(groups: Groups) -> list[str]:
    return _managed_servers(groups) or _builders(groups)


def _active_join_servers(groups: Groups) -> list[str]:
    return _join_servers(groups) if _control_plane(groups) else []


def _kubernetes_sources(groups: Groups) -> list[str]:
    sources = _builders(groups)[:1] + _join_servers(groups)[:1]
    return list(dict.fromkeys(sources)) if _kubernetes_servers(groups) else []


def _reference_servers(groups: Groups) -> list[str]:
    return (_kubernetes_servers(groups) or _servers(groups))[:1]


_DUTIES: dict[str, Callable[[Groups], list[str]]] = {
    "builders": _builders,
    "servers": _servers,
    "managed_servers": _managed_servers,
    "kubernetes_servers": _kubernetes_servers,
    "kubernetes_sources": _kubernetes_sources,
    "reference_servers": _reference_servers,
    "join_servers": _join_servers,
    "active_join_servers": _active_join_servers,
    "control_plane": _control_plane,
    "nodes": _nodes,
}
