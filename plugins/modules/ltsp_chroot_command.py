#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ltsp_chroot_command
short_description: Run a command inside the tree of an image
version_added: 0.1.0
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Runs a command in a directory that holds a Debian or Ubuntu system, as if that system were the running one.
  - The command gets namespaces of its own for mounts, processes, IPC and the host name. It sees C(/proc), a read-only C(/sys), an empty C(/run) and
    a C(/dev) without any hardware. When it ends, everything that it left running ends with it, and its mounts vanish. The same happens when the
    task is interrupted or killed.
  - No service starts. C(systemctl enable) works, C(systemctl start) does nothing, and the maintainer scripts of packages are told by C(policy-rc.d) not to
    start anything.
  - The host's C(/etc/resolv.conf) is laid over that of the tree while the command runs, so that C(apt-get) works. That of the tree stays as it is, and neither
    the command nor a package can write or replace it. To set it, copy a file or make a link there.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: partial
    details: The command is not run. With O(creates) or O(removes) the task reports whether it would run.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: linux
options:
  root:
    description:
      - Directory that holds the tree.
      - Symbolic links in the tree, also absolute ones, never lead out of it.
    type: path
    required: true
  cmd:
    description:
      - The command with its arguments, separated by blanks and quoted as for a shell. As no shell is involved, C($HOME), C(>) and C(|) have no meaning.
      - Exactly one of O(cmd) and O(argv) is required.
    type: str
  argv:
    description:
      - The command with its arguments as a list.
    type: list
    elements: str
  chdir:
    description:
      - Directory inside the tree in which the command runs.
    type: str
    default: /
  environment:
    description:
      - Variables for the command.
      - It also gets C(PATH), C(HOME=/root), C(LC_ALL=C.UTF-8), C(DEBIAN_FRONTEND=noninteractive) and C(SYSTEMD_OFFLINE=1), which can be overridden here, and
        those variables of the task that name a proxy, as C(http_proxy). Nothing else is inherited.
    type: dict
    default: {}
  stdin:
    description:
      - Text for the standard input of the command, which is empty otherwise.
    type: str
  stdin_add_newline:
    description:
      - Whether a newline is appended to O(stdin).
    type: bool
    default: true
  creates:
    description:
      - A path or shell pattern inside the tree, relative to O(chdir). When it exists, the command is not run.
    type: str
  removes:
    description:
      - A path or shell pattern inside the tree, relative to O(chdir). When it does not exist, the command is not run.
    type: str
notes:
  - The network is the host's.
  - A command that was ended by a signal has the return code 128 plus the number of the signal.
  - Needs root, and C(setpriv), C(unshare), C(mount) and C(chroot) on the host, which every Debian and Ubuntu system has.
seealso:
  - module: serverfarm.ltsp.ltsp_chroot
  - module: ansible.builtin.command
"""

EXAMPLES = r"""
- name: Bring the tree up to date
  serverfarm.ltsp.ltsp_chroot_command:
    root: /srv/ltsp/private/trees/node
    cmd: apt-get update

- name: Install a package that brings a service
  serverfarm.ltsp.ltsp_chroot_command:
    root: /srv/ltsp/private/trees/node
    argv: [apt-get, install, --yes, --no-install-recommends, nginx]
    creates: /usr/sbin/nginx

- name: Let the service start when the image boots
  serverfarm.ltsp.ltsp_chroot_command:
    root: /srv/ltsp/private/trees/node
    cmd: systemctl enable nginx.service
    creates: /etc/systemd/system/multi-user.target.wants/nginx.service

- name: Set a password without showing it to other users of the host
  serverfarm.ltsp.ltsp_chroot_command:
    root: /srv/ltsp/private/trees/node
    cmd: chpasswd --encrypted
    stdin: "root:{{ root_password_hash }}"
  no_log: true

