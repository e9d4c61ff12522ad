# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command scripts/lab."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
import typing as t

from ltsp_lab.ansible import supported_ansible
from ltsp_lab.description import SERVERS, describe
from ltsp_lab.lab import Farm, fast_lab
from ltsp_lab.messages import LabError, UsageError
from ltsp_lab.settings import Settings

if t.TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = """\
Usage: scripts/lab [--kubernetes] [--server systemd|kubernetes] [--fast] [--nodes N] [-- OPTION...]
       scripts/lab --console NODE
       scripts/lab --down

Makes a farm on this machine: a boot server in a container, configured by the production playbook site.yml, and
nodes in QEMU that boot from it over a network of their own. Run it again to continue or to apply a change.

  --kubernetes    with a control plane in a second container, cp-1, that the nodes join
  --server WHERE  the boot server runs its services with systemd in its container (default), or as a pod on a virtual machine,
                  kube-1, that is a node of the cluster; with kubernetes, --kubernetes goes without saying
  --fast          nodes of user-mode Linux instead of QEMU: without firmware, boot loader and the image's kernel, in seconds
  --nodes N       boot N nodes (default 2: node1 with a BIOS and its root on NBD, node2 with UEFI and its root in RAM)
  --console NODE  attach to the serial console of a node, or of kube-1; Ctrl-] leaves it
  --down          stop everything and remove it
  --help          show this text
  -- OPTION...    more options for the ansible-playbook that runs site.yml, for example: -- -e '{{"ltsp_image_packages": ["htop"]}}'

Environment:
  LTSP_LAB_NAME         name of the lab and of its network namespace ({name})
  LTSP_LAB_DIRECTORY    what the lab is made of ({directory}), removed by --down
  LTSP_LAB_KUBERNETES   version of Kubernetes ({kubernetes})
  LTSP_LAB_ANSIBLE      what runs the playbooks (the newest of {supported} that this machine's Python can run)
  LTSP_LAB_ACCELERATOR  kvm or tcg: what QEMU runs machines with (KVM, and emulation where KVM cannot run them)
  LTSP_LAB_UML          an archive with user-mode Linux, for where Debian has none that boots (none)
  LTSP_LAB_MIRROR       Debian's mirror for user-mode Linux ({mirror})
  LTSP_LAB_CACHE        what saves time the next time ({cache})
"""
_INTERRUPTED = 130


def usage(settings: Settings) -> str:
    places = {"name": settings.name, "directory": settings.directory, "cache": settings.cache, "kubernetes": settings.kubernetes, "mirror": settings.mirror}
    return USAGE.format(**places, supported=supported_ansible(settings.root))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 99:
        raise argparse.ArgumentTypeError(f"wants a number from 1 to 99, not {text}")
    return int(text)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> t.NoReturn:
        raise UsageError(message)


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and those behind `--`; raises UsageError."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--down", action="store_true")
    parser.add_argument("--console", metavar="NODE")
    parser.add_argument("--kubernetes", action="store_true")
    parser.add_argument("--server", choices=SERVERS, default=SERVERS[0])
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--nodes", type=_number, default=2)
    options = parser.parse_args(arguments[:end])
    options.kubernetes |= options.server == "kubernetes"
    if options.fast and options.kubernetes:
        raise UsageError("--fast goes without Kubernetes, whose nodes need the image's own kernel: leave out one of them")
    return options, list(arguments[end + 1 :])


def run(arguments: Sequence[str], settings: Settings) -> None:
    options, more = parse(arguments)
    farm = Farm(settings)
    if options.help:
        print(usage(settings), end="")
    elif options.console is not None:
        farm.console(options.console)
    elif options.down:
        farm.down()
    elif options.fast:
        farm.up(functools.partial(fast_lab, settings, options.nodes), more)
    else:
        farm.up(functools.partial(describe, options.nodes, kubernetes=options.kubernetes, server=options.server), more)


def main() -> int:
    """The command; returns its exit status."""
    # The PATH of root may lack the sbin directories.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(sys.argv[1:], Settings.read(os.environ))
    except LabError as error:
        print(f"lab: {error}", *(["", usage(Settings.read({}))] if isinstance(error, UsageError) else []), sep="\n", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
