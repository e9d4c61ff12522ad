#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_tree
short_description: Unpack a container image into a directory
version_added: 0.3.0
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Lets Docker Engine pull an image and unpacks its files, all layers as one, into a directory.
  - An existing directory is not touched. Remove it to unpack another image, or a newer one of the same name.
options:
  name:
    description:
      - The image, as C(registry.example.org/farm/debian:13) or with a digest.
    type: str
    required: true
  path:
    description:
      - The directory. The one above it has to exist.
    type: path
    required: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - serverfarm.ltsp.docker
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: debian
notes:
  - Needs root, to give files their owners.
seealso:
  - module: serverfarm.ltsp.container_image
  - module: serverfarm.ltsp.ltsp_chroot_command
"""

EXAMPLES = r"""
- name: Have a tree of the company's own Debian
  serverfarm.ltsp.container_tree:
    name: registry.example.org/base/debian:13
    path: /srv/ltsp/private/bases/company
    username: builder
    password: "{{ vault_registry_password }}"
"""

RETURN = r"""
path:
  description: The directory.
  returned: success
  type: str
  sample: /srv/ltsp/private/bases/company
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container import engine
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.registry import check_image
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Result, Task, run_module
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError, publish, remove_leftovers, staging_directory

ARGUMENTS = {"name": {"type": "str", "required": True}, "path": {"type": "path", "required": True}, **engine.ARGUMENTS}


def run(task: Task) -> Result:
    name, path = task.params["name"], os.path.normpath(task.params["path"])
    result = {"changed": not os.path.lexists(path), "path": path}
    registry = check_image(name)
    if not os.path.isabs(path):
        raise FilesError(f"path: {path!r} is not an absolute path")
    if task.check_mode or not result["changed"]:
        return result
    with engine.connect(task.params, registry) as docker:
        docker.login()
        docker.pull(name)
        remove_leftovers(path)
        with staging_directory(path) as staged:
            tree = os.path.join(staged, "tree")
            os.mkdir(tree, 0o755)
            with docker.exported(name) as archive:
                engine.unpack(archive, tree)
            publish(tree, path)
    return result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_together=engine.REQUIRED_TOGETHER, supports_check_mode=True)
    run_module(module, run, subject="name")


if __name__ == "__main__":
    main()
