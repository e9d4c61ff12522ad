# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of files on the controller. They tell whether the inputs of an image changed."""

from __future__ import annotations

import hashlib
import os


def content_digest(path: str) -> str:
    """Return the SHA-256 of a file, or of a directory: of names, contents and execute bits, and not of owners and time stamps."""
    if not os.path.isdir(path):
        return _file_digest(path)
    digest = hashlib.sha256()
    for directory, subdirectories, names in os.walk(path):
        subdirectories.sort()
        for name in sorted(names):
            entry = os.path.join(directory, name)
            executable = "x" if os.access(entry, os.X_OK) else "-"
            digest.update(f"{os.path.relpath(entry, path)}\0{executable}\0{_file_digest(entry)}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _file_digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
