# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_stale_files
version_added: 0.4.0
short_description: Name the files of a boot server that are not wanted
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Returns the names of all files that P(serverfarm.ltsp.kubernetes_server#role) may have written for a boot server, but for those of objects that are wanted.
positional: namespace, name, kinds
options:
  _input:
    description: The objects that are wanted, as C(KIND/NAME). If there are none, the namespace is not wanted either.
    type: list
    elements: str
    required: true
  namespace:
    description: Namespace of the boot server.
    type: str
    required: true
  name:
    description: Name of the boot server.
    type: str
    required: true
  kinds:
    description: Kinds of objects that carry this name.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the files that a change of the exposure leaves
  ansible.builtin.debug:
    msg: "{{ ['Deployment/ltsp'] | serverfarm.ltsp.kubernetes_stale_files('ltsp-server', 'ltsp', ['Deployment', 'Service']) }}"
    # -> [configmap-ltsp-common.yaml, configmap-ltsp-nodes-00.yaml, ..., service-ltsp.yaml]
"""

RETURN = r"""
_value:
  description: The file names.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.manifest import stale_files


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_stale_files": stale_files}
