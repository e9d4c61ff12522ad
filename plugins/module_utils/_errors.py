# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error with which every module of this collection fails."""

from __future__ import annotations


class LtspError(Exception):
    """The message names the value, its place and the remedy."""
