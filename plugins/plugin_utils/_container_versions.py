# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image versions that go into a container image."""

from __future__ import annotations

import typing as t

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import summary

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Chosen(t.TypedDict):
    """An image and its versions, oldest first; `former` was current in the container images before, if that is known and the store still has it."""

    name: str
    current: str
    former: str | None
    versions: list[str]


def choose_versions(
    images: Iterable[Mapping[str, t.Any]], nodes: Iterable[Mapping[str, t.Any]], default: str, count: int, record: Iterable[Mapping[str, t.Any]] = ()
) -> list[Chosen]:
    """Choose versions of each image that a node or `default` names.

    These are the current version with those before it, `count` in all, the former current one, and those that nodes are pinned to. `record` are the images
    of the last container image. A node boots the version that a pod calls current, and a node that has read about a version asks for it until it gets it:
    after a rollback that one is newer than the current one. The store knows neither which version was current nor what pods have told nodes; the record does.
    """
    if count < 1:
        raise ValueError(f"{count} versions are none: use 1 or more")
    existing = {image["name"]: image for image in images}
    recorded = {image["name"]: image for image in record}
    pins: dict[str, dict[str, str]] = {default: {}} if default else {}
    who = {default: "unknown machines"} if default else {}
    for node in nodes:
        image = node["image"]
        who.setdefault(image, f"node {node['name']}")
        pinned = pins.setdefault(image, {})
        if node["image_version"]:
            pinned.setdefault(node["image_version"], node["name"])
    problems: list[str] = []
    chosen: list[Chosen] = []
    for name in sorted(pins):
        found = existing.get(name)
        if found is None:
            problems.append(f"{who[name]}: there is no image {name} (there is: {', '.join(sorted(existing)) or 'none'}): build it, or name another one")
        elif not found["current"]:
            problems.append(f"image {name} has no current version: build it again, or point {name}/current to a version")
        else:
            versions = sorted(version["version"] for version in found["versions"])
            problems += [
                f"node {node}: image {name} has no version {version} (newest: {versions[-1]}): correct ltsp_node_image_version"
                for version, node in pins[name].items()
                if version not in versions
            ]
            until_current = versions[: versions.index(found["current"]) + 1]
            former = _former(found["current"], recorded.get(name, {}))
            wanted = {*until_current[-count:], former, *pins[name]}
            chosen.append(
                Chosen(
                    name=name,
                    current=found["current"],
                    former=former if former in versions else None,
                    versions=[version for version in versions if version in wanted],
                )
            )
    if not pins:
        problems.append("no node and no default names an image: there is nothing to serve")
    if problems:
        raise ValueError(summary(problems))
    return chosen


def _former(current: str, recorded: Mapping[str, t.Any]) -> str | None:
    """Return the version that was current before `current`. It stays the same until another version becomes current."""
    key = "former" if recorded.get("current") == current else "current"
    former: str | None = recorded.get(key)
    return former


def version_layers(versions: Iterable[Mapping[str, t.Any]], store: str) -> list[dict[str, str]]:
    """Describe a layer for each version, oldest first: a newer one comes behind those that are there."""
    layers = []
    for version in sorted(versions, key=lambda manifest: (manifest["version"], manifest["name"])):
        path = f"public/images/{version['name']}/{version['version']}"
        layers.append({"src": f"{store}/{path}", "dest": f"/srv/ltsp/{path}", "time": version["created"], "comment": f"{version['name']} {version['version']}"})
    return layers
