# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_boot_server
version_added: 0.3.0
short_description: Make the Kubernetes objects of a boot server
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Checks the settings and returns all objects of a boot server that runs on Kubernetes, but for its ConfigMaps.
  - Every setting may also be the text that a survey makes of it. Everything that is wrong is reported at once, with variable, value and remedy.
extends_documentation_fragment: serverfarm.ltsp.boot_server
"""

EXAMPLES = r"""
- name: Show what would run
  ansible.builtin.debug:
    msg: "{{ settings | serverfarm.ltsp.kubernetes_boot_server }}"
  vars:
    settings:
      namespace: ltsp-server
      name: ltsp-server
      labels: {}
      exposure: load_balancer
      image: registry.example.org/ltsp@sha256:9f2b1c0d9f2b1c0d9f2b1c0d9f2b1c0d9f2b1c0d9f2b1c0d9f2b1c0d9f2b1c0d
      servers: {ltsp: 10.9.0.2}
      subnets: [10.9.0.0/16]
      ports: {http: 80}
      replicas: 1
      node_selector: {}
      affinity: {}
      tolerations: []
      resources: {}
      pull_secrets: []
      pod_annotations: {}
      service_annotations: {}
      external_ips: []
      load_balancer_ip: ""
      load_balancer_class: ""
      grace_period: 120
      rollout_timeout: 300
"""

RETURN = r"""
_value:
  description: The object C(namespace), and the list C(server) with the others in the order in which they are applied.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import Objects, ServerError, objects, read_settings


def kubernetes_boot_server(settings: t.Any) -> Objects:
    """Make the Kubernetes objects of a boot server."""
    try:
        return objects(read_settings(settings))
    except ServerError as error:
        raise AnsibleFilterError(f"kubernetes_boot_server: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_boot_server": kubernetes_boot_server}
