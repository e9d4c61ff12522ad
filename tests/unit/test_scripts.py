# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two commands: what they say before they touch anything, and the functions that they share."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(params=["dash", "busybox sh"])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return request.param.split()


class Commands:
    """Stand-ins for the programs that the scripts call; every call is written down."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.calls_file = directory / "calls"
        self.calls_file.touch()

    def add(self, name: str, script: str) -> None:
        path = self.directory / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls_file}\n{script}\n', encoding="utf-8")
        path.chmod(0o755)

    def calls(self) -> list[str]:
        return self.calls_file.read_text(encoding="utf-8").splitlines()

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": f"{self.directory}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "LTSP_LAB_DIRECTORY": f"{self.directory}/lab",
            **environment,
        }
        return subprocess.run(command, capture_output=True, text=True, check=False, env=variables)


@pytest.fixture
def commands(tmp_path: pathlib.Path) -> Commands:
    return Commands(tmp_path)


def lab(*arguments: str) -> list[str]:
    return [str(ROOT / "scripts/lab"), *arguments]


def functions(shell: list[str], script: str) -> list[str]:
    return [*shell, "-euc", f'root={ROOT}; . "$root/scripts/lib/common.sh"; {script}']


def test_help_is_for_everybody(commands: Commands) -> None:
    commands.add("id", "echo 1000")
    done = commands.run(lab("--help"))
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: scripts/lab")
    for option in ("--nodes", "--console", "--down"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--up"], "what is --up?"),
        (["node1"], "what is node1?"),
        (["--nodes"], "--nodes wants a value"),
        (["--nodes", "two"], "--nodes wants a number, not two"),
        (["--nodes", ""], "--nodes wants a number, not"),
        (["--nodes", "0"], "--nodes wants a number from 1 to 99, not 0"),
        (["--nodes", "100"], "--nodes wants a number from 1 to 99, not 100"),
        (["--console"], "--console wants a value"),
    ],
)
def test_wrong_arguments_are_named(commands: Commands, arguments: list[str], message: str) -> None:
    done = commands.run(lab(*arguments))
    assert done.returncode == 2
    assert done.stderr.startswith(f"lab: {message}")
    assert "Usage:" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--down"], ["--console", "node1"]])
def test_who_is_not_root_is_told_so_and_nothing_happens(commands: Commands, arguments: list[str]) -> None:
    commands.add("id", "echo 1000")
    done = commands.run(lab(*arguments))
    assert done.returncode == 1
    assert "needs root" in done.stderr
    assert "sudo" in done.stderr
    assert sorted(path.name for path in commands.directory.iterdir()) == ["calls", "id"]


def test_the_console_of_a_node_that_does_not_run(commands: Commands) -> None:
    commands.add("id", "echo 0")
    done = commands.run(lab("--console", "node7"), LTSP_LAB_NAME="other")
    assert done.returncode == 1
    assert done.stderr == "lab: no node node7 is running in the lab other\n"


def test_a_second_lab_of_the_same_name_has_to_wait(commands: Commands) -> None:
    commands.add("id", "echo 0")
    commands.add("flock", "exit 1")
    done = commands.run(lab(), LTSP_LAB_CACHE=f"{commands.directory}/cache")
    assert done.returncode == 1
    assert "another scripts/lab is at work on ltsp-lab" in done.stderr


def test_the_ansible_to_install_is_what_the_collection_supports(commands: Commands, shell: list[str]) -> None:
    requires = re.search(r'requires_ansible: "(.*)"', (ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    assert requires
    assert commands.run(functions(shell, "supported_ansible")).stdout == f"ansible-core{requires[1]}\n"


def test_packages_that_are_there_are_not_installed(commands: Commands, shell: list[str]) -> None:
    commands.add("dpkg-query", "echo installed")
    commands.add("apt-get", "exit 1")
    done = commands.run(functions(shell, "need_packages socat ovmf"))
    assert done.returncode == 0, done.stderr
    assert [call for call in commands.calls() if call.startswith("apt-get")] == []


def test_only_missing_packages_are_installed(commands: Commands, shell: list[str]) -> None:
    commands.add("id", "echo 0")
    commands.add("dpkg-query", 'for package; do :; done; [ "$package" = ovmf ] || echo installed')
    commands.add("apt-get", "")
    done = commands.run(functions(shell, "need_packages socat ovmf"))
    assert done.returncode == 0, done.stderr
    install = [call for call in commands.calls() if "install" in call and call.startswith("apt-get")]
    assert len(install) == 1
    assert install[0].endswith(" ovmf")


def test_missing_packages_are_named_to_who_cannot_install_them(commands: Commands, shell: list[str]) -> None:
    commands.add("id", "echo 1000")
    commands.add("dpkg-query", "exit 1")
    commands.add("apt-get", "")
    done = commands.run(functions(shell, "need_packages socat ovmf"))
    assert done.returncode == 1
    assert "apt-get install socat ovmf" in done.stderr


def test_an_environment_that_was_not_finished_is_made_again(commands: Commands, shell: list[str]) -> None:
    commands.add("dpkg-query", "echo installed")
    commands.add("python", 'case $1 in -VV) echo 3 ;; *) mkdir -p "$3/bin" && cp "$(command -v pip)" "$3/bin/pip" ;; esac')
    commands.add("pip", "")
    broken = functions(shell, "python=python; mkdir -p $cache; make_venv x; rm $venv/complete; : >$venv/half; make_venv x; make_venv x; ls $venv")
    done = commands.run(broken, LTSP_LAB_CACHE=f"{commands.directory}/cache")
    assert done.returncode == 0, done.stderr
    assert "half" not in done.stdout.split()
    assert "complete" in done.stdout.split()
    assert len([call for call in commands.calls() if call.startswith("python -m venv")]) == 2
