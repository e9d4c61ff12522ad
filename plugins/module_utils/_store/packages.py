# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian packages that are installed in an image tree."""

from __future__ import annotations

import os
import re

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.tree import open_inside


def installed_packages(tree: str) -> dict[str, str]:
    """Names and versions of the installed packages, from dpkg's own list; a package of a foreign architecture is NAME:ARCHITECTURE."""
    try:
        descriptor = open_inside(tree, "var/lib/dpkg/status")
    except FileNotFoundError:
        return {}
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
        return parse_packages(stream.read())


def parse_packages(status: str) -> dict[str, str]:
    """Parse the text of dpkg's status file."""
    stanzas = [dict(re.findall(r"^(Package|Status|Version|Architecture): *(.*)$", stanza, re.MULTILINE)) for stanza in status.split("\n\n")]
    installed = [stanza for stanza in stanzas if stanza.get("Status", "").endswith(" installed")]
    native = next((stanza["Architecture"] for stanza in installed if stanza["Package"] == "dpkg"), None)
    packages = {}
    for stanza in installed:
        architecture = stanza.get("Architecture")
        suffix = "" if native is None or architecture in (native, "all") else f":{architecture}"
        packages[stanza["Package"] + suffix] = stanza["Version"]
    return packages
