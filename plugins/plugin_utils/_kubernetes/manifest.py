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


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block, and nothing twice by reference."""

    def ignore_aliases(self, data: t.Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def manifest_text(manifest: Mapping[str, t.Any]) -> str:
    """Write an object as YAML. Ansible's own kinds of text and numbers become plain ones on the way."""
    plain = json.loads(json.dumps(manifest))
    text: str = yaml.dump(plain, Dumper=_Dumper, explicit_start=True, sort_keys=False, width=2**31, allow_unicode=True)
    return text


def digests(manifests: Iterable[Mapping[str, t.Any]]) -> dict[str, str]:
    """Name each object by its kind and name, and say what is in it by a digest."""
    return {
        f"{manifest['kind']}/{manifest['metadata']['name']}": hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        for manifest in manifests
    }
