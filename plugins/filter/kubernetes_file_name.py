# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_file_name
version_added: 0.4.0
short_description: Name the file of a Kubernetes object
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Returns a file name made of kind and name, so that C(kubectl apply) of a directory begins with the namespace.
options:
  _input:
    description: The object.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the name of a file
  ansible.builtin.debug:
    msg: "{{ {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': 'web'}} | serverfarm.ltsp.kubernetes_file_name }}"
    # -> 00-namespace-web.yaml
"""

RETURN = r"""
_value:
  description: The file name.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.manifest import file_name


def kubernetes_file_name(manifest: t.Any) -> str:
    """Name the file of a Kubernetes object."""
    try:
        return file_name(manifest["kind"], manifest["metadata"]["name"])
    except (AttributeError, KeyError, TypeError) as error:
        raise AnsibleFilterError(f"kubernetes_file_name: this is no object: {error!r}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_file_name": kubernetes_file_name}
