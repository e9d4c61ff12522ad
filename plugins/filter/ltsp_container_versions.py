# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_container_versions
version_added: 0.3.0
short_description: Choose the image versions that a container image holds
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Of each image that a node or O(default) names, gives the version that is current, those before it, the one that was current in the last container image,
    and every version that a node is pinned to.
  - An image or a version that is named and not there is an error.
positional: nodes
options:
  _input:
    description: The images of a store, as M(serverfarm.ltsp.squashfs_image_info) returns them.
    type: list
    elements: dict
    required: true
  nodes:
    description: The nodes, as the filter P(serverfarm.ltsp.ltsp_nodes#filter) describes them; C(name), C(image) and C(image_version) are read.
    type: list
    elements: dict
    required: true
  default:
    description: Image of unknown machines.
    type: str
    default: ""
  count:
    description: How many versions, the current one included.
    type: int
    default: 2
  record:
    description:
      - Images of the last container image, as this filter returned them.
      - The version that was current in it stays, also when a rollback has made an older one current. A node that has read about it can still get it.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Read the images of this server
  serverfarm.ltsp.squashfs_image_info:
  register: store

- name: Show what a container image of this farm holds
  ansible.builtin.debug:
    msg: "{{ store.images | serverfarm.ltsp.ltsp_container_versions(nodes, default='node') }}"
    # -> [{'name': 'node', 'current': '20261120T223000Z-0123456789ab', 'former': None,
    #      'versions': ['20261119T081500Z-0d1b7e4f2a9c', '20261120T223000Z-0123456789ab']}]
"""

RETURN = r"""
_value:
  description: The images, by name, each with C(name), C(current), C(former), the version that was current before, if known, and C(versions), oldest first.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._container_versions import Chosen, choose_versions


def ltsp_container_versions(images: t.Any, nodes: t.Any, default: str = "", count: t.Any = 2, record: t.Any = ()) -> list[Chosen]:
    """Choose the image versions that a container image holds."""
    try:
        return choose_versions(images, nodes, default, int(count), record)
    except ValueError as error:
        raise AnsibleFilterError(f"ltsp_container_versions: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"ltsp_container_versions": ltsp_container_versions}
