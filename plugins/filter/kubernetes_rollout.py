# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_rollout
version_added: 0.3.0
short_description: Say why the pods of a Deployment do not start
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Reads what Kubernetes says about a Deployment, its pods and what happened to them.
    Returns one text about what is in the way, with a remedy where one is known.

positional: pods, events
options:
  _input:
    description: The Deployment.
    type: dict
    required: true
  pods:
    description: Its pods.
    type: list
    elements: dict
    required: true
  events:
    description: The events of the namespace.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Say why the pods do not start
  ansible.builtin.debug:
    msg: "{{ deployment | serverfarm.ltsp.kubernetes_rollout(pods, events) }}"
  vars:
    deployment: "{{ query('kubernetes.core.k8s', api_version='apps/v1', kind='Deployment', namespace='web', resource_name='web') | first }}"
    pods: "{{ query('kubernetes.core.k8s', kind='Pod', namespace='web') }}"
    events: "{{ query('kubernetes.core.k8s', kind='Event', namespace='web') }}"
"""

RETURN = r"""
_value:
  description: What is in the way.
  type: str
  sample: "pod web-5b on machine1: ErrImagePull: ..."
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.rollout import rollout_report


def kubernetes_rollout(deployment: t.Any, pods: t.Any, events: t.Any) -> str:
    """Say why the pods of a Deployment do not start."""
    try:
        return rollout_report(deployment, pods, events)
    except (AttributeError, KeyError, TypeError) as error:
        raise AnsibleFilterError(f"kubernetes_rollout: these are no Deployment, pods and events: {error!r}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_rollout": kubernetes_rollout}
