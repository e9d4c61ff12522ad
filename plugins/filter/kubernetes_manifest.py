# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_manifest
version_added: 0.3.0
short_description: Write a Kubernetes object as a file
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Returns the YAML of an object as one would write it by hand, with text of several lines as such. The same object always gives the same text.

options:
  _input:
    description: The object.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write an object
  ansible.builtin.copy:
    content: "{{ {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': 'web'}} | serverfarm.ltsp.kubernetes_manifest }}"
    dest: /srv/deploy/namespace-web.yaml
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The YAML text.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.manifest import manifest_text


def kubernetes_manifest(manifest: t.Any) -> str:
    """Write a Kubernetes object as a file."""
    try:
        return manifest_text(manifest)
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"kubernetes_manifest: this is no object: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_manifest": kubernetes_manifest}
