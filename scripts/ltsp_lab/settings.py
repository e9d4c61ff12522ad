# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings from the environment: the name and the places of a lab, and the versions of its programs."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing as t

from ltsp_lab.messages import UsageError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = "1.36.3"
KUBERNETES_URL = "https://dl.k8s.io/release"
MIRROR = "http://deb.debian.org/debian"
ACCELERATORS = ("kvm", "tcg")


def _default_cache(environment: Mapping[str, str]) -> pathlib.Path:
    if os.geteuid() == 0:
        return pathlib.Path("/var/cache/ltsp-lab")
    return pathlib.Path(environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME', '/')}/.cache") / "ltsp-lab"


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of one lab."""

    name: str
    directory: pathlib.Path
    cache: pathlib.Path
    kubernetes: str = KUBERNETES
    kubernetes_url: str = KUBERNETES_URL
    """Where the releases of Kubernetes are."""
    mirror: str = MIRROR
    """Mirror of Debian for packages from another suite than this machine's."""
    ansible: str = ""
    """Requirement of pip for ansible-core; empty: the newest that the collection supports."""
    accelerator: str = ""
    """The accelerator of QEMU, one of ACCELERATORS; empty: KVM where it works."""
    uml: str = ""
    """An archive with user-mode Linux, for where Debian has none; empty: none."""
    root: pathlib.Path = ROOT
    """The collection."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables LTSP_LAB_*; raises UsageError for a value that is none."""
        name = environment.get("LTSP_LAB_NAME") or "ltsp-lab"
        accelerator = environment.get("LTSP_LAB_ACCELERATOR", "")
        if accelerator not in ("", *ACCELERATORS):
            raise UsageError(f"LTSP_LAB_ACCELERATOR is {accelerator}: use {' or '.join(ACCELERATORS)}, or leave it out")
        return cls(
            name=name,
            directory=pathlib.Path(environment.get("LTSP_LAB_DIRECTORY") or f"/var/lib/{name}"),
            cache=pathlib.Path(environment.get("LTSP_LAB_CACHE") or _default_cache(environment)),
            kubernetes=environment.get("LTSP_LAB_KUBERNETES") or KUBERNETES,
            kubernetes_url=environment.get("LTSP_LAB_KUBERNETES_URL") or KUBERNETES_URL,
            mirror=environment.get("LTSP_LAB_MIRROR") or MIRROR,
            ansible=environment.get("LTSP_LAB_ANSIBLE", ""),
            accelerator=accelerator,
            uml=environment.get("LTSP_LAB_UML", ""),
        )

    @property
    def run(self) -> pathlib.Path:
        """Where the machines keep their consoles, disks and process ids."""
        return self.directory / "run"

    @property
    def namespace(self) -> pathlib.Path:
        """The lab's network namespace, as nsenter takes it."""
        return pathlib.Path("/run/netns") / self.name
