# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of all machines and of all image versions, for every boot loader."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import BootError, Description, describe
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.loaders import LOADERS
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.version import describe_version
from ansible_collections.serverfarm.ltsp.plugins.module_utils._net import normalize_mac
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import plan_files, replace_files

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import Image, Manifest

_DESCRIPTION = ".json"


def suffixes() -> tuple[str, ...]:
    """Return the suffixes of a machine's files."""
    return (_DESCRIPTION, *(loader.node_suffix for loader in LOADERS.values()))


def boot_files(nodes: Iterable[Mapping[str, t.Any]], default: Mapping[str, t.Any] | None, ports: Mapping[str, int]) -> dict[str, bytes]:
    """Return the files of all machines, name to content; `ports` are those of the offered transports."""
    files: dict[str, bytes] = {}
    owners: dict[str, str] = {}
    for node in nodes:
        for address in node["macs"]:
            try:
                mac = normalize_mac(address)
            except ValueError as error:
                raise BootError(f"node {node['name']}: {error}") from error
            owner = owners.setdefault(mac, node["name"])
            if owner != node["name"]:
                raise BootError(f"nodes {owner} and {node['name']} both have the MAC address {mac}: give each its own")
            files.update(_machine_files(describe(node, mac, ports)))
    if default is not None:
        files.update(_machine_files(describe(default, None, ports)))
    return files


def version_files(manifest: Manifest) -> dict[str, bytes]:
    """Return the loaders' files of an image version, name to content."""
    version = describe_version(manifest)
    return {loader.version_file: loader.render_version(version).encode() for loader in LOADERS.values()}


def update_version_files(image: Image, dry: bool) -> list[str]:
    """Bring the loaders' files of all versions of `image` up to date; return the paths of those that were outdated or missing.

    The caller holds the image's lock, unless it is a `dry` run.
    """
    updated = []
    for version in image.versions():
        path = image.version_path(version)
        files = plan_files(path, version_files(image.manifest(version)))
        if files and not dry:
            replace_files(path, files)
        updated += [os.path.join(path, name) for name in files]
    return updated


def _machine_files(description: Description) -> dict[str, bytes]:
    name = description.file_name
    rendered = {f"{name}{loader.node_suffix}": loader.render_node(description).encode() for loader in LOADERS.values()}
    return {f"{name}{_DESCRIPTION}": (json.dumps(description.document(), indent=2) + "\n").encode(), **rendered}
