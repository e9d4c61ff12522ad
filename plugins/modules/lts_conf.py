#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lts_conf
short_description: Manage lts.conf and the resolved files of nodes
version_added: 0.1.0
description:
  - Manages sections and parameters of an C(lts.conf) in the format of LTSP 5, and writes the resolved parameters of every node.
  - Sections and parameters that the task does not name stay as they are, with comments, order and line ends, unless O(purge=true). A last line without
    a line end gets one.
  - Refuses a file that LTSP 5 would read differently, for example because of an empty section, a parameter without a value, C(include), a circle
    of C(LIKE) or a double quote within a value. The message names the line and the remedy.
  - A node gets its parameters from the first section that is named by its host name, else by its IP address, else by its MAC address; from the
    sections that those name with C(LIKE), in turn; from the first section whose name is a glob that matches its host name, the first that
    matches its IP address and the first that matches its MAC address, with theirs; and from C([default]). The earlier section wins.
    The value C(NONE) removes a parameter.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ansible.builtin.files
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
options:
  path:
    description: The file. Its directory has to exist.
    type: path
    required: true
  sections:
    description: The sections to manage. Names of sections and parameters are case-insensitive.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - A host name, an IPv4 address, a MAC address as V(52:54:00:77:00:01), V(default), a name for use with C(LIKE), or a glob.
          - A glob knows C(*), C(?), C([abc]), C([a-c]) and C([!abc]).
        type: str
        required: true
      state:
        description: V(absent) removes every section of this name.
        type: str
        choices: [absent, present]
        default: present
      parameters:
        description:
          - Parameters and their values. Values are literal. V(null) removes a parameter from this section, the value V(NONE) hides that of a weaker section.
          - C(LIKE) may be a list of section names.
        type: dict
        default: {}
  purge:
    description: Whether the file holds nothing but O(sections). Its comments and other sections are lost.
    type: bool
    default: false
  dialect:
    description:
      - The reader of the file. V(ltsp5) is C(lts.conf), for the nodes of this collection and for LTSP 5.
      - V(ltsp) is C(ltsp.conf) of the LTSP of today (19 and later), written from the same O(sections) so that a machine gets the same parameters.
        It needs O(purge=true) and goes without O(nodes). LTSP hands it out after the command C(ltsp initrd).
      - "These parameters have a counterpart there: C(FSTAB_*), C(HOSTS_*), C(DNS_SERVER), C(SEARCH_DOMAIN), C(SERVER), C(CUPS_SERVER), C(HOSTNAME) and
        C(KEEP_SYSTEM_SERVICES) are the same; C(CRONTAB_*) gets the user root; C(PREINIT_*) becomes C(POST_INIT_*), which runs before systemd, too;
        C(RM_SYSTEM_SERVICES) becomes C(MASK_SYSTEM_SERVICES), where a name without suffix means the service only; C(USE_LOCAL_SWAP) becomes C(LOCAL_SWAP)
        and the parameter for a copy of the image in RAM (see docs/runtime.md) becomes C(IMAGE_TO_RAM), with 1 or 0."
      - All others are refused, unless O(own_parameters) names them. Then they are written as they are, so that parameters which only the LTSP of today
        knows can be given. C(RCFILE_*) is refused in any case. Its nearest counterpart, C(POST_INIT_*), runs before systemd and the network.
      - C([default]) becomes C([clients]). C(LIKE) and globs of exact names are resolved into the sections, because C(INCLUDE) knows a different order.
        C(NONE) becomes an empty value. Values stay literal.
      - Names and values that LTSP would read differently are refused, such as a name with C([abc]), the glob C(*), which matches addresses and names, or
        C(FSTAB_10) beside C(FSTAB_2). One case cannot be recognized. LTSP gives a machine with a section for its host name and another for its address the
        parameters of both, so name a machine in one way.
    type: str
    choices: [ltsp5, ltsp]
    default: ltsp5
  nodes:
    description: The nodes for which resolved files are written.
    type: list
    elements: dict
    suboptions:
      hostname:
        description: The node's host name.
        type: str
        required: true
      ip:
        description: The node's IPv4 address.
        type: str
        default: ""
      macs:
        description: The MAC addresses of the node's network cards, in any usual spelling.
        type: list
        elements: str
        required: true
  nodes_path:
    description:
      - An existing directory for the resolved files, one for each MAC address, such as C(52-54-00-77-00-01.conf).
      - It belongs to this module, which removes every other C(*.conf) in it.
    type: path
  secret_parameters:
    description:
      - Globs of parameters whose values stay out of the diff and of what the module returns.
      - The target's system log sees a task's options in any case. Set C(no_log) on the task where that matters.
    type: list
    elements: str
    default: []
  own_parameters:
    description: Globs of parameters of your own, which are not warned about as unknown, or refused with O(dialect=ltsp).
    type: list
    elements: str
    default: []
  backup:
    description: Whether to keep a copy of the file as it was before a change.
    type: bool
    default: false
