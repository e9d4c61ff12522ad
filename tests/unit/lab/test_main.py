# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command scripts/lab: its arguments and refusals, and its interruption."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest
from stand_ins import wait_for

from ltsp_lab.__main__ import parse
from ltsp_lab.description import describe
from ltsp_lab.locks import sole_lock

if t.TYPE_CHECKING:
    from stand_ins import Commands, Machines

    from ltsp_lab.power import Power
    from ltsp_lab.settings import Settings

ROOT = pathlib.Path(__file__).parents[3]


class Command:
    """The command as a user has it, who need not be root for it to think so."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.user = 0
        (directory / "python").mkdir()
        (directory / "python/sitecustomize.py").write_text("import os\nos.geteuid = lambda: int(os.environ['USER_ID'])\n", encoding="utf-8")

    def environment(self, **variables: str) -> dict[str, str]:
        places = {"LTSP_LAB_DIRECTORY": f"{self.directory}/lab", "LTSP_LAB_CACHE": f"{self.directory}/cache"}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LTSP_LAB_")}
        return {**kept, "PYTHONPATH": f"{self.directory}/python:{ROOT}/scripts", "USER_ID": str(self.user), **places, **variables}

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-B", "-m", "ltsp_lab", *arguments]
        environment = self.environment(**variables)
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        return subprocess.Popen(words, stdin=null, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **variables)
        out, error = process.communicate(timeout=30)
        return subprocess.CompletedProcess(arguments, process.returncode, out, error)


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Command:
    return Command(tmp_path)


def test_help_is_for_everybody(tmp_path: pathlib.Path) -> None:
    done = subprocess.run([ROOT / "scripts/lab", "--help"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: scripts/lab")
    for option in ("--kubernetes", "--server", "--fast", "--nodes", "--console", "--down", "LTSP_LAB_NAME", "LTSP_LAB_UML", '{"ltsp_image_packages"'):
        assert option in done.stdout


def test_help_shows_what_holds_now_and_lines_that_fit(lab: Command) -> None:
    lab.user = 1000
    done = lab.run("-h", LTSP_LAB_NAME="mine", LTSP_LAB_KUBERNETES="1.99.0", LTSP_LAB_DIRECTORY="/x/mine")
    for words in ("(mine)", "(1.99.0)", "(/x/mine)", f"({lab.directory}/cache)", "ansible-core>="):
        assert words in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 160
    assert [path.name for path in lab.directory.iterdir()] == ["python"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--up"], "unrecognized arguments: --up"),
        (["node1"], "unrecognized arguments: node1"),
        (["--kube"], "unrecognized arguments: --kube"),
        (["--nodes"], "argument --nodes: expected one argument"),
        (["--nodes", "two"], "argument --nodes: wants a number from 1 to 99, not two"),
        (["--nodes", ""], "argument --nodes: wants a number from 1 to 99, not \n"),
        (["--nodes", "0"], "argument --nodes: wants a number from 1 to 99, not 0"),
        (["--nodes", "100"], "argument --nodes: wants a number from 1 to 99, not 100"),
        (["--nodes", "-1"], "argument --nodes: wants a number from 1 to 99, not -1"),
        (["--nodes", "²"], "argument --nodes: wants a number from 1 to 99, not ²"),
        (["--nodes=two"], "argument --nodes: wants a number from 1 to 99, not two"),
        (["--console"], "argument --console: expected one argument"),
        (["--server"], "argument --server: expected one argument"),
        (["--server=pod"], "argument --server: invalid choice: 'pod' (choose from "),
        (["--server", ""], "argument --server: invalid choice: '' (choose from "),
        (["--kubernetes=yes"], "argument --kubernetes: ignored explicit argument 'yes'"),
        (["--fast", "--kubernetes"], "--fast goes without Kubernetes"),
        (["--fast", "--server=kubernetes"], "--fast goes without Kubernetes"),
    ],
)
def test_wrong_arguments_are_named(lab: Command, arguments: list[str], message: str) -> None:
    done = lab.run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"lab: {message}")
    assert "\nUsage: scripts/lab" in done.stderr
    assert done.stdout == ""


def test_a_setting_that_is_none_is_named(lab: Command) -> None:
    done = lab.run("--help", LTSP_LAB_ACCELERATOR="xen")
    assert done.returncode == 2
    assert done.stderr.startswith("lab: LTSP_LAB_ACCELERATOR is xen: use kvm or tcg, or leave it out\n\nUsage:")


def test_options_mean_what_their_help_says() -> None:
    options, more = parse([])
    wanted = {"help": False, "down": False, "console": None, "kubernetes": False, "server": "systemd", "fast": False, "nodes": 2}
    assert (vars(options), more) == (wanted, [])
    assert parse(["--server=kubernetes"])[0].kubernetes
    assert parse(["--nodes=07", "--fast"])[0].nodes == 7
    options, more = parse(["--kubernetes", "--", "-e", "--nodes", "--", "x"])
    assert (options.kubernetes, options.nodes, more) == (True, 2, ["-e", "--nodes", "--", "x"])
    assert parse(["--"])[1] == []


@pytest.mark.parametrize("arguments", [[], ["--kubernetes"], ["--server=kubernetes"], ["--fast"], ["--down"], ["--console", "node1"]])
def test_who_is_not_root_is_told_so_and_nothing_happens(lab: Command, arguments: list[str]) -> None:
    lab.user = 1000
    done = lab.run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("lab: needs root")
    assert done.stderr.endswith(": run it with sudo\n")
    assert done.stdout == ""
    assert [path.name for path in lab.directory.iterdir()] == ["python"]


def test_the_console_of_a_node_that_does_not_run(lab: Command) -> None:
    done = lab.run("--console", "node7", LTSP_LAB_NAME="other")
    assert (done.returncode, done.stderr) == (1, "lab: no node node7 is running in the lab other\n")


def test_a_second_lab_of_the_same_name_has_to_wait(lab: Command) -> None:
    with sole_lock(lab.directory / "cache/lab-ltsp-lab.lock", ""):
        done = lab.run()
    assert (done.returncode, done.stderr) == (1, "lab: another scripts/lab is at work on ltsp-lab; wait for it\n")


def test_programs_of_the_system_are_found_by_a_path_without_them(lab: Command, commands: Commands, playbook: pathlib.Path) -> None:
    commands.add("ansible-playbook", f'echo "$PATH" >{lab.directory}/path; exit 9')
    assert lab.run(LTSP_LAB_KUBERNETES="1.36.3").returncode == 9
    assert (lab.directory / "path").read_text(encoding="utf-8").strip().endswith(":/usr/local/sbin:/usr/sbin:/sbin")


# --- interruption


def test_an_interrupted_command_ends_after_its_playbook(lab: Command, commands: Commands, playbook: pathlib.Path) -> None:
    said = lab.directory / "said"
    commands.add("ansible-playbook", f"trap 'sleep 0.2; echo ended >>{said}; exit 1' INT; echo begun >>{said}; while :; do sleep 0.02; done")
    process = lab.start()
    wait_for(lambda: said.exists() and "begun" in said.read_text(encoding="utf-8"))
    # A terminal sends the signal to the whole process group.
    os.killpg(process.pid, signal.SIGINT)
    _out, error = process.communicate(timeout=10)
    assert (process.returncode, error) == (130, "")
    assert said.read_text(encoding="utf-8").split() == ["begun", "ended"]
    with sole_lock(lab.directory / "cache/lab-ltsp-lab.lock", "it is held still"):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_wait_leaves_the_machines_on(
    lab: Command, farm: Power, settings: Settings, machines: Machines, playbook: pathlib.Path, number: signal.Signals
) -> None:
    node = describe(1).nodes[0]
    machines.tell(node, console="systemd[1]: Hello\n")
    process = lab.start("--nodes=1", LTSP_LAB_ACCELERATOR="tcg", LTSP_LAB_NAME=settings.name)
    wait_for(lambda: machines.commands.calls("ssh"))
    process.send_signal(number)
    begin = time.monotonic()
    _out, error = process.communicate(timeout=10)
    assert time.monotonic() - begin < 5
    assert (process.returncode, error) == (130, "")
    assert farm.is_on(node)


def test_a_node_that_does_not_boot_ends_the_command(lab: Command, settings: Settings, machines: Machines, playbook: pathlib.Path) -> None:
    machines.tell(describe(1).nodes[0], console="Linux version 6\nKernel panic - not syncing: no root\n")
    done = lab.run("--nodes=1", LTSP_LAB_ACCELERATOR="tcg", LTSP_LAB_NAME=settings.name)
    assert done.returncode == 1
    assert done.stderr.startswith("lab: node1 does not boot: Kernel panic - not syncing: no root (kernel). It was at the stage: kernel.\n")
    assert "Traceback" not in done.stderr


def test_a_boot_server_that_does_not_answer_ends_the_command_without_a_traceback(
    lab: Command, settings: Settings, machines: Machines, playbook: pathlib.Path
) -> None:
    machines.boots(describe(1).nodes[0])
    done = lab.run("--nodes=1", LTSP_LAB_ACCELERATOR="tcg", LTSP_LAB_NAME=settings.name)
    assert done.returncode == 1
    assert done.stderr.startswith("lab: ltsp-1: readlink /srv/ltsp/public/images/debian/current: 1\n")
    assert "Traceback" not in done.stderr
