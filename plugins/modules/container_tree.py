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
  - A directory that is there is not touched. Remove it to have another image, or a newer one of the same name, in it.
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
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils import _container, _docker
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError, publish, remove_leftovers, staging_directory


def run(module: AnsibleModule) -> dict[str, t.Any]:
    name, path = module.params["name"], os.path.normpath(module.params["path"])
    result = {"changed": not os.path.lexists(path), "path": path}
    registry = _container.check_image(name)
    if not os.path.isabs(path):
        raise FilesError(f"path: {path!r} is not an absolute path")
    if module.check_mode or not result["changed"]:
        return result
    with _docker.connect(module.params, registry) as engine:
        engine.login()
        engine.pull(name)
        remove_leftovers(path)
        with staging_directory(path) as staged:
            tree = os.path.join(staged, "tree")
            os.mkdir(tree, 0o755)
            with engine.exported(name) as archive:
                _docker.unpack(archive, tree)
            publish(tree, path)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "required": True}, "path": {"type": "path", "required": True}, **_docker.ARGUMENTS},
        required_together=_docker.REQUIRED_TOGETHER,
        supports_check_mode=True,
    )
    _docker.main(module, run)


if __name__ == "__main__":
    main()
