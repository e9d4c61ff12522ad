# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_rolled_out
version_added: 0.4.0
short_description: Tell whether a Deployment is rolled out
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Reads the status of a Deployment as C(kubectl rollout status) does.
options:
  _input:
    description: The Deployment. An empty dictionary, for one that does not exist, is not rolled out.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Wait until the pods are ready
  kubernetes.core.k8s_info:
    kind: Deployment
    api_version: apps/v1
    namespace: web
    name: web
  register: web
  until: web.resources | first | default({}) | serverfarm.ltsp.kubernetes_rolled_out
"""

RETURN = r"""
_value:
  description: Whether all pods are new and ready, and the old ones have gone.
  type: bool
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.rollout import is_rolled_out


def kubernetes_rolled_out(deployment: t.Any) -> bool:
    """Tell whether a Deployment is rolled out."""
    try:
        return is_rolled_out(deployment)
    except (AttributeError, KeyError, TypeError) as error:
        raise AnsibleFilterError(f"kubernetes_rolled_out: this is no Deployment: {error!r}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_rolled_out": kubernetes_rolled_out}
