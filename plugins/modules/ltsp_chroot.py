#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ltsp_chroot
short_description: Make the base tree of an image
version_added: 0.1.0
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Makes a directory that holds a Debian or Ubuntu system, from which an image can be built.
  - The tree depends on nothing but the options of this module and the state of the archives. It is made under a temporary name and appears at O(path) when
    it is complete. As long as the options stay the same, it stays as it is.
  - When an option changes, another tree is made and takes the place of the old one in one step.
  - Nothing is left at O(path) when the task is interrupted, and neither processes nor mounts. The next run for the same O(path) removes unfinished trees.
  - No service starts on the host.
  - Only trees that this module made are replaced or removed. They carry C(/var/lib/ltsp/chroot.json), which holds their inputs.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the inputs of the tree before and after. The keys of archives are shown as SHA-256 digests.
  platform:
    support: full
    platforms: debian
options:
  path:
    description:
      - Directory in which the tree stands. Its parent directory has to exist.
    type: path
    required: true
  state:
    description:
      - V(present) makes the tree at O(path), V(absent) removes it.
      - A tree in which something is mounted or a command of M(serverfarm.ltsp.ltsp_chroot_command) runs is neither replaced nor removed.
    type: str
    choices: [present, absent]
    default: present
  suite:
    description:
      - Code name of the release, for example V(trixie) or V(noble).
      - Required with O(state=present).
    type: str
  mirror:
    description:
      - URL of the archive.
    type: str
    default: http://deb.debian.org/debian
  components:
    description:
      - Components of the archive.
    type: list
    elements: str
    default: [main]
  architecture:
    description:
      - Architecture of the tree. By default that of the host.
    type: str
  variant:
    description:
      - The packages that are always in the tree. With V(minbase) these are the essential ones and apt, with V(important) also those of priority important.
    type: str
    choices: [minbase, important]
    default: minbase
  keyring:
    description:
      - File on the host with the public keys that sign O(mirror).
      - The default is right for Debian. Ubuntu's is C(/usr/share/keyrings/ubuntu-archive-keyring.gpg) of the package C(ubuntu-keyring).
      - A keyring that the tree does not bring itself is copied to C(/etc/apt/keyrings/) in it.
    type: path
    default: /usr/share/keyrings/debian-archive-keyring.gpg
  packages:
    description:
      - Packages to install, as names with an optional C(=VERSION) or C(/SUITE). The order has no meaning.
    type: list
    elements: str
    default: []
  install_recommends:
    description:
      - Whether the packages that others recommend are installed while the tree is made.
    type: bool
    default: false
  sources:
    description:
      - Further archives. They are used while the tree is made, also for O(packages), and by apt inside the tree.
      - Each is written to C(/etc/apt/sources.list.d/NAME.sources). That of O(mirror) is C(base.sources).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the file, without its extension.
        type: str
        required: true
      types:
        description: Kinds of packages.
        type: list
        elements: str
        choices: [deb, deb-src]
        default: [deb]
      uris:
        description: URLs of the archive.
        type: list
        elements: str
        required: true
      suites:
        description: Suites of the archive, or a directory that ends in a slash for an archive without suites.
        type: list
        elements: str
        required: true
      components:
        description: Components of the suites. Not for a directory.
        type: list
        elements: str
        default: []
      architectures:
        description: Architectures to take from this archive, if not all of the tree.
        type: list
        elements: str
        default: []
      signed_by:
        description:
          - The public key of the archive, either in full (ASCII-armored) or as a path on the host. It is copied to C(/etc/apt/keyrings/) in the tree.
          - By default the keys of O(keyring) are taken.
        type: str
  method:
    description:
      - The tool that makes the tree, which has to be installed on the host. V(mmdebstrap) is about twice as fast as V(debootstrap).
    type: str
    choices: [mmdebstrap, debootstrap]
    default: mmdebstrap
  refresh:
    description:
      - Whether a new tree is made although no option has changed, to take updates of the archives.
    type: bool
    default: false
notes:
  - A proxy is taken from the variables C(http_proxy), C(https_proxy) and C(no_proxy) of the task's environment.
  - C(/etc/machine-id) and C(/etc/resolv.conf) of the tree are empty, and it has no C(/etc/hostname).
  - An archive by https needs the package C(ca-certificates) in O(packages), for apt inside the tree; while the tree is made the host's certificates count.
seealso:
  - module: serverfarm.ltsp.ltsp_chroot_command
  - module: serverfarm.ltsp.squashfs_image