notes:
  - The resolved files are readable for all users, because they are served to the nodes. File attributes such as O(mode) concern O(path) only.
seealso:
  - module: serverfarm.ltsp.lts_conf_info
author:
  - The serverfarm.ltsp contributors (@serverfarm)
"""

EXAMPLES = r"""
- name: Set parameters for all nodes, and keep all others
  serverfarm.ltsp.lts_conf:
    path: /srv/ltsp/public/config/lts.conf
    sections:
      - name: default
        parameters:
          PREINIT_00_TIME: ln -sf /usr/share/zoneinfo/Europe/Prague /etc/localtime
          FSTAB_01_JOURNALD: /dev/data/journal /var/log/journal ext4 nofail,noatime 0 0
          RCFILE_06_MODULES: modprobe br_netfilter
      - name: rack1-*
        parameters:
          LIKE: big
          RCFILE_06_MODULES: NONE
      - name: big
        parameters:
          FSTAB_02_SCRATCH: /dev/data/scratch /scratch ext4 nofail 0 0

- name: Remove one parameter and one section
  serverfarm.ltsp.lts_conf:
    path: /srv/ltsp/public/config/lts.conf
    sections:
      - name: default
        parameters:
          RCFILE_06_MODULES: null
      - name: node7
        state: absent

- name: Own the whole file, resolve it for every node, keep the token out of the diff
  serverfarm.ltsp.lts_conf:
    path: /srv/ltsp/public/config/lts.conf
    purge: true
    sections:
      - name: default
        parameters:
          RCFILE_07_JOIN: "kubeadm join --token {{ token }} 10.77.0.10:6443 --discovery-token-ca-cert-hash {{ hash }}"
    secret_parameters: ["*_JOIN*"]
    nodes:
      - hostname: node1
        ip: 10.77.0.11
        macs: ["52:54:00:77:00:01"]
    nodes_path: /srv/ltsp/public/config/nodes

- name: Write the file of today's LTSP for a rack that is still served by it
  serverfarm.ltsp.lts_conf:
    path: /etc/ltsp/ltsp.conf
    dialect: ltsp
    purge: true
    mode: "0660"
    sections:
      - name: default
        parameters:
          FSTAB_01_JOURNALD: /dev/data/journal /var/log/journal ext4 nofail,noatime 0 0
          KEEP_SYSTEM_SERVICES: ssh
          MASK_SYSTEM_SERVICES: ModemManager
    own_parameters: [MASK_SYSTEM_SERVICES]
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: always
  sample: /srv/ltsp/public/config/lts.conf
written:
  description: Resolved files that were written, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [/srv/ltsp/public/config/nodes/52-54-00-77-00-01.conf]
removed:
  description: Files of nodes that are gone, which were removed, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [/srv/ltsp/public/config/nodes/52-54-00-77-00-09.conf]
backup_file:
  description: The copy of the file as it was.
  type: str
  returned: when O(backup=true) and the file changed
  sample: /srv/ltsp/public/config/lts.conf.4711.2026-11-20@22:30:00~
"""

import os
import re
import stat
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf import ltsp19, masking
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import advise, check, report, section_changes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import OWNED, Document, decode, encode
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import LtsConfError, glob_pattern
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.resolve import resolved_files
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Result, Task, difference, run_module
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import DirectoryChange, apply_directory, plan_directory, write_file

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "sections": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
            "parameters": {"type": "dict", "default": {}},
        },
    },
    "purge": {"type": "bool", "default": False},
    "dialect": {"type": "str", "choices": ["ltsp5", "ltsp"], "default": "ltsp5"},
    "nodes": {
        "type": "list",
        "elements": "dict",
        "options": {
            "hostname": {"type": "str", "required": True},
            "ip": {"type": "str", "default": ""},
            "macs": {"type": "list", "elements": "str", "required": True},
        },
    },
    "nodes_path": {"type": "path"},
    "secret_parameters": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "own_parameters": {"type": "list", "elements": "str", "default": []},
    "backup": {"type": "bool", "default": False},
}


class Module(AnsibleModule):  # type: ignore[misc]
    def fail_json(self, msg: str, **kwargs: t.Any) -> t.NoReturn:
        """Keep secrets out of the invocation that a failed task returns, also when its options are wrong."""
        if self.params.get("secret_parameters"):
            self.params["sections"] = masking.MASK
        super().fail_json(msg, **kwargs)
        raise AssertionError


class Plan(t.NamedTuple):
    """Changes of lts.conf and of the nodes' files. `path` is without symbolic links."""

    path: str
    before: str
    after: str
    write: bool
    nodes: DirectoryChange


