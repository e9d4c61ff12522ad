# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An lts.conf of 10,000 nodes: one run of the module's logic, and the resolved files of all nodes.

Fails when a limit is exceeded. Usage: PYTHONPATH=<parent of ansible_collections> python3 tests/benchmarks/lts_conf.py
"""

from __future__ import annotations

import contextlib
import sys
import time
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import advise, check, section_changes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import OWNED, Document
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.resolve import Identity, Reader, resolved_text

if t.TYPE_CHECKING:
    from collections.abc import Iterator

NODES = 10_000
exceeded: list[str] = []


@contextlib.contextmanager
def limit(what: str, seconds: float) -> Iterator[None]:
    start = time.process_time()
    yield
    taken = time.process_time() - start
    print(f"{taken:6.2f} s of {seconds:4.1f} s  {what}")
    if taken > seconds:
        exceeded.append(what)


def sections() -> list[dict[str, t.Any]]:
    default = {f"RCFILE_{number:02}": f"echo {number} 'ssh-rsa AAAA admin@farm' >> /run/log" for number in range(15)}
    groups = [{"name": f"rack{number}-*", "parameters": {"LIKE": "big", "SOUND": "False"}} for number in range(100)]
    nodes = [{"name": f"node{number}", "parameters": {"RCFILE_20": f"echo {number}", "LIKE": "big"}} for number in range(NODES)]
    return [{"name": "default", "parameters": default}, *groups, {"name": "big", "parameters": {"TIMEZONE": "UTC"}}, *nodes]


def main() -> int:
    with limit("write the file", 1.0):
        changes = section_changes(sections())
        document = Document(OWNED)
        document.change(changes)
        text = document.text()
    with limit("read it, find nothing to change, check it", 1.0):
        document = Document(text)
        document.change(changes)
        assert document.text() == text
        assert not check(document)
        assert not advise(document)
    with limit("resolve it for every node", 3.0):
        reader = Reader(document)
        for number in range(NODES):
            high, low = divmod(number, 250)
            identity = Identity(f"node{number}", f"10.0.{high}.{low}", f"52:54:00:00:{high:02x}:{low:02x}")
            assert f'RCFILE_20="echo {number}"' in resolved_text(reader.parameters(identity))
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
