# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as a whole, with stand-ins for machines and playbooks."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import shlex
import signal
import socket
import typing as t

import pytest
from stand_ins import wait_for

from ltsp_lab import lab, uml
from ltsp_lab.description import Firmware, Lab, describe
from ltsp_lab.files import known
from ltsp_lab.lab import Farm, fast_lab
from ltsp_lab.locks import sole_lock
from ltsp_lab.messages import LabError

if t.TYPE_CHECKING:
    from stand_ins import Commands, Machines

    from ltsp_lab.power import Power
    from ltsp_lab.settings import Settings

BOOT_ID = "0b6f9d8e"


def two_nodes(count: int = 2, **options: t.Any) -> Lab:
    """A lab whose nodes all have a BIOS, because a UEFI firmware need not be installed."""
    nodes = describe(2 * count, **options).nodes[::2]
    return Lab(nodes, bool(options.get("kubernetes")), options.get("server", "systemd"))


def playbooks(commands: Commands) -> list[list[str]]:
    return [shlex.split(call)[1:] for call in commands.calls("ansible-playbook")]


def node(name: str) -> dict[str, t.Any]:
    """A Node that is ready."""
    status = {"nodeInfo": {"bootID": BOOT_ID}, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name}, "spec": {}, "status": status}


class Whole:
    """A lab that comes up."""

    def __init__(self, settings: Settings, machines: Machines) -> None:
        self.farm = Farm(settings)
        self.settings = settings
        self.machines = machines
        for machine in two_nodes(server="kubernetes").machines + two_nodes().nodes:
            machines.boots(machine)
            machines.answer(machine.name, "cat", BOOT_ID)
        machines.answer("ltsp-1", "readlink", "1")
        machines.answer("cp-1", "kubectl", json.dumps(node("all")))

    def up(self, wanted: Lab, *options: str) -> None:
        self.farm.up(lambda: wanted, options)

    def note(self) -> dict[str, t.Any]:
        """What the role gets."""
        content: dict[str, t.Any] = json.loads((self.settings.directory / "variables.json").read_text(encoding="utf-8"))
        return content

    def processes(self) -> dict[str, int]:
        return {machine.name: self.machines.pid(machine) for machine in known(self.settings.run) if self.farm.power.is_on(machine)}


@pytest.fixture
def whole(settings: Settings, machines: Machines, playbook: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Whole:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("kubernetes_programs", "container_images"):
        monkeypatch.setattr(lab, name, lambda settings, name=name: settings.cache / name)
    return Whole(settings, machines)


def test_a_lab_comes_up_by_its_playbooks_and_says_what_booted(whole: Whole, commands: Commands, capfd: pytest.CaptureFixture[str]) -> None:
    whole.up(two_nodes(), "-e", "a=b")
    directory = whole.settings.directory
    assert playbooks(commands) == [
        ["--inventory=localhost,", f"--extra-vars=@{directory}/variables.json", "serverfarm.ltsp.lab"],
        [f"--inventory={directory}/inventory.yml", "-e", "a=b", "serverfarm.ltsp.site"],
    ]
    assert whole.note() == {
        "ltsp_lab_name": "test",
        "ltsp_lab_directory": str(directory),
        "ltsp_lab_cache": str(whole.settings.cache),
        **json.loads(json.dumps(two_nodes().variables)),
    }
    lines = capfd.readouterr().out.splitlines()
    (table,) = (number for number, line in enumerate(lines) if line.startswith("NODE "))
    assert [line.split()[:5] for line in lines[table + 1 : table + 3]] == [[name, "BIOS", "nbd", "nbd", "debian/1"] for name in ("node1", "node3")]
    assert f"Log in:             ssh -F {directory}/ssh_config node1        (or ltsp-1, the boot server)" in lines
    assert lines[-1] == "Take it down:       scripts/lab --down"


def test_running_it_again_changes_nothing(whole: Whole, commands: Commands) -> None:
    whole.up(two_nodes())
    processes = whole.processes()
    whole.up(two_nodes())
    assert whole.processes() == processes
    assert set(processes) == {"node1", "node3"}
    assert len(playbooks(commands)) == 4


def test_a_node_that_is_not_wanted_any_longer_goes_and_one_that_is_new_comes(whole: Whole) -> None:
    whole.up(two_nodes())
    processes = whole.processes()
    whole.up(two_nodes(1))
    assert whole.processes() == {"node1": processes["node1"]}
    assert not list(whole.settings.run.glob("node3.*"))
    whole.up(two_nodes())
    assert set(whole.processes()) == {"node1", "node3"}
    assert whole.processes()["node1"] == processes["node1"]


def test_a_node_that_has_not_answered_or_is_described_anew_boots_again(whole: Whole) -> None:
    whole.up(two_nodes())
    processes = whole.processes()
    (whole.settings.run / "node1.answer").unlink()
    whole.up(two_nodes())
    again = whole.processes()
    assert again["node1"] != processes["node1"]
    assert again["node3"] == processes["node3"]
    whole.up(two_nodes(kubernetes=True))
    assert not set(whole.processes().values()) & set(again.values())


def test_an_image_that_is_newer_than_a_node_is_said(whole: Whole, capfd: pytest.CaptureFixture[str]) -> None:
    whole.machines.answer("ltsp-1", "readlink", "2")
    whole.up(two_nodes(1))
    remedy = f"ssh -F {whole.settings.directory}/ssh_config node1 reboot"
    assert f"         The store has 2; the next boot takes it: {remedy}\n" in capfd.readouterr().out


def test_with_kubernetes_there_is_a_cluster_before_the_site(whole: Whole, commands: Commands, capfd: pytest.CaptureFixture[str]) -> None:
    whole.up(two_nodes(kubernetes=True))
    inventories = [f"--inventory={whole.settings.directory}/{name}" for name in ("inventory.yml", "kubernetes.yml")]
    note = f"--extra-vars=@{whole.settings.directory}/variables.json"
    assert playbooks(commands)[1:] == [[*inventories, note, "serverfarm.ltsp.lab_cluster"], [*inventories, "serverfarm.ltsp.site"]]
    variables = whole.note()
    assert variables["ltsp_lab_kubernetes_version"] == "1.36.3"
    assert variables["ltsp_lab_kubernetes_programs"] == f"{whole.settings.cache}/kubernetes_programs"
    assert "ltsp_lab_api_port" not in variables
    out = capfd.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.endswith(" s  Ready")] == ["node1", "node3"]
    assert f"Use Kubernetes:     ssh -F {whole.settings.directory}/ssh_config cp-1 kubectl get nodes\n" in out


