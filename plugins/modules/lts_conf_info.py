#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lts_conf_info
short_description: Show an lts.conf and the parameters of one node
version_added: 0.1.0
description:
  - Returns the sections of an C(lts.conf) and the parameters that a node gets, each with the section that it comes from.
  - Reads the file as a node does. Lines that a node does not understand are left out, and named in RV(problems).
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  path:
    description: The file.
    type: path
    required: true
  hostname:
    description: The node's host name.
    type: str
    default: ""
  ip:
    description: The node's IPv4 address.
    type: str
    default: ""
  mac:
    description: The MAC address of the network card that the node boots from, in any usual spelling.
    type: str
    default: ""
seealso:
  - module: serverfarm.ltsp.lts_conf
author:
  - The serverfarm.ltsp contributors (@serverfarm)
"""

EXAMPLES = r"""
- name: Preview the parameters of node1
  serverfarm.ltsp.lts_conf_info:
    path: /srv/ltsp/public/config/lts.conf
    hostname: node1
    ip: 10.77.0.11
    mac: 52:54:00:77:00:01
  register: preview

- name: Show the parameters and their origins
  ansible.builtin.debug:
    msg: "{{ item.key }} = {{ item.value }} (from [{{ preview.origins[item.key] }}])"
  loop: "{{ preview.parameters | dict2items }}"

- name: Preview the parameters of an unknown machine, and check the file
  serverfarm.ltsp.lts_conf_info:
    path: /etc/lts.conf
  register: unknown
  failed_when: unknown.problems | length > 0
"""

RETURN = r"""
parameters:
  description: The parameters of the node.
  type: dict
  returned: success
  sample: {RCFILE_06_MODULES: modprobe br_netfilter}
origins:
  description: The section from which each of RV(parameters) comes.
  type: dict
  returned: success
  sample: {RCFILE_06_MODULES: default}
matched:
  description: The sections that match the node, the strongest first.
  type: list
  elements: str
  returned: success
  sample: [node1, big, "rack1-*", default]
sections:
  description: The sections in the order of the file.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The section's name.
      type: str
      sample: default
    line:
      description: The line of its header.
      type: int
      sample: 1
    like:
      description: The sections that it names with C(LIKE).
      type: list
      elements: str
      sample: [big]
    parameters:
      description: Its own parameters.
      type: dict
      sample: {RCFILE_06_MODULES: modprobe br_netfilter}
problems:
  description: Lines for which M(serverfarm.ltsp.lts_conf) refuses to write the file.
  type: list
  elements: dict
  returned: success
  contains:
    line:
      description: The line.
      type: int
      sample: 7
    message:
      description: Fault and remedy.
      type: str
advice:
  description: Lines that are probably mistaken, such as unknown parameters.
  type: list
  elements: dict
  returned: success
  contains:
    line:
      description: The line.
      type: int
      sample: 9
    message:
      description: The probable mistake.
      type: str
      sample: RCFIL_01 is not a known parameter, is RCFILE_* meant?
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import advise, check
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import LIKE, Document, decode
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.resolve import Identity, Reader
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Result, Task, run_module
from ansible_collections.serverfarm.ltsp.plugins.module_utils._net import normalize_mac

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "hostname": {"type": "str", "default": ""},
    "ip": {"type": "str", "default": ""},
    "mac": {"type": "str", "default": ""},
}


def run(task: Task) -> Result:
    mac = task.params["mac"]
    identity = Identity(task.params["hostname"], task.params["ip"], normalize_mac(mac) if mac else "")
    with open(task.params["path"], "rb") as stream:
        document = Document(decode(stream.read()))
    reader = Reader(document)
    parameters = reader.parameters(identity)
    return {
        "changed": False,
        "parameters": {key: value.value for key, value in parameters.items()},
        "origins": {key: value.section for key, value in parameters.items()},
        "matched": [section.name for section in reader.sections(identity)],
        "sections": [
            {
                "name": section.name,
                "line": section.header.number,
                "like": [line.value for line in section.parameters(LIKE)],
                "parameters": section.values(),
            }
            for section in document.sections
            if section.name
        ],
        "problems": [finding._asdict() for finding in check(document)],
        "advice": [finding._asdict() for finding in advise(document)],
    }


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), run)


if __name__ == "__main__":
    main()
