# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.layers import Layer, parse_layer

DIGEST = "sha256:" + "a" * 64


def parameters(source: pathlib.Path, **changes: t.Any) -> dict[str, t.Any]:
    return {"src": str(source), "dest": "/", "exclude": [], "time": "2026-11-20T22:30:00Z", "comment": "test", **changes}


def layer(source: pathlib.Path, **changes: t.Any) -> Layer:
    return parse_layer(parameters(source, **changes))
