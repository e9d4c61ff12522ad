# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images that need no registry: localhost/pause:1 and localhost/busybox:1."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import typing as t

from ltsp_lab.locks import waiting_lock
from ltsp_lab.messages import LabError
from ltsp_lab.packages import busybox, need_packages

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ltsp_lab.settings import Settings

PAUSE = pathlib.Path(__file__).with_name("pause.c")


def container_images(settings: Settings) -> pathlib.Path:
    """Make pause.tar and busybox.tar, once; returns their directory."""
    digest = hashlib.sha256(pathlib.Path(__file__).read_bytes() + PAUSE.read_bytes()).hexdigest()[:12]
    directory = settings.cache / f"container-images-{digest}"
    with waiting_lock(settings.cache / "container-images.lock"):
        if not directory.is_dir():
            _make(settings, directory)
    return directory


def _make(settings: Settings, directory: pathlib.Path) -> None:
    new = directory.with_name(f"{directory.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    (new / "pause.tar").write_bytes(_image("localhost/pause:1", "/pause", [_file("pause", _pause(settings), 0o755)]))
    (new / "busybox.tar").write_bytes(_image("localhost/busybox:1", "/bin/sh", _busybox(settings)))
    new.rename(directory)


Member = tuple[tarfile.TarInfo, bytes]


def _pause(settings: Settings) -> bytes:
    need_packages(settings, "gcc", "libc6-dev")
    with tempfile.TemporaryDirectory() as work:
        program = pathlib.Path(work, "pause")
        done = subprocess.run(["gcc", "-Os", "-static", "-s", "-o", program, PAUSE], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"gcc could not compile {PAUSE}: {done.stderr.strip()}")
        return program.read_bytes()


def _busybox(settings: Settings) -> list[Member]:
    program = busybox(settings)
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    links = [_link(f"bin/{name}", "busybox") for name in names if name != "busybox"]
    return [_directory("bin"), _file("bin/busybox", program.read_bytes(), 0o755), *links]


def _image(reference: str, command: str, tree: Iterable[Member]) -> bytes:
    """Return the archive that `docker save` would write; the same bits again for the same tree."""
    layer = _pack(tree)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": [command], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    return _pack([_file("config.json", _json(config)), _file("layer.tar", layer), _file("manifest.json", _json(manifest))])


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _pack(members: Iterable[Member]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def _file(name: str, content: bytes, mode: int = 0o644) -> Member:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    return member, content


def _directory(name: str) -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    return member, b""


def _link(name: str, target: str) -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
    return member, b""
