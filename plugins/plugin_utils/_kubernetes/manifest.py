# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes objects as files."""

from __future__ import annotations

import hashlib
import json
import typing as t
from collections.abc import Iterable, Mapping

import yaml

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import common_name, config_map_names


class _Dumper(yaml.SafeDumper):
    """YAML with text of several lines as a block, and without references."""

    def ignore_aliases(self, data: t.Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def manifest_text(manifest: Mapping[str, t.Any]) -> str:
    """Write an object as YAML. JSON in between turns Ansible's own types of text and numbers into plain ones."""
    plain = json.loads(json.dumps(manifest))
    text: str = yaml.dump(plain, Dumper=_Dumper, explicit_start=True, sort_keys=False, width=2**31, allow_unicode=True)
    return text


def file_name(kind: str, name: str) -> str:
    """Name the file of an object. `kubectl apply -f DIRECTORY` goes by the alphabet, and the namespace has to exist first."""
    return f"{'00-' if kind == 'Namespace' else ''}{kind.lower()}-{name}.yaml"


def stale_files(wanted: Iterable[str], namespace: str, name: str, kinds: Iterable[str]) -> list[str]:
    """Name the files of a boot server that are not wanted. `wanted` are objects as KIND/NAME; without one the namespace's file goes, too."""
    kept = {file_name(*each.split("/")) for each in wanted}
    files = [file_name("ConfigMap", each) for each in (common_name(name), *config_map_names(name))] + [file_name(kind, name) for kind in kinds]
    stale = [each for each in files if each not in kept]
    return stale if kept else [file_name("Namespace", namespace), *stale]


def digests(manifests: Iterable[Mapping[str, t.Any]]) -> dict[str, str]:
    """Return the digest of each object by KIND/NAME."""
    return {
        f"{manifest['kind']}/{manifest['metadata']['name']}": hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        for manifest in manifests
    }
