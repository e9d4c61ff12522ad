# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The leg integration: the targets of ansible-test in containers."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import shlex
import subprocess
import sys
import typing as t

from ltsp_lab.ansible import Ansible, oldest_ansible, supported_ansible
from ltsp_lab.messages import LabError, UsageError, say
from ltsp_lab.packages import need_packages
from ltsp_lab.processes import run_to_end
from ltsp_tests.checkout import PLACE, copy_checkout
from ltsp_tests.processes import module, turn

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ltsp_lab.settings import Settings
    from ltsp_tests.processes import Processes

APART = ("role_kubernetes_node", "role_ltsp_image")
"""Targets that run beside the others, because they take as long as all of them."""
WITH_OLDEST = ("lts_conf", "squashfs_image")
"""Targets that run with the oldest ansible-core, too. The labs of e2e build their images with it, so that the modules that make Debian trees are run there."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Targets that run one after the other, in a container of their own."""

    requirement: str
    container: str
    targets: tuple[str, ...]


def batches(root: pathlib.Path, name: str) -> tuple[list[Batch], list[Batch]]:
    """Batches of all targets, or of those with `name` in theirs: those of this process, and those that run beside it.

    With the oldest ansible-core there are few: e2e runs all roles with it.
    """
    places = [path.name for path in (root / "tests/integration/targets").iterdir()]
    targets = sorted(target for target in places if name in target)
    if not targets:
        raise UsageError(f"no integration target has {name} in its name: there are {', '.join(sorted(places))}")
    newest = supported_ansible(root)
    own = [Batch(newest, "ltsp-test", tuple(target for target in targets if target not in APART))]
    beside = [
        Batch(oldest_ansible(root), "ltsp-test-oldest", tuple(target for target in targets if target in WITH_OLDEST)),
        Batch(newest, "ltsp-test-apart", tuple(target for target in targets if target in APART)),
    ]
    return [batch for batch in own if batch.targets], [batch for batch in beside if batch.targets]


def run(settings: Settings, processes: Processes, name: str) -> int:
    own, beside = batches(settings.root, name)
    with turn(settings):
        need_packages(settings, "git")
        Ansible.prepare(settings)
        if not own or not beside:
            return _run(settings, own + beside)
        beside_it = module("ltsp_tests.leg", "integration-beside", name)
        return max(processes.beside(beside_it, settings.cache / "integration-beside.log", lambda: _run(settings, own)))


def run_beside(settings: Settings, _processes: Processes, name: str) -> int:
    return _run(settings, batches(settings.root, name)[1])


def _run(settings: Settings, wanted: Iterable[Batch]) -> int:
    return max([_run_batch(settings, batch) for batch in wanted])


def _run_batch(settings: Settings, batch: Batch) -> int:
    say(f"--- integration with {batch.requirement}: {' '.join(batch.targets)}")
    try:
        with _container(settings, batch.container) as ansible:
            return _test(ansible, batch)
    except LabError as error:
        print(f"test: {batch.container}: {error}", file=sys.stderr)
        # A failure to clean up does not make an interrupted run go on.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        return error.status


@contextlib.contextmanager
def _container(settings: Settings, name: str) -> Iterator[Ansible]:
    """Have a new container, the server of a lab without nodes."""
    ansible = Ansible.prepare(dataclasses.replace(settings, name=name, directory=pathlib.Path("/var/lib", name)))
    _bring(ansible, "absent")
    try:
        _bring(ansible, "present", ltsp_lab_nodes=[], ltsp_lab_server_packages=["python3-venv"])
        yield ansible
    finally:
        _bring(ansible, "absent")


def _bring(ansible: Ansible, state: str, **variables: t.Any) -> None:
    lab = ansible.settings
    places = {"ltsp_lab_name": lab.name, "ltsp_lab_directory": str(lab.directory), "ltsp_lab_cache": str(lab.cache)}
    ansible.playbook("--inventory=localhost,", "serverfarm.ltsp.lab", "--extra-vars", json.dumps({"ltsp_lab_state": state, **places, **variables}))


def _test(ansible: Ansible, batch: Batch) -> int:
    lab = ansible.settings
    ssh = ["ssh", "-F", f"{lab.directory}/ssh_config", "ltsp-1"]
    copy = lab.directory / "copy"
    copy_checkout(lab.root, copy)
    _download(ansible, batch.requirement, _python(ssh), copy / "wheels")
    _send(copy, ssh)
    return run_to_end([*ssh, _script(batch.targets)])


def _python(ssh: list[str]) -> str:
    """The version of the container's Python, as pip takes it."""
    return _output([*ssh, "/usr/bin/python3 -c 'import sys; print(\"{}.{}\".format(*sys.version_info))'"]).strip()


def _download(ansible: Ansible, requirement: str, version: str, goal: pathlib.Path) -> None:
    """Get the wheels here: the container need not reach an index."""
    options = ["--quiet", "--disable-pip-version-check", "--only-binary=:all:", f"--python-version={version}", f"--dest={goal}"]
    if run_to_end([f"{ansible.venv}/bin/pip", "download", *options, requirement]) != 0:
        raise LabError(f"pip could not download {requirement} for Python {version}, see above")


def _send(directory: pathlib.Path, ssh: list[str]) -> None:
    with subprocess.Popen(["tar", "--create", f"--directory={directory}", "."], stdout=subprocess.PIPE) as tar:
        unpacked = subprocess.run([*ssh, "tar --extract --no-same-owner --directory=/root"], stdin=tar.stdout, check=False)
    if tar.returncode or unpacked.returncode:
        raise LabError(f"{directory} could not be copied into the container, see above")


def _script(targets: Iterable[str]) -> str:
    return (
        "python3 -m venv venv && venv/bin/pip install --quiet --no-index --find-links=wheels ansible-core && "
        f"cd {PLACE} && PATH=/root/venv/bin:$PATH && ansible --version | head -n 1 && "
        f"ansible-test integration --color no --allow-destructive --continue-on-error {shlex.join(targets)}"
    )


def _output(command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise LabError(f"{shlex.join(command)} failed with status {done.returncode}, see above")
    return done.stdout