def test_a_boot_server_on_kubernetes_has_a_machine_before_the_nodes(whole: Whole, commands: Commands) -> None:
    wanted = two_nodes(kubernetes=True, server="kubernetes")
    whole.up(wanted)
    assert [words[-1].removeprefix("serverfarm.ltsp.") for words in playbooks(commands)] == ["lab", "lab_cluster", "lab_kubernetes_machine", "site"]
    first, *nodes = [call.split()[2] for call in commands.calls("qemu-system-x86_64")]
    # The nodes start side by side.
    assert (first, sorted(nodes)) == ("kube-1", ["node1", "node3"])
    port = whole.note()["ltsp_lab_api_port"]
    assert whole.note()["ltsp_lab_ports"] == [{"port": port, "to": "10.77.0.2:6443"}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))
    # The port stays the same as long as a process has it open.
    (whole.settings.run / f"port-{port}.pid").touch()
    processes = whole.processes()
    whole.up(wanted)
    assert whole.note()["ltsp_lab_api_port"] == port
    assert whole.processes() == processes


def test_nodes_of_another_kind_of_boot_server_boot_anew(whole: Whole) -> None:
    whole.up(two_nodes(kubernetes=True))
    processes = whole.processes()
    whole.up(two_nodes(kubernetes=True, server="kubernetes"))
    again = whole.processes()
    assert set(again) == {"kube-1", "node1", "node3"}
    assert not set(processes.values()) & set(again.values())
    whole.up(two_nodes(kubernetes=True))
    assert set(whole.processes()) == {"node1", "node3"}


def test_a_node_that_does_not_join_says_its_last_words(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "LIMIT", 0.0)
    whole.machines.answer("node1", "cat", "another boot")
    whole.machines.answer("node1", "journalctl", "no token")
    with pytest.raises(LabError, match=r"^node1: it has not joined in this boot\nThe last that it said of joining:\nno token$"):
        whole.up(two_nodes(1, kubernetes=True))


def test_a_node_that_is_gone_while_it_should_join_is_an_error_with_both_reasons(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "LIMIT", 0.0)
    whole.machines.answer("node1", "cat", "another boot")
    with pytest.raises(LabError, match=r"^node1: it has not joined in this boot\nThe last that it said of joining:\nnode1: journalctl .*: 1\n"):
        whole.up(two_nodes(1, kubernetes=True))


