# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot loaders: one row for each."""

from __future__ import annotations

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.loaders.grub import GRUB

# Imported by name, because Ansible copies only modules that are imported by name to a target.
LOADERS = {
    "grub": GRUB,
}
"""The boot loaders by name."""
