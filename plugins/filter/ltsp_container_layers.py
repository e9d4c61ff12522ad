# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_container_layers
version_added: 0.3.0
short_description: Describe a layer for each image version
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Gives what M(serverfarm.ltsp.container_image) takes as O(serverfarm.ltsp.container_image#module:layers), oldest version first.
positional: store
options:
  _input:
    description: Manifests of versions, as M(serverfarm.ltsp.squashfs_image_info) returns them.
    type: list
    elements: dict
    required: true
  store:
    description: Directory of the store that has them.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Read the images of this server
  serverfarm.ltsp.squashfs_image_info:
  register: store

- name: Show the layers of all versions
  ansible.builtin.debug:
    msg: "{{ store.images | map(attribute='versions') | flatten(levels=1) | serverfarm.ltsp.ltsp_container_layers('/srv/ltsp') }}"
"""

RETURN = r"""
_value:
  description: The layers, each with C(src), C(dest), C(time) and C(comment).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._container_versions import version_layers


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"ltsp_container_layers": version_layers}