def read(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return decode(stream.read())
    except FileNotFoundError:
        return ""


def write(path: str, text: str, private: bool) -> None:
    """Replace the file and keep its mode and owner. A new one is private until its mode is set."""
    if not os.path.exists(path):
        write_file(path, encode(text), 0o600 if private else 0o644)
        return
    before = os.stat(path)
    write_file(path, encode(text), stat.S_IMODE(before.st_mode))
    after = os.stat(path)
    if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
        os.chown(path, before.st_uid, before.st_gid)


def check_options(task: Task, path: str) -> None:
    nodes_path = task.params["nodes_path"]
    if task.params["dialect"] == "ltsp":
        if not task.params["purge"]:
            raise LtspError("dialect ltsp writes the whole file and keeps nothing that stands in it: set purge to true")
        if nodes_path or task.params["nodes"]:
            raise LtspError("nodes and nodes_path are for dialect ltsp5, in ltsp.conf a node finds its sections itself: remove them")
    for directory in (os.path.dirname(path), *([nodes_path] if nodes_path else [])):
        if not os.path.isdir(directory) and not task.check_mode:
            raise LtspError(f"the directory {directory} does not exist: make it first")


def compose(task: Task, before: str, sections: list[dict[str, t.Any]]) -> Document:
    changes = section_changes(sections)
    document = Document(OWNED if task.params["purge"] else before)
    document.change(changes)
    refused = check(document)
    if refused:
        raise LtspError(report(f"{task.params['path']} is not written", refused))
    advice = advise(document, task.params["own_parameters"])
    if advice:
        task.warn(report(task.params["path"], advice))
    return document


def render(task: Task, document: Document) -> str:
    if task.params["dialect"] == "ltsp5":
        return document.text()
    text, refused = ltsp19.convert(document, task.params["own_parameters"])
    if refused:
        raise LtspError(report(f"{task.params['path']} is not written", refused))
    return text


def make_plan(task: Task, path: str, sections: list[dict[str, t.Any]]) -> Plan:
    before = read(path)
    document = compose(task, before, sections)
    after = render(task, document)
    nodes = DirectoryChange({}, [], {})
    if task.params["nodes_path"]:
        nodes = plan_directory(task.params["nodes_path"], resolved_files(document, task.params["nodes"]), (".conf",))
    return Plan(path, before, after, before != after or not os.path.exists(path), nodes)


def diff(task: Task, plan: Plan, secret: list[re.Pattern[str]]) -> list[dict[str, str]]:
    masked = masking.masked if task.params["dialect"] == "ltsp5" else ltsp19.masked
    texts = {plan.path: (plan.before, plan.after)}
    for name in [*sorted(plan.nodes.write), *plan.nodes.remove]:
        before, after = plan.nodes.before.get(name, b""), plan.nodes.write.get(name, b"")
        texts[os.path.join(task.params["nodes_path"], name)] = decode(before), decode(after)
    return [difference(name, masked(before, secret), masked(after, secret)) for name, (before, after) in texts.items()]


def apply(task: Task, module: AnsibleModule, plan: Plan) -> Result:
    """Write the files. Return the values that only a written file has."""
    result = {}
    if plan.write:
        if task.params["backup"] and os.path.exists(plan.path):
            result["backup_file"] = module.backup_local(plan.path)
        write(plan.path, plan.after, private=task.params["mode"] is not None)
    apply_directory(task.params["nodes_path"], plan.nodes)
    return result


def run(task: Task, module: AnsibleModule) -> Result:
    try:
        secret = [glob_pattern(name) for name in task.params["secret_parameters"]]
        sections = task.params["sections"]
        # The module returns its options as its invocation.
        task.params["sections"] = masking.masked_sections(sections, secret)
        path = os.path.realpath(task.params["path"])
        check_options(task, path)
        plan = make_plan(task, path, sections)
    except LtsConfError as error:
        raise LtspError(f"{task.params['path']}: {error}") from error
    nodes_path = task.params["nodes_path"]
    result: Result = {
        "path": task.params["path"],
        "changed": bool(plan.write or plan.nodes.write or plan.nodes.remove),
        "written": [os.path.join(nodes_path, name) for name in sorted(plan.nodes.write)],
        "removed": [os.path.join(nodes_path, name) for name in plan.nodes.remove],
    }
    if task.diff:
        result["diff"] = diff(task, plan, secret)
    if not task.check_mode:
        result.update(apply(task, module, plan))
    if os.path.exists(path):
        arguments = module.load_file_common_arguments(task.params, path=path)
        result["changed"] = module.set_fs_attributes_if_different(arguments, result["changed"])
    return result


def main() -> None:
    module = Module(argument_spec=ARGUMENTS, add_file_common_args=True, required_together=[("nodes", "nodes_path")], supports_check_mode=True)
    run_module(module, lambda task: run(task, module), failure={"path": module.params["path"]})


if __name__ == "__main__":
    main()
