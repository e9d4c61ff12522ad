# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the shell functions of the runtime with the shells that run them on a node."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import typing as t

import pytest

RUNTIME = pathlib.Path(__file__).parents[3] / "roles" / "ltsp_image" / "files" / "runtime"
LIBRARY = RUNTIME / "usr" / "lib" / "ltsp"
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}
TRANSPORT = """\
ltsp_test_programs=mount.test ltsp_test_modules="testfs testnet" ltsp_test_packages=test-utils
ltsp_test_attach() { echo "attach $1" >>"$LTSP_PREFIX/calls"; ltsp_device=/dev/test0; }
ltsp_test_detach() { echo "detach" >>"$LTSP_PREFIX/calls"; }
"""


class Node:
    """A directory that stands for the root of a node, and a shell that runs functions in it."""

    def __init__(self, root: pathlib.Path, shell: list[str]) -> None:
        self.root = root
        self.shell = shell
        self.library = LIBRARY
        self.log = root / "kmsg"
        self.log.touch()
        for directory in ("run/ltsp", "etc/systemd/system", "rofs", "bin"):
            (root / directory).mkdir(parents=True)

    def write(self, path: str, text: str, mode: int = 0o644) -> pathlib.Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def command(self, name: str, script: str) -> None:
        """A stand-in for a command of the node."""
        self.write(f"bin/{name}", f"#!/bin/sh\n{script}\n", 0o755)

    def add_transport(self, name: str, text: str) -> None:
        """Give the node a library with one transport more."""
        self.library = self.root / "library"
        shutil.copytree(LIBRARY, self.library)
        (self.library / "transports" / f"{name}.sh").write_text(text)

    def run(self, script: str, *libraries: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        sources = "".join(f'. "$LTSP_LIB/{name}.sh"\n' for name in ("common", *libraries))
        return self.execute("-c", sources + script, check=check, **environment)

    def execute(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the shell with these arguments."""
        result = subprocess.run(
            [*self.shell, *arguments],
            env={
                "PATH": f"{self.root}/bin:{os.environ['PATH']}",
                "LTSP_PREFIX": str(self.root),
                "LTSP_KMSG": str(self.log),
                "LTSP_LIB": str(self.library),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            # The umask of the first process of a machine, independent of the tests' own.
            umask=0o022,
        )
        if check and result.returncode:
            pytest.fail(f"{result.args}: {result.returncode}\n{result.stdout}{result.stderr}")
        return result


@pytest.fixture(params=SHELLS)
def node(request: t.Any, tmp_path: pathlib.Path) -> Node:
    if not shutil.which(SHELLS[request.param][0]):
        pytest.skip(f"{request.param} is not installed")
    return Node(tmp_path, SHELLS[request.param])


@pytest.fixture
def other_transport(node: Node) -> None:
    """A transport that exists only in the tests: test://SERVER/NAME."""
    node.add_transport("test", TRANSPORT)
