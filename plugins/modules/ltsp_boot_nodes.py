#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ltsp_boot_nodes
short_description: Write what each machine boots
version_added: 0.1.0
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Writes two files for each MAC address of each node. C(52-54-00-77-00-01.json) describes what the machine boots and is the one truth about it,
    C(52-54-00-77-00-01.cfg) is rendered from it and read by GRUB. C(default.json) and C(default.cfg) are for unknown machines.
  - The directory belongs to this module. Every other C(*.json) and C(*.cfg) in it is removed, so O(nodes) has to hold all nodes in one task.
  - Each file is replaced in one step. A value that a boot loader would misread is refused before anything is written.
options:
  path:
    description:
      - The directory. It has to exist.
    type: path
    required: true
  nodes:
    description:
      - All nodes, as the filter P(serverfarm.ltsp.ltsp_nodes#filter) describes them, without C(lts_conf), which may hold secrets.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Host name.
        type: str
        required: true
      macs:
        description: MAC addresses of all network cards that may ask for a boot, in every usual spelling.
        type: list
        elements: str
        required: true
      ip:
        description: IPv4 address.
        type: str
        required: true
      server:
        description: Inventory name of the node's boot server.
        type: str
        required: true
      server_address:
        description: IPv4 address of the boot server.
        type: str
        required: true
      image:
        description: Name of the image.
        type: str
        required: true
      image_version:
        description: Version of the image. Without one, the node follows the image's current version.
        type: str
      transports:
        description: Transports of the node's root, in the order in which they are tried.
        type: list
        elements: str
        choices: [http, nbd]
        default: [http, nbd]
      ram:
        description: Whether the node copies the image into its memory. With the transport V(http) it always does.
        type: bool
        default: true
      overlay:
        description: Size of the tmpfs for the node's writes.
        type: str
        default: 50%
      kernel_args:
        description:
          - "More arguments for the kernel. Letters, digits and C(_ . , : = / + @ % ~ ! -) are possible."
        type: list
        elements: str
        default: []
  default:
    description:
      - What unknown machines boot. Without it they do not boot, and report it on their console.
    type: dict
    suboptions:
      server_address:
        description: IPv4 address of the boot server. Without one, it is the server that the loader came from.
        type: str
      image:
        description: Name of the image.
        type: str
        required: true
      image_version:
        description: Version of the image. Without one, they follow the image's current version.
        type: str
      transports:
        description: Transports of their root, in the order in which they are tried.
        type: list
        elements: str
        choices: [http, nbd]
        default: [http, nbd]
      ram:
        description: Whether they copy the image into their memory.
        type: bool
        default: true
      overlay:
        description: Size of the tmpfs for their writes.
        type: str
        default: 50%
      kernel_args:
        description: More arguments for the kernel.
        type: list
        elements: str
        default: []
  ports:
    description:
      - TCP ports of the boot servers by transport.
    type: dict
    version_added: 0.4.0
    suboptions:
      http:
        description:
          - Port of the web servers. GRUB before 2.12 knows port 80 only and falls back to TFTP.
        type: int
        default: 80
      nbd:
        description:
          - Port of the NBD servers.
        type: int
        default: 10809
  http_port:
    description:
      - Former name of O(ports.http), which is read until 0.5.0.
    type: int
  nbd_port:
    description:
      - Former name of O(ports.nbd), which is read until 0.5.0.
    type: int
  images:
    description:
      - The images of this boot server, as M(serverfarm.ltsp.squashfs_image_info) returns them.
      - If given, it is an error when a node of O(server), or O(default), is to boot an image or a version that is not among them.
    type: list
    elements: dict
  server:
    description:
      - Inventory name of this boot server, for the check of O(images).
    type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the first files that change, and how many more there are.
  platform:
    support: full
    platforms: posix
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
seealso:
  - plugin: serverfarm.ltsp.ltsp_nodes
    plugin_type: filter
  - module: serverfarm.ltsp.ltsp_boot_versions
"""

EXAMPLES = r"""
- name: Describe one node
  serverfarm.ltsp.ltsp_boot_nodes:
    path: /srv/ltsp/public/boot/nodes
    nodes:
      - name: node1
        macs: ["52:54:00:77:00:01"]
        ip: 10.77.0.11
        server: ltsp-1
        server_address: 10.77.0.1
        image: node
        kernel_args: ["console=ttyS0,115200n8"]

- name: Describe all nodes of the inventory, and unknown machines
  serverfarm.ltsp.ltsp_boot_nodes:
    path: /srv/ltsp/public/boot/nodes
    nodes: >-
      {{ hostvars | serverfarm.ltsp.ltsp_nodes(groups)
      | serverfarm.ltsp.ltsp_columns('name', 'macs', 'ip', 'server', 'server_address', 'image', 'image_version', 'kernel_args') }}
    default:
      image: node

- name: Read the images of this server
  serverfarm.ltsp.squashfs_image_info:
  register: store

- name: Refuse nodes whose image this server does not have
  serverfarm.ltsp.ltsp_boot_nodes:
    path: /srv/ltsp/public/boot/nodes
    nodes: "{{ nodes }}"
    images: "{{ store.images }}"
    server: "{{ inventory_hostname }}"
"""

RETURN = r"""
path:
  description: The directory.
  returned: success
  type: str
  sample: /srv/ltsp/public/boot/nodes
written:
  description: Names of the files that were written, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [52-54-00-77-00-01.cfg, 52-54-00-77-00-01.json]
removed:
  description: Names of the files that were removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [52-54-00-77-00-09.cfg, 52-54-00-77-00-09.json]
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import BootError, missing_images
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import boot_files, suffixes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Result, Task, difference, run_module
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import DirectoryChange, FilesError, apply_directory, plan_directory
from ansible_collections.serverfarm.ltsp.plugins.module_utils._transports import (
    DEFAULT_TRANSPORTS,
    TRANSPORTS,
    former_port_options,
    given_ports,
    offered_ports,
    port_options,
)

SHOWN_FILES = 20


def diff(path: str, plan: DirectoryChange) -> list[dict[str, str]]:
    names = [*sorted(plan.write), *plan.remove]
    shown = []
    for name in names[:SHOWN_FILES]:
        header = os.path.join(path, name)
        before, after = (files.get(name, b"").decode("utf-8", "replace") for files in (plan.before, plan.write))
        shown.append(difference(header, before, after))
    more = len(names) - len(shown)
    return shown + ([{"prepared": f"... and {more} more files in {path}\n"}] if more > 0 else [])


def run(task: Task) -> Result:
    parameters = task.params
    path, nodes, default = parameters["path"], parameters["nodes"], parameters["default"]
    if parameters["images"] is not None:
        missing = missing_images(nodes, default, parameters["images"], parameters["server"])
        if missing:
            raise BootError("; ".join(missing))
    files = boot_files(nodes, default, offered_ports(given_ports(parameters)))
    plan = plan_directory(path, files, suffixes())
    if not task.check_mode:
        if not os.path.isdir(path):
            raise FilesError(f"the directory {path} does not exist: make it first")
        apply_directory(path, plan)
    result: Result = {"path": path, "changed": bool(plan.write or plan.remove), "written": sorted(plan.write), "removed": plan.remove}
    if task.diff:
        result["diff"] = diff(path, plan)
    return result


def argument_spec() -> dict[str, t.Any]:
    boot: dict[str, t.Any] = {
        "image": {"type": "str", "required": True},
        "image_version": {"type": "str"},
        "transports": {"type": "list", "elements": "str", "choices": list(TRANSPORTS), "default": list(DEFAULT_TRANSPORTS)},
        "ram": {"type": "bool", "default": True},
        "overlay": {"type": "str", "default": "50%"},
        "kernel_args": {"type": "list", "elements": "str", "default": []},
    }
    machine: dict[str, t.Any] = {
        "name": {"type": "str", "required": True},
        "macs": {"type": "list", "elements": "str", "required": True},
        "ip": {"type": "str", "required": True},
        "server": {"type": "str", "required": True},
        "server_address": {"type": "str", "required": True},
    }
    return {
        "path": {"type": "path", "required": True},
        "nodes": {"type": "list", "elements": "dict", "required": True, "options": {**machine, **boot}},
        "default": {"type": "dict", "options": {**boot, "server_address": {"type": "str"}}},
        "ports": {"type": "dict", "options": port_options(), "apply_defaults": True},
        **former_port_options(),
        "images": {"type": "list", "elements": "dict"},
        "server": {"type": "str"},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), required_together=[("images", "server")], supports_check_mode=True)
    run_module(module, run)


if __name__ == "__main__":
    main()
