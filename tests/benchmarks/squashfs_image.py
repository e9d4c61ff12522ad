# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an unchanged image costs against a full build, as a ratio of CPU time in one run, so that the machine does not matter.

Fails when an unchanged run is not RATIO times cheaper. Usage: PYTHONPATH=<parent of ansible_collections> python3 tests/benchmarks/squashfs_image.py [TREE]
Without TREE it makes one of 8,000 files and 160 MiB. Needs mksquashfs and veritysetup.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import squashfs as _squashfs
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import tree as _tree

FILES = 8_000
RATIO = 4.0
EXCLUDES = ["boot/*", "proc/*", "var/log/**"]


def plant(root: str) -> None:
    """Text of random words, which compresses about as well as a root file system."""
    source = random.Random(1)
    words = [source.randbytes(source.randint(2, 8)) for number in range(3_000)]
    text = b" ".join(source.choice(words) for number in range(400_000))
    for number in range(FILES):
        directory = os.path.join(root, f"usr{number % 10}", f"lib{number % 400}")
        os.makedirs(directory, exist_ok=True)
        start, size = source.randrange(len(text) // 2), int(source.paretovariate(1.2) * 5_000)
        with open(os.path.join(directory, f"file{number}"), "wb") as stream:
            stream.write(text[start : start + size])


def cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="squashfs_image.") as directory:
        root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(directory, "tree")
        if len(sys.argv) == 1:
            plant(root)
        start = cpu()
        walk = _tree.walk(root, _tree.parse_excludes(EXCLUDES))
        fingerprint = _tree.fingerprint(root, walk.entries)
        unchanged = cpu() - start
        target = os.path.join(directory, "root.squashfs")
        _squashfs.pack(root, walk, fingerprint.newest, target, _squashfs.check_compression("zstd", None, 131072))
        _squashfs.append_verity(target)
        full = cpu() - start
        size = os.path.getsize(target)
    print(f"{len(walk.entries)} paths, {fingerprint.size >> 20} MiB, image {size >> 20} MiB")
    print(f"unchanged {unchanged:.2f} s, full build {full:.2f} s of CPU time: {full / unchanged:.1f} times cheaper, at least {RATIO} expected")
    return int(full / unchanged < RATIO)


if __name__ == "__main__":
    sys.exit(main())
