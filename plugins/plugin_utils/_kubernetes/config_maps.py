# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a boot server on Kubernetes, boot files and lts.conf of each node, spread over ConfigMaps."""

from __future__ import annotations

import hashlib
import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import DEFAULT, missing_images
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import boot_files, suffixes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import advise, check, report, section_changes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import OWNED, Document
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import LtsConfError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.resolve import resolved_files
from ansible_collections.serverfarm.ltsp.plugins.module_utils._net import mac_dashes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._transports import offered_ports
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import (
    SHARDS,
    Manifest,
    ServerError,
    Settings,
    common_name,
    config_map_names,
    manifest,
)
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import summary

LIMIT = 1024 * 1024


class ConfigMaps(t.NamedTuple):
    """The ConfigMaps, and advice about lts.conf."""

    manifests: list[Manifest]
    advice: str


def config_maps(
    settings: Settings,
    nodes: Iterable[Mapping[str, t.Any]],
    default: Mapping[str, t.Any] | None = None,
    lts_conf: Iterable[Mapping[str, t.Any]] = (),
    own_parameters: Iterable[str] = (),
    files: Mapping[str, str] | None = None,
) -> ConfigMaps:
    """Make the ConfigMaps of all nodes; `files` are further ones for all machines."""
    nodes, sections = list(nodes), list(lts_conf)
    # Unknown machines do not see the sections of nodes.
    common_sections = _document(sections)
    own_sections = [{"name": node["name"], "parameters": node["lts_conf"]} for node in nodes if node["lts_conf"]]
    document = _document([*sections, *own_sections])
    boot = boot_files(nodes, default, offered_ports(settings.ports))
    resolved = resolved_files(document, [{"hostname": node["name"], "ip": node["ip"], "macs": node["macs"]} for node in nodes])
    common = {name: boot.pop(name).decode() for name in sorted(boot) if name.startswith(f"{DEFAULT}.")}
    common.update(files or {}, **{"lts.conf": common_sections.text()})
    names = config_map_names(settings.name)
    shards: dict[str, dict[str, str]] = {}
    for node in nodes:
        data = shards.setdefault(names[shard_of(node["name"])], {})
        for mac in node["macs"]:
            for suffix in suffixes():
                data[mac_dashes(mac) + suffix] = boot[mac_dashes(mac) + suffix].decode()
            data[f"{mac_dashes(mac)}.conf"] = resolved[f"{mac_dashes(mac)}.conf"].decode()
    maps = {common_name(settings.name): common, **dict(sorted(shards.items()))}
    problems = [problem for name, data in maps.items() for problem in _too_large(name, data)]
    if problems:
        raise ServerError(summary(problems))
    advice = advise(document, own_parameters)
    return ConfigMaps(
        [manifest(settings, "v1", "ConfigMap", name=name, data=dict(sorted(data.items()))) for name, data in maps.items()],
        report("lts.conf", advice) if advice else "",
    )


def refuse_missing_images(
    settings: Settings, nodes: Iterable[Mapping[str, t.Any]], default: Mapping[str, t.Any] | None, images: Iterable[Mapping[str, t.Any]]
) -> None:
    """Refuse nodes of these servers whose image is not in the container image: they would not boot."""
    available = [{"name": image["name"], "current": image["current"], "versions": [{"version": version} for version in image["versions"]]} for image in images]
    nodes, problems = list(nodes), []
    for server in settings.servers:
        problems += [problem for problem in missing_images(nodes, default, available, server) if problem not in problems]
        default = None
    if problems:
        raise ServerError(f"{settings.image} lacks images that nodes boot from it: {summary(problems)}; then run the playbook serverfarm.ltsp.container again")


def shard_of(node: str) -> int:
    """Return the number of the ConfigMap with the files of a node. It depends on this node's name alone."""
    return hashlib.sha256(node.encode()).digest()[0] % SHARDS


def _document(sections: Iterable[Mapping[str, t.Any]]) -> Document:
    document = Document(OWNED)
    document.change(section_changes(sections))
    refused = check(document)
    if refused:
        raise LtsConfError(report("lts.conf cannot be written", refused))
    return document


def _too_large(name: str, data: Mapping[str, str]) -> Iterable[str]:
    sizes = {key: len(value.encode()) for key, value in data.items()}
    size = sum(sizes.values())
    if size > LIMIT:
        largest = max(sizes, key=lambda key: sizes[key])
        yield (
            f"ConfigMap {name} would have {size} bytes and may have {LIMIT}; its largest file is {largest} with {sizes[largest]}: "
            "make lts.conf shorter (ltsp_server_lts_conf, ltsp_node_lts_conf), with scripts in the image that its commands call"
        )
