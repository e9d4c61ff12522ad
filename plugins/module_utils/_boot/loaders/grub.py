# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB: its files of a node and of an image version. grub.cfg, which is the same for all machines, sources them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import BootError, References
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.loader import BootFile, Loader

if t.TYPE_CHECKING:
    from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import Description
    from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.version import Version

_VERSION_FILE = "boot.cfg"
# GRUB splits a command line at blanks and gives quotes, backslashes, dollars and globs a meaning of its own.
_WRITABLE = re.compile(r"[A-Za-z0-9_.,:=/+@%~!-]+")
_VARIABLES = References(mac="$ltsp_mac", server="$net_default_server", squashfs="${ltsp_squashfs}", export="${ltsp_export}", arguments="$ltsp_arguments")


def render_node(description: Description) -> str:
    """Render the file of one machine, which sources the file of its image version."""
    _check_writable(description)
    return (
        f"# Rendered from {description.file_name}.json. The place to change it is the inventory.\n"
        f'set ltsp_node="{description.name or _VARIABLES.mac}"\n'
        f'set ltsp_wanted="{description.version_directory}"\n'
        f'set ltsp_http="(http,{description.authority("http", _VARIABLES.server)})"\n'
        f'source "/images/{description.version_directory}/{_VERSION_FILE}"\n'
        f'set ltsp_command_line="{description.kernel_command_line(_VARIABLES)}"\n'
    )


def render_version(version: Version) -> str:
    """Render the file of an image version: one file, so that a machine boots files of one version only."""
    return "".join(f'set ltsp_{name}="{value}"\n' for name, value in version._asdict().items())


def _check_writable(description: Description) -> None:
    for key, value in description.document().items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and not _WRITABLE.fullmatch(item):
                raise BootError(f"{description.label}: {key}: GRUB cannot be given {item!r}: use letters, digits and _ . , : = / + @ % ~ ! - only")


GRUB = Loader(
    node_suffix=".cfg",
    render_node=render_node,
    version_file=_VERSION_FILE,
    render_version=render_version,
    boot_files=(BootFile(("00:07", "00:09"), "boot/grub/x86_64-efi/core.efi"), BootFile((), "boot/grub/i386-pc/core.0")),
)
