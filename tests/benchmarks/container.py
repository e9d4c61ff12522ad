# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container image costs: made from nothing, again with one image version changed, and unchanged; and its size against that of the store.

All in one run, so that the machine does not matter. Fails when a second build is not cheaper, when an unchanged run is not RATIO times cheaper than a build
from nothing, or when more than the new version and the links went to the registry. Needs root, Docker Engine, docker-registry, and a Python with ansible-core
and the Docker SDK. Usage: PYTHONPATH=<parent of ansible_collections> python3 tests/benchmarks/container.py [TREE]
Without TREE, which stands for the tree with the daemons, it makes one of 4,000 files and 100 MiB.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.engine import DEFAULT_HOST
from ansible_collections.serverfarm.ltsp.plugins.modules import container_image

PORT = 18099
VERSION_SIZE = 128 << 20
RATIO = 10.0


def plant(root: pathlib.Path) -> None:
    """Text of random words, which compresses about as well as programs."""
    source = random.Random(1)
    words = [source.randbytes(source.randint(2, 8)) for _number in range(3_000)]
    text = b" ".join(source.choice(words) for _number in range(400_000))
    for number in range(4_000):
        path = root / f"usr{number % 10}" / f"lib{number % 400}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        start, size = source.randrange(len(text) // 2), int(source.paretovariate(1.2) * 5_000)
        path.write_bytes(text[start : start + size])


def add_version(store: pathlib.Path, number: int) -> None:
    """An image that cannot be compressed."""
    path = store / f"2026112{number}T223000Z-0123456789ab"
    path.mkdir(parents=True)
    with (path / "root.squashfs").open("wb") as stream:
        for _mebibyte in range(VERSION_SIZE >> 20):
            stream.write(os.urandom(1 << 20))


def layers(tree: pathlib.Path, work: pathlib.Path) -> list[dict[str, t.Any]]:
    versions = sorted((work / "store").iterdir())[-2:]
    links = work / "links"
    links.mkdir(exist_ok=True)
    (links / "current").unlink(missing_ok=True)
    (links / "current").symlink_to(versions[-1].name)
    return [
        {"src": str(tree)},
        *({"src": str(version), "dest": f"/srv/{version.name}", "time": f"{version.name[:4]}-11-2{version.name[7]}T22:30:00Z"} for version in versions),
        {"src": str(links), "dest": "/srv/links"},
    ]


def build(tree: pathlib.Path, work: pathlib.Path) -> tuple[float, dict[str, t.Any]]:
    """Run the module as Ansible does."""
    parameters = {"name": f"localhost:{PORT}/benchmark", "layers": layers(tree, work), "cache": str(work / "cache.json"), "docker_host": DEFAULT_HOST}
    start = time.monotonic()
    process = subprocess.run(
        [sys.executable, container_image.__file__], input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}), stdout=subprocess.PIPE, text=True, check=False
    )
    result: dict[str, t.Any] = json.loads(process.stdout)
    if result.get("failed"):
        sys.exit(result["msg"])
    return time.monotonic() - start, result


def size(*paths: pathlib.Path) -> int:
    return sum(file.lstat().st_size for path in paths for file in path.rglob("*") if file.is_file() and not file.is_symlink())


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="container.", dir="/var/tmp") as directory:
        work = pathlib.Path(directory)
        tree = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else work / "tree"
        if len(sys.argv) == 1:
            plant(tree)
        add_version(work / "store", 0)
        add_version(work / "store", 1)
        (work / "registry.yml").write_text(
            f'{{version: 0.1, storage: {{filesystem: {{rootdirectory: {work}/registry}}}}, http: {{addr: "127.0.0.1:{PORT}"}}}}', encoding="utf-8"
        )
        registry = subprocess.Popen(["docker-registry", "serve", f"{work}/registry.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            nothing, first = build(tree, work)
            pushed_first = size(work / "registry")
            add_version(work / "store", 2)
            changed, second = build(tree, work)
            pushed = size(work / "registry") - pushed_first
            unchanged, third = build(tree, work)
        finally:
            registry.terminate()
            registry.wait()
        assert first["changed"] and second["changed"] and not third["changed"]
        stored = size(*sorted((work / "store").iterdir())[-2:])
    print(f"from nothing {nothing:.1f} s, one version changed {changed:.1f} s, unchanged {unchanged:.1f} s")
    print(
        f"image {second['size'] >> 20} MiB for {stored >> 20} MiB in the store, in the registry {pushed_first >> 20} MiB;"
        f" the new version added {pushed >> 20} MiB of {VERSION_SIZE >> 20} MiB"
    )
    return int(changed > nothing or nothing / unchanged < RATIO or pushed > VERSION_SIZE * 1.02)


if __name__ == "__main__":
    sys.exit(main())
