# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of an image version for boot loaders, derived from its manifest."""

from __future__ import annotations

import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import INITRD, KERNEL, SQUASHFS

if t.TYPE_CHECKING:
    from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import Manifest


class Version(t.NamedTuple):
    """Paths below the root of HTTP and TFTP, the name of the export, and kernel arguments with the hashes, all of one version."""

    image: str
    version: str
    kernel: str
    initrd: str
    squashfs: str
    export: str
    arguments: str


def describe_version(manifest: Manifest) -> Version:
    """Describe the version of `manifest`."""
    name, version = manifest["name"], manifest["version"]
    path = f"/images/{name}/{version}"
    try:
        arguments = (
            f"ltsp.image={name}/{version}",
            f"ltsp.sha256={manifest['files'][SQUASHFS]['sha256']}",
            f"ltsp.verity={manifest['verity']['root_hash']}",
            f"ltsp.verity_offset={manifest['verity']['offset']}",
        )
    except KeyError as error:
        raise FilesError(f"the manifest of {name}/{version} has no {error}: remove the version, or put its manifest back") from error
    return Version(name, version, f"{path}/{KERNEL}", f"{path}/{INITRD}", f"{path}/{SQUASHFS}", f"{name}-{version}", " ".join(arguments))
