# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot import inputs

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----"


def source(**values):
    defaults = {"name": "extra", "types": ["deb"], "uris": ["https://example.org/deb"], "suites": ["stable"], "components": ["main"]}
    return {**defaults, "architectures": [], "signed_by": None, **values}


def params(**values):
    defaults = {
        "suite": "trixie",
        "mirror": "http://deb.debian.org/debian",
        "components": ["main"],
        "architecture": "amd64",
        "variant": "minbase",
        "keyring": inputs.DEFAULT_KEYRING,
        "packages": [],
        "install_recommends": False,
        "sources": [],
        "method": "mmdebstrap",
    }
    return {**defaults, **values}


def digest(**values):
    return inputs.digest(inputs.parse_inputs(params(**values)).record())
