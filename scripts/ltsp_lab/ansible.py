# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible for the lab: a virtual environment, the collections and the playbooks."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import typing as t
import zipfile

from ltsp_lab.locks import waiting_lock
from ltsp_lab.messages import LabError, say
from ltsp_lab.packages import need_packages
from ltsp_lab.processes import run_to_end

if t.TYPE_CHECKING:
    from ltsp_lab.settings import Settings

PYTHON = "/usr/bin/python3"
"""The distribution's own, which Ansible's modules for apt need; not the first of the PATH."""

KUBERNETES_CORE = "5.4.1"
KUBERNETES_CORE_PACKAGE = "ansible==11.13.0"
"""The package of Python's index that has the collection kubernetes.core in this version."""


@dataclasses.dataclass(frozen=True)
class Ansible:
    """Ansible in a virtual environment of its own, with the collection."""

    settings: Settings
    venv: pathlib.Path
    collections: pathlib.Path
    others: pathlib.Path

    @classmethod
    def prepare(cls, settings: Settings) -> Ansible:
        """Install the missing parts."""
        need_packages(settings, "python3-apt")
        venv = make_venv(settings, "ansible", settings.ansible or supported_ansible(settings.root), "scripts/ltsp_lab/requirements.txt")
        return cls(settings, venv, link_collection(settings), need_collections(settings, venv))

    def environment(self) -> dict[str, str]:
        """Variables for the programs of Ansible."""
        return {
            **os.environ,
            "ANSIBLE_CONFIG": f"{self.settings.root}/scripts/ltsp_lab/ansible.cfg",
            "ANSIBLE_COLLECTIONS_PATH": f"{self.collections}:{self.others}",
            "PATH": f"{self.venv}/bin:{os.environ['PATH']}",
        }

    def playbook(self, *arguments: str) -> None:
        """Run ansible-playbook; raises LabError with its exit status when it fails."""
        say(f"+ ansible-playbook {shlex.join(arguments)}")
        # An interrupted ssh leaves the terminal non-blocking, and Ansible refuses to start on it.
        for descriptor in (1, 2):
            os.set_blocking(descriptor, True)
        status = run_to_end([self.venv / "bin/ansible-playbook", *arguments], environment=self.environment())
        if status != 0:
            name = next((argument for argument in arguments if argument.startswith("serverfarm.ltsp.")), arguments[-1])
            raise LabError(f"the playbook {name} failed with status {status}, see above", status)


def supported_ansible(root: pathlib.Path) -> str:
    """Requirement of pip for the versions of ansible-core that the collection supports."""
    runtime = (root / "meta/runtime.yml").read_text(encoding="utf-8")
    match = re.search(r'^requires_ansible: *"(.*)"', runtime, re.MULTILINE)
    if not match:
        raise LabError(f"{root}/meta/runtime.yml has no requires_ansible")
    return f"ansible-core{match[1]}"


def oldest_ansible(root: pathlib.Path) -> str:
    """Requirement of pip for the oldest of them."""
    return re.sub(r">=(\d+\.\d+).*", r"==\1.*", supported_ansible(root))


def make_venv(settings: Settings, name: str, requirement: str, *files: str) -> pathlib.Path:
    """Make, once, a virtual environment with the newest `requirement` for this machine's Python and with what the collection's `files` require."""
    need_packages(settings, "python3", "python3-venv")
    version = subprocess.run([PYTHON, "-VV"], capture_output=True, text=True, check=True).stdout
    requirements = f"{requirement}\n" + "".join((settings.root / file).read_text(encoding="utf-8") for file in files)
    venv = settings.cache / f"venv-{name}-{_digest(version + requirements)}"
    with waiting_lock(settings.cache / "venv.lock"):
        if not (venv / "complete").exists():
            say(f"Installing {requirement} and others into {venv}")
            _fill(venv, requirements)
    return venv


def need_collections(settings: Settings, venv: pathlib.Path) -> pathlib.Path:
    """Get, once, the collections of others that this one needs, with the Ansible of `venv`; returns their directory."""
    others = settings.cache / f"collections-kubernetes.core-{KUBERNETES_CORE}"
    with waiting_lock(settings.cache / "collections.lock"):
        if not others.is_dir():
            say(f"Installing the collection kubernetes.core {KUBERNETES_CORE} into {others}")
            _get_collection(venv, others)
    return others


def link_collection(settings: Settings) -> pathlib.Path:
    """Link the checkout to where Ansible finds it, because it finds collections by their place only; returns the directory of collections."""
    collections = settings.cache / f"collections-{_digest(str(settings.root))}"
    link = collections / "ansible_collections/serverfarm/ltsp"
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(settings.root)
    return collections


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _fill(venv: pathlib.Path, requirements: str) -> None:
    shutil.rmtree(venv, ignore_errors=True)
    try:
        _run(PYTHON, "-m", "venv", str(venv))
        file = venv / "requirements.txt"
        file.write_text(requirements, encoding="utf-8")
        _run(f"{venv}/bin/pip", "install", "--quiet", "--disable-pip-version-check", f"--requirement={file}")
    except subprocess.CalledProcessError:
        raise LabError(f"could not make the virtual environment {venv}, see above") from None
    (venv / "complete").touch()


def _get_collection(venv: pathlib.Path, others: pathlib.Path) -> None:
    log = others.with_name(f"{others.name}.log")
    new = others.with_name(f"{others.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    if not _from_galaxy(venv, new, log):
        say(f"  out of {KUBERNETES_CORE_PACKAGE}, because Ansible Galaxy does not give it: see {log}")
        try:
            _from_package(venv, new)
        except subprocess.CalledProcessError:
            raise LabError(f"could not get the collection kubernetes.core {KUBERNETES_CORE}, see above and {log}") from None
    new.rename(others)


def _from_galaxy(venv: pathlib.Path, directory: pathlib.Path, log: pathlib.Path) -> bool:
    options = ("--timeout=10", "--no-deps", f"--collections-path={directory}")
    command = [f"{venv}/bin/ansible-galaxy", "collection", "install", *options, f"kubernetes.core:{KUBERNETES_CORE}"]
    with log.open("w", encoding="utf-8") as output:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False).returncode == 0


def _from_package(venv: pathlib.Path, directory: pathlib.Path) -> None:
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", f"--dest={directory}")
    _run(f"{venv}/bin/pip", "download", *options, KUBERNETES_CORE_PACKAGE)
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory, [name for name in archive.namelist() if name.startswith("ansible_collections/kubernetes/core/")])
    wheel.unlink()


def _run(*command: str) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