- name: Use a shell where one is needed
  serverfarm.ltsp.ltsp_chroot_command:
    root: /srv/ltsp/private/trees/node
    chdir: /usr/src/driver
    argv:
      - sh
      - -c
      - make && make install >/var/log/driver.log
    environment:
      KVERSION: 6.12.48+deb13-amd64
    creates: /lib/modules/*/updates/driver.ko
"""

RETURN = r"""
cmd:
  description: The command with its arguments.
  returned: always
  type: list
  elements: str
  sample: [apt-get, update]
stdout:
  description: Standard output of the command.
  returned: always
  type: str
  sample: Reading package lists...
stderr:
  description: Standard error of the command.
  returned: always
  type: str
  sample: ""
rc:
  description: The return code of the command.
  returned: always
  type: int
  sample: 0
start:
  description: Start of the command.
  returned: always
  type: str
  sample: "2026-11-20 22:30:00.123456"
end:
  description: End of the command.
  returned: always
  type: str
  sample: "2026-11-20 22:30:04.567890"
delta:
  description: Duration of the command.
  returned: always
  type: str
  sample: "0:00:04.444434"
msg:
  description: Reason why the command failed or was not run.
  returned: when it failed or was not run
  type: str
  sample: non-zero return code
"""

import datetime
import os
import shlex
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.command import check_environment, proxies, run_in_tree
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError, check_root, matches
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Result, Task, run_module

ARGUMENTS = {
    "root": {"type": "path", "required": True},
    "cmd": {"type": "str"},
    "argv": {"type": "list", "elements": "str"},
    "chdir": {"type": "str", "default": "/"},
    "environment": {"type": "dict", "default": {}},
    "stdin": {"type": "str"},
    "stdin_add_newline": {"type": "bool", "default": True},
    "creates": {"type": "str"},
    "removes": {"type": "str"},
}
NOT_RUN: Result = {"changed": False, "rc": None, "stdout": "", "stderr": "", "start": None, "end": None, "delta": None}


def split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ChrootError(f"cmd: {command!r} is not quoted as for a shell ({error})") from error


def run(task: Task, result: Result) -> Result:
    """Run the command unless a condition or the check mode forbids it. A failure returns `result` too, as far as it is filled by then."""
    params = task.params
    result["cmd"] = params["argv"] if params["cmd"] is None else split(params["cmd"])
    if not result["cmd"]:
        raise ChrootError("the command is empty: name a program in cmd or argv")
    if not params["chdir"].startswith("/"):
        raise ChrootError(f"chdir: {params['chdir']!r} is not an absolute path inside the tree")
    environment = {**proxies(os.environ), **check_environment(params["environment"])}
    would_run: Result = {"rc": 0, "msg": "Command would have run if not in check mode"}
    if task.check_mode and not os.path.lexists(params["root"]):
        return {**result, **would_run, "changed": True}
    root = check_root(params["root"])
    for option, state, unwanted in (("creates", "exists", True), ("removes", "does not exist", False)):
        pattern = params[option]
        if pattern is not None and matches(root, pattern, params["chdir"]) is unwanted:
            return {**result, "rc": 0, "msg": f"Did not run the command since {pattern!r} {state}", "stdout": f"skipped, since {pattern} {state}"}
    if task.check_mode:
        conditional = params["creates"] is not None or params["removes"] is not None
        return {**result, **would_run, **({"changed": True} if conditional else {"skipped": True})}
    result.update(execute(root, result["cmd"], params, environment))
    if result["rc"] != 0:
        raise ChrootError("non-zero return code")
    return result


def execute(root: str, argv: list[str], params: dict[str, t.Any], environment: dict[str, str]) -> Result:
    data = params["stdin"]
    if data is not None and params["stdin_add_newline"]:
        data += "\n"
    start = datetime.datetime.now()
    ended = run_in_tree(root, argv, chdir=params["chdir"], environment=environment, data=None if data is None else data.encode("utf-8", "surrogateescape"))
    end = datetime.datetime.now()
    return {
        "changed": True,
        "rc": ended.rc,
        "stdout": ended.stdout.decode("utf-8", "replace").rstrip("\r\n"),
        "stderr": ended.stderr.decode("utf-8", "replace").rstrip("\r\n"),
        "start": str(start),
        "end": str(end),
        "delta": str(end - start),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, mutually_exclusive=[("cmd", "argv")], required_one_of=[("cmd", "argv")], supports_check_mode=True)
    result = dict(NOT_RUN)
    run_module(module, lambda task: run(task, result), subject="root", failure=result)


if __name__ == "__main__":
    main()
