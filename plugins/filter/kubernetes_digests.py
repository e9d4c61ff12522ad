# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_digests
version_added: 0.3.0
short_description: Name Kubernetes objects and digest what is in them
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Tells two lists of objects apart without showing what is in them.
options:
  _input:
    description: The objects.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the digest of an object
  ansible.builtin.debug:
    msg: "{{ [{'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': 'web'}}] | serverfarm.ltsp.kubernetes_digests }}"
    # -> {'Namespace/web': 'bd5e2b...'}
"""

RETURN = r"""
_value:
  description: A dictionary of C(KIND/NAME) to the SHA-256 of the object.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.manifest import digests


def kubernetes_digests(manifests: t.Any) -> dict[str, str]:
    """Name Kubernetes objects and digest what is in them."""
    try:
        return digests(manifests)
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"kubernetes_digests: these are no objects: {error!r}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_digests": kubernetes_digests}