def test_a_playbook_that_fails_ends_the_command_with_its_status(whole: Whole, commands: Commands) -> None:
    commands.add("ansible-playbook", "case $* in *site) exit 4 ;; esac")
    with pytest.raises(LabError, match=r"^the playbook serverfarm\.ltsp\.site failed with status 4, see above$") as error:
        whole.up(two_nodes())
    assert error.value.status == 4
    assert whole.processes() == {}


def test_down_leaves_nothing_that_runs(whole: Whole, commands: Commands, capfd: pytest.CaptureFixture[str]) -> None:
    whole.up(two_nodes())
    processes = whole.processes()
    (whole.settings.run / "accelerator").unlink()
    whole.farm.down()
    assert not [process for process in processes.values() if _runs(process)]
    assert list(whole.settings.run.iterdir()) == []
    assert whole.note()["ltsp_lab_state"] == "absent"
    assert playbooks(commands)[-1][-1] == "serverfarm.ltsp.lab"
    assert capfd.readouterr().out.splitlines()[-1] == f"The lab test is gone. The cache stays: {whole.settings.cache}"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return pathlib.Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def test_down_is_possible_where_nothing_is_up(whole: Whole) -> None:
    whole.farm.down()
    assert whole.note()["ltsp_lab_state"] == "absent"


def test_one_command_at_a_time_changes_a_lab(whole: Whole, commands: Commands) -> None:
    with sole_lock(whole.settings.cache / "lab-test.lock", ""):
        for change in (whole.farm.down, functools.partial(whole.up, two_nodes())):
            with pytest.raises(LabError, match=r"^another scripts/lab is at work on test; wait for it$"):
                change()
    assert playbooks(commands) == []


# --- consoles


class Replaced(Exception):
    """The process would be another program now."""


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def execvp(program: str, words: list[str]) -> t.NoReturn:
        assert words[0] == program
        raise Replaced(" ".join(words))

    monkeypatch.setattr(os, "execvp", execvp)


def test_a_console_is_attached_to_with_its_last_lines(whole: Whole, farm: Power, replaced: None, capfd: pytest.CaptureFixture[str]) -> None:
    machine = two_nodes().nodes[0]
    whole.machines.tell(machine, console="".join(f"line {number}\r\n" for number in range(30)))
    whole.machines.switch_on(machine)
    with pytest.raises(Replaced, match=rf"^socat STDIO UNIX-CONNECT:{farm.settings.run}/node1\.console$"):
        whole.farm.console("node1")
    assert capfd.readouterr().out.splitlines() == [f"line {number}" for number in range(10, 30)]


def test_the_console_of_user_mode_linux_is_read(whole: Whole, farm: Power, replaced: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uml, "command", lambda settings, files: ["sh", "-c", "sleep 1000 & wait", "loader", str(files.record)])
    farm.on(describe(1, fast=True).nodes[0])
    with pytest.raises(Replaced, match=rf"^tail --lines=20 --follow {farm.settings.run}/node1\.console\.log$"):
        whole.farm.console("node1")


def test_a_machine_that_is_off_has_no_console(whole: Whole, farm: Power, replaced: None) -> None:
    machine = two_nodes().nodes[0]
    os.kill(whole.machines.switch_on(machine), signal.SIGKILL)
    wait_for(lambda: not farm.is_on(machine))
    for name in ("node1", "node7"):
        with pytest.raises(LabError, match=f"^no node {name} is running in the lab test$"):
            whole.farm.console(name)


# --- fast


def test_fast_nodes_are_of_user_mode_linux_where_it_boots(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(uml, "tree", lambda settings: settings.cache / "uml-7.2um1")
    assert {machine.firmware for machine in fast_lab(settings, 3).nodes} == {Firmware.NONE}
    assert capsys.readouterr().out == "User-mode Linux: uml-7.2um1 (nodes without firmware, boot loader and the image's kernel)\n"


def test_where_user_mode_linux_does_not_boot_it_is_said_and_qemu_taken(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(settings: Settings) -> t.NoReturn:
        raise uml.UmlError("user-mode Linux does not boot here: Debian sid: Aborted")

    monkeypatch.setattr(uml, "tree", none)
    assert fast_lab(settings, 2) == describe(2)
    assert capsys.readouterr().out == "*** user-mode Linux does not boot here: Debian sid: Aborted. The nodes are QEMU's, with firmware. ***\n"
