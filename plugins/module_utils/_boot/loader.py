# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of a boot loader: the names and the renderers of its files."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import Description
    from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.version import Version


class BootFile(t.NamedTuple):
    """The file that DHCP names to firmware of these architectures (RFC 4578); no architectures are all other ones."""

    architectures: tuple[str, ...]
    filename: str


class Loader(t.NamedTuple):
    """A boot loader. `node_suffix` is that of a node's file, `version_file` the name of the file in the directory of an image version."""

    node_suffix: str
    render_node: Callable[[Description], str]
    version_file: str
    render_version: Callable[[Version], str]
    boot_files: tuple[BootFile, ...]
