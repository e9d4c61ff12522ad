# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of a cluster that may carry a boot server, one of which has to start before the farm does."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import HOSTNAME, ServerError, Settings, affinity, machine_names
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import summary

_SHOWN = 5
# Taints of a passing state. A machine that is cordoned or not ready for an hour still fits.
_PASSING = "node.kubernetes.io/"


def placement(settings: Settings, cluster: Iterable[Mapping[str, t.Any]], farm: Iterable[Mapping[str, t.Any]]) -> list[str]:
    """Name the Nodes that may carry the boot server; `farm` are the nodes that boot over the network."""
    nodes = list(cluster)
    boots_from = {node["kubernetes_name"]: node["server"] for node in farm if node["server"] in settings.servers}
    obstacles = {node["metadata"]["name"]: _obstacle(settings, node) for node in nodes}
    fitting = sorted(name for name, obstacle in obstacles.items() if not obstacle)
    problems = _unfit_hosts(settings, nodes, obstacles) if settings.on_host else []
    if not problems and not fitting:
        more = f" and {len(obstacles) - _SHOWN} more" if len(obstacles) > _SHOWN else ""
        reasons = "; ".join(f"{name}: {obstacle}" for name, obstacle in sorted(obstacles.items())[:_SHOWN]) or "the cluster has none"
        problems = [f"no machine of the cluster can carry it ({reasons}{more}): correct kubernetes_server_node_selector, _affinity or _tolerations"]
    if not problems:
        problems = _circles(settings, nodes, fitting, boots_from)
    if problems:
        raise ServerError(summary(problems))
    return fitting


def _unfit_hosts(settings: Settings, nodes: list[Mapping[str, t.Any]], obstacles: Mapping[str, str]) -> list[str]:
    """Each host of the inventory has to be a Node that can carry its server."""
    problems = []
    known = sorted(obstacles)
    for server in settings.servers:
        found = [node["metadata"]["name"] for node in nodes if _is(node, server)]
        if not found:
            names = ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
            problems.append(
                f"{server} of ltsp_kubernetes_servers is no Node of the cluster, which has {names or 'none'}: with host_network a server's inventory name is "
                f"the Node's name (label {HOSTNAME}), as it is or up to the first dot"
            )
        elif all(obstacles[name] for name in found):
            problems.append(f"{server} of ltsp_kubernetes_servers cannot carry its boot server: {obstacles[found[0]]}")
    return problems


def _circles(settings: Settings, nodes: list[Mapping[str, t.Any]], fitting: list[str], boots_from: Mapping[str, str]) -> list[str]:
    """Find boot servers that would not start after a power cut, because each waits for a machine that waits for it."""
    advice = "after a power cut none would start: let a machine with a disk of its own, or one that boots from another server, carry it"
    if not settings.on_host:
        if all(_source(node, boots_from) for node in nodes if node["metadata"]["name"] in fitting):
            names = ", ".join(fitting[:_SHOWN]) + (f" and {len(fitting) - _SHOWN} more" if len(fitting) > _SHOWN else "")
            return [f"only machines that boot from this boot server may carry it ({names}), and {advice}"]
        return []
    waiting = {server: boots_from.get(next((node for node in boots_from if node in machine_names(server)), "")) for server in settings.servers}
    running = {server for server, source in waiting.items() if not source}
    while True:
        started = {server for server, source in waiting.items() if source in running} - running
        if not started:
            break
        running |= started
    waiting_servers = [f"{server} boots from {waiting[server]}" for server in settings.servers if server not in running]
    return [f"boot servers wait for each other or for themselves ({', '.join(waiting_servers)}), and {advice}"] if waiting_servers else []


def _is(node: Mapping[str, t.Any], host: str) -> bool:
    return bool({node["metadata"]["name"], _labels(node).get(HOSTNAME)} & set(machine_names(host)))


def _source(node: Mapping[str, t.Any], boots_from: Mapping[str, str]) -> str | None:
    return boots_from.get(node["metadata"]["name"]) or boots_from.get(_labels(node).get(HOSTNAME, ""))


def _obstacle(settings: Settings, node: Mapping[str, t.Any]) -> str:
    """Return the reason why the scheduler would never choose this Node, or ""."""
    labels = _labels(node)
    for key, value in settings.node_selector.items():
        if labels.get(key) != value:
            return f"the label {key} is {labels[key]!r} and not {value!r}" if key in labels else f"it has no label {key}"
    required = affinity(settings).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required and not any(_fits(node, term) for term in required.get("nodeSelectorTerms", [])):
        return "the node affinity does not fit"
    for taint in node.get("spec", {}).get("taints") or []:
        passing = taint["key"].startswith(_PASSING) or taint["effect"] == "PreferNoSchedule"
        if not passing and not any(_tolerates(toleration, taint) for toleration in settings.tolerations):
            value = f"={taint['value']}" if taint.get("value") else ""
            return f"nothing tolerates its taint {taint['key']}{value}:{taint['effect']}"
    return ""


def _labels(node: Mapping[str, t.Any]) -> Mapping[str, str]:
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    return labels


def _fits(node: Mapping[str, t.Any], term: Mapping[str, t.Any]) -> bool:
    """Tell whether all requirements are met; a term without one fits nothing, as in the scheduler."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    return (
        bool(expressions or fields)
        and all(_meets(_labels(node), item) for item in expressions)
        and all(_meets({"metadata.name": node["metadata"]["name"]}, item) for item in fields)
    )


def _meets(labels: Mapping[str, str], requirement: Mapping[str, t.Any]) -> bool:
    value, values = labels.get(requirement["key"]), requirement.get("values") or []
    operator = requirement["operator"]
    if operator in ("Gt", "Lt"):
        try:
            return int(value or "") > int(values[0]) if operator == "Gt" else int(value or "") < int(values[0])
        except (ValueError, IndexError):
            return False
    return {
        "In": value is not None and value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(operator, False)


def _tolerates(toleration: Mapping[str, t.Any], taint: Mapping[str, t.Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return bool(toleration.get("key") == taint["key"] and (toleration.get("value") or "") == (taint.get("value") or ""))
