#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ltsp_boot_versions
short_description: Write the boot loaders' files of image versions
version_added: 0.4.0
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Writes a file for each boot loader into the directory of each image version of a store. The file holds paths, hashes and kernel arguments of that version.
    For GRUB it is C(boot.cfg).
  - The files are derived from the version's manifest. A version that was made by an older release gets the files of boot loaders that came later, so that it
    can be booted, and rolled back to, with each of them.
  - Each file is replaced in one step, under the lock of its image.
  - M(serverfarm.ltsp.squashfs_image) writes the same files when it makes a version.
options:
  store:
    description:
      - The store. A store that does not exist yet has no versions.
    type: path
    default: /srv/ltsp
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the names of the files.
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
seealso:
  - module: serverfarm.ltsp.ltsp_boot_nodes
  - module: serverfarm.ltsp.squashfs_image
"""

EXAMPLES = r"""
- name: Make all versions of a store bootable for every boot loader
  serverfarm.ltsp.ltsp_boot_versions:
    store: /srv/ltsp
"""

RETURN = r"""
written:
  description: Paths of the files that were written, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/srv/ltsp/public/images/node/20261120T223000Z-0123456789ab/boot.cfg]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import update_version_files
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Result, Task, run_module
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import lock
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import Image, image_names


def update(image: Image, dry: bool) -> list[str]:
    """Update the files of one image. The lock is not taken without need, because the store may be read-only."""
    outdated = update_version_files(image, dry=True)
    if dry or not outdated:
        return outdated
    with lock(image.lock):
        return update_version_files(image, dry=False)


def run(task: Task) -> Result:
    store = task.params["store"]
    written = [path for name in image_names(store) for path in update(Image(store, name), task.check_mode)]
    result: Result = {"changed": bool(written), "written": written}
    if task.diff:
        result["diff"] = {"prepared": "".join(f"{path}\n" for path in written)}
    return result


def main() -> None:
    module = AnsibleModule(argument_spec={"store": {"type": "path", "default": "/srv/ltsp"}}, supports_check_mode=True)
    run_module(module, run, subject="store")


if __name__ == "__main__":
    main()
