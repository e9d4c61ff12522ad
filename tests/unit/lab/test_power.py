# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power button: with QEMU itself where a machine needs no network, and with a stand-in for it."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import time
import typing as t

import pytest
from stand_ins import Commands, Machines, wait_for

from ltsp_lab import consoles, qmp, uml
from ltsp_lab.description import Firmware, Machine
from ltsp_lab.messages import LabError
from ltsp_lab.power import Power

if t.TYPE_CHECKING:
    pass


def runs(process: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def real(machines: Machines, farm: Power) -> Machine:
    """A machine without a card, of QEMU itself."""
    machines.leave("qemu-system-x86_64")
    farm.settings = dataclasses.replace(farm.settings, accelerator="tcg")
    return Machine("real", 50, Firmware.BIOS, (), 64, disks=(1,))


def test_a_real_machine_is_switched_on_reset_and_switched_off(farm: Power, machines: Machines, real: Machine) -> None:
    log = farm.files(real).console_log
    process = machines.switch_on(real)
    wait_for(lambda: consoles.stop(consoles.read(log)))
    assert consoles.read(log).startswith("SeaBIOS")
    assert (farm.state(real), farm.acceleration(real)) == ("running", "tcg")
    farm.reset(real)
    wait_for(lambda: consoles.read(log).count("SeaBIOS (") == 2)
    assert machines.pid(real) == process
    qmp.execute(farm.files(real).qmp, "stop")
    assert farm.state(real) == "paused"
    farm.off(real)
    assert not runs(process)
    assert farm.state(real) == "off"
    assert farm.files(real).log.read_bytes() == b""


def test_a_machine_is_on_once(farm: Power, machines: Machines, commands: Commands, node: Machine) -> None:
    assert (farm.is_on(node), farm.state(node), farm.is_as(node)) == (False, "off", False)
    before = time.time()
    process = machines.switch_on(node)
    assert (farm.is_on(node), farm.state(node), farm.is_as(node), farm.acceleration(node)) == (True, "running", True, "kvm")
    assert before - 1 < farm.since(node) < time.time() + 1
    farm.on(node)
    assert machines.pid(node) == process
    assert len(commands.calls("qemu")) == 1
    assert not farm.is_as(dataclasses.replace(node, memory=64))
    # A session of its own lets it outlive the command that switched it on.
    assert os.getsid(process) == process


def test_a_machine_with_firmware_comes_before_what_runs_beside_it(farm: Power, machines: Machines, node: Machine) -> None:
    process = machines.switch_on(node)
    # Only root may prefer a process, and only some kernels have autogroups.
    preferred = os.getpriority(os.PRIO_PROCESS, 0) if os.geteuid() else -10
    assert os.getpriority(os.PRIO_PROCESS, process) == preferred
    group = pathlib.Path(f"/proc/{process}/autogroup")
    assert os.geteuid() or not group.exists() or group.read_text(encoding="ascii").endswith(" nice -10\n")


def test_its_cards_are_on_the_bridge(farm: Power, machines: Machines, commands: Commands, node: Machine) -> None:
    farm.on(dataclasses.replace(node, macs=("52:54:00:77:00:01", "52:54:00:77:01:01")))
    assert commands.calls("ip") == [
        "ip -n test tuntap add node1 mode tap",
        "ip -n test link set node1 master br0 up",
        "ip -n test tuntap add node1.2 mode tap",
        "ip -n test link set node1.2 master br0 up",
    ]
    wait_for(lambda: commands.calls("nsenter"))
    assert commands.calls("nsenter")[0].startswith("nsenter --net=/run/netns/test qemu-system-x86_64 -name node1 ")


def test_a_card_that_is_there_stays_and_one_without_a_bridge_is_an_error(farm: Power, machines: Machines, commands: Commands, node: Machine) -> None:
    commands.add("ip", 'case $* in *tuntap*) echo "ioctl(TUNSETIFF): Device or resource busy" >&2; exit 1 ;; esac')
    farm.on(node)
    farm.off(node)
    commands.add("ip", 'echo "Cannot find device \\"br0\\"" >&2; exit 1')
    with pytest.raises(LabError, match=r'^ip -n test link set node1 master br0 up: Cannot find device "br0"$'):
        farm.on(node)
    assert not farm.is_on(node)


def test_what_was_of_the_last_time_is_gone_when_it_is_on(farm: Power, machines: Machines, node: Machine) -> None:
    files = farm.files(node)
    for path in (files.answer, files.console_log):
        path.write_text("old", encoding="utf-8")
    machines.switch_on(node)
    assert not files.answer.exists()
    assert files.console_log.read_bytes() == b""


def test_a_machine_ends_by_its_own_hand_when_it_is_switched_off(farm: Power, machines: Machines, node: Machine) -> None:
    process = machines.switch_on(node)
    farm.off(node)
    assert not runs(process)
    assert not farm.files(node).pid.exists()
    farm.off(node)


def test_one_that_does_not_end_is_killed(farm: Power, machines: Machines, node: Machine) -> None:
    machines.tell(node, deaf=True)
    process = machines.switch_on(node)
    farm.off(node)
    assert not runs(process)
    assert not farm.is_on(node)


def test_a_process_of_another_with_the_same_id_is_not_the_machine(farm: Power, machines: Machines, node: Machine) -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        farm.files(node).pid.write_text(str(process.pid), encoding="utf-8")
        assert not farm.is_on(node)
        farm.off(node)
        assert process.poll() is None
        process.kill()


def test_a_process_of_another_machine_is_not_the_machine(farm: Power, machines: Machines, node: Machine) -> None:
    longer = dataclasses.replace(node, name="node11")
    farm.files(node).pid.write_text(str(machines.switch_on(longer)), encoding="utf-8")
    assert not farm.is_on(node)
    assert farm.is_on(longer)


def test_a_process_that_nothing_has_waited_for_is_off(farm: Power, machines: Machines, node: Machine) -> None:
    machines.tell(node, ends=0)
    farm.on(node)
    wait_for(lambda: not farm.is_on(node))
    assert pathlib.Path(f"/proc/{machines.pid(node)}").exists()
    assert farm.state(node) == "off"


@pytest.mark.parametrize("text", ["", "no number", "99999999"])
def test_a_note_of_no_process_is_no_machine(farm: Power, machines: Machines, node: Machine, text: str) -> None:
    farm.files(node).pid.write_text(text, encoding="utf-8")
    assert not farm.is_on(node)
    farm.off(node)


def test_removing_a_machine_leaves_nothing_of_it(farm: Power, machines: Machines, commands: Commands, node: Machine) -> None:
    process = machines.switch_on(node)
    commands.add("ip", "exit 1")
    farm.remove(node)
    assert not runs(process)
    assert list(farm.settings.run.iterdir()) == []
    assert commands.calls("ip")[-1] == "ip -n test link delete node1"
    farm.remove(node)


def test_a_disk_stays_when_its_machine_is_switched_off_and_on(farm: Power, machines: Machines, node: Machine) -> None:
    machines.switch_on(node)
    disk = farm.settings.run / "node1.disk"
    with disk.open("r+b") as content:
        content.write(b"written")
    farm.off(node)
    machines.switch_on(node)
    with disk.open("rb") as content:
        assert content.read(7) == b"written"


@pytest.fixture
def fast(machines: Machines, node: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without firmware, whose loader is a shell with a child."""
    monkeypatch.setattr(uml, "command", lambda settings, files: ["sh", "-c", "sleep 1000 & wait", "loader", str(files.record)])
    return dataclasses.replace(node, firmware=Firmware.NONE)


def test_a_machine_without_firmware_has_no_accelerator_and_no_state_but_on_and_off(farm: Power, machines: Machines, fast: Machine) -> None:
    farm.on(fast)
    assert (farm.state(fast), farm.acceleration(fast)) == ("running", "")
    process = machines.pid(fast)
    farm.reset(fast)
    assert not runs(process)
    assert farm.is_on(fast)
    farm.off(fast)
    assert farm.state(fast) == "off"


def test_user_mode_linux_ends_with_its_loader(farm: Power, machines: Machines, fast: Machine) -> None:
    farm.on(fast)
    process = machines.pid(fast)
    children = pathlib.Path(f"/proc/{process}/task/{process}/children")
    wait_for(lambda: children.read_text(encoding="utf-8"))
    (child,) = children.read_text(encoding="utf-8").split()
    farm.off(fast)
    assert not runs(int(child))
