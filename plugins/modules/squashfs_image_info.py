#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: squashfs_image_info
short_description: List the images of a store and their versions
version_added: 0.1.0
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Reads the manifests of the images that M(serverfarm.ltsp.squashfs_image) made. A store that does not exist yet has no images.
options:
  store:
    description:
      - The store.
    type: path
    default: /srv/ltsp
  name:
    description:
      - List this image only. An image that does not exist is not listed, which is no error.
    type: str
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: debian
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
seealso:
  - module: serverfarm.ltsp.squashfs_image
"""

EXAMPLES = r"""
- name: Read all images
  serverfarm.ltsp.squashfs_image_info:
  register: store

- name: Show what nodes boot by default
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.current }}"
  loop: "{{ store.images }}"
  loop_control:
    label: "{{ item.name }}"

- name: Read one image
  serverfarm.ltsp.squashfs_image_info:
    name: node
  register: node

- name: Show the kernel of its newest version
  ansible.builtin.debug:
    msg: "{{ node.images[0].versions[0].kernel_release }}"
  when: node.images | length > 0
"""

RETURN = r"""
images:
  description: The images, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the image.
      type: str
      sample: node
    current:
      description: The version that C(current) names, V(null) when it names none.
      type: str
      sample: 20261120T223000Z-0123456789ab
    versions:
      description: The manifests, newest first; see RV(serverfarm.ltsp.squashfs_image#module:manifest).
      type: list
      elements: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Result, Task, run_module
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import Image, describe, image_names

ARGUMENTS = {
    "store": {"type": "path", "default": "/srv/ltsp"},
    "name": {"type": "str"},
}


def run(task: Task) -> Result:
    store, name = task.params["store"], task.params["name"]
    images = [Image(store, found) for found in (image_names(store) if name is None else [name])]
    return {"images": [describe(image) for image in images if os.path.isdir(image.directory)]}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), run, subject="store")


if __name__ == "__main__":
    main()