"""

EXAMPLES = r"""
- name: Make a Debian base with security updates
  serverfarm.ltsp.ltsp_chroot:
    path: /srv/ltsp/private/bases/trixie
    suite: trixie
    components: [main, non-free-firmware]
    sources:
      - name: security
        uris: [http://security.debian.org/debian-security]
        suites: [trixie-security]
        components: [main, non-free-firmware]

- name: Make an Ubuntu base
  serverfarm.ltsp.ltsp_chroot:
    path: /srv/ltsp/private/bases/noble
    suite: noble
    mirror: http://archive.ubuntu.com/ubuntu
    components: [main, universe]
    keyring: /usr/share/keyrings/ubuntu-archive-keyring.gpg

- name: Make a base with packages of another archive
  serverfarm.ltsp.ltsp_chroot:
    path: /srv/ltsp/private/bases/kubernetes
    suite: trixie
    packages: [ca-certificates, kubeadm]
    sources:
      - name: kubernetes
        uris: ["https://pkgs.k8s.io/core:/stable:/v1.36/deb/"]
        suites: [/]
        signed_by: "{{ lookup('ansible.builtin.file', 'kubernetes.asc') }}"

- name: Make the base anew every week
  serverfarm.ltsp.ltsp_chroot:
    path: /srv/ltsp/private/bases/trixie
    suite: trixie
    refresh: true

- name: Remove a base
  serverfarm.ltsp.ltsp_chroot:
    path: /srv/ltsp/private/bases/bookworm
    state: absent
"""

RETURN = r"""
path:
  description: Path of the tree, without symbolic links.
  returned: success
  type: str
  sample: /srv/ltsp/private/bases/trixie
digest:
  description: SHA-256 digest of the inputs. Trees that were made from the same inputs have the same digest.
  returned: when O(state=present)
  type: str
  sample: 5e5c3dfba1b8d2de5d0e2b3a4c5b1fb5c1b3c2a1e9f80d7c6b5a49382716050f
id:
  description: Unique name of this tree. Another tree of the same inputs has another one.
  returned: when the tree stands
  type: str
  sample: 2f0b7c8e5a9d4b3c8f6e1d2c3b4a5968
created:
  description: When the tree was made.
  returned: when the tree stands
  type: str
  sample: "2026-11-20T22:30:00Z"
"""

import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.command import proxies
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.inputs import DEFAULT_KEYRING, parse_inputs
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.tree import Mark, Outcome, absent, check_path, present
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Result, Task, difference, run_module

_STRINGS = {"type": "list", "elements": "str"}
ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "suite": {"type": "str"},
    "mirror": {"type": "str", "default": "http://deb.debian.org/debian"},
    "components": {**_STRINGS, "default": ["main"]},
    "architecture": {"type": "str"},
    "variant": {"type": "str", "choices": ["minbase", "important"], "default": "minbase"},
    "keyring": {"type": "path", "default": DEFAULT_KEYRING, "no_log": False},
    "packages": {**_STRINGS, "default": []},
    "install_recommends": {"type": "bool", "default": False},
    "sources": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "types": {**_STRINGS, "choices": ["deb", "deb-src"], "default": ["deb"]},
            "uris": {**_STRINGS, "required": True},
            "suites": {**_STRINGS, "required": True},
            "components": {**_STRINGS, "default": []},
            "architectures": {**_STRINGS, "default": []},
            "signed_by": {"type": "str"},
        },
    },
    "method": {"type": "str", "choices": ["mmdebstrap", "debootstrap"], "default": "mmdebstrap"},
    "refresh": {"type": "bool", "default": False},
}


def run(task: Task) -> Result:
    path = check_path(task.params["path"])
    if task.params["state"] == "absent":
        outcome = absent(path, check_mode=task.check_mode)
    else:
        inputs = parse_inputs(task.params)
        outcome = present(path, inputs, refresh=task.params["refresh"], check_mode=task.check_mode, environment=proxies(os.environ))
    return describe(path, outcome, task.diff)


def describe(path: str, outcome: Outcome, diff: bool) -> Result:
    """Return the values that the module returns."""
    result: Result = {"path": path, "changed": outcome.changed}
    if outcome.after:
        result["digest"] = outcome.after.digest
        if outcome.after.id:
            result.update(id=outcome.after.id, created=outcome.after.created)
    if diff and outcome.changed:
        result["diff"] = difference(path, render(outcome.before), render(outcome.after))
    return result


def render(mark: t.Optional[Mark]) -> str:
    if mark is None:
        return ""
    return json.dumps({"inputs": mark.inputs, "id": mark.id or "(new)"}, indent=2, sort_keys=True) + "\n"


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=[("state", "present", ("suite",))], supports_check_mode=True)
    run_module(module, run)


if __name__ == "__main__":
    main()
