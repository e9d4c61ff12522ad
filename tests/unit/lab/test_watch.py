# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wait for machines that boot, with machines that boot, stop, or run on a KVM that cannot run them."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import threading
import time
import typing as t

import pytest
from stand_ins import Commands, Machines, wait_for

from ltsp_lab import consoles, qemu, qmp, watch
from ltsp_lab.description import Firmware, Machine
from ltsp_lab.watch import Stopped, Watch

if t.TYPE_CHECKING:
    from ltsp_lab.power import Power

BOOTED = "Linux version 6\nsystemd[1]: Hello\nnode1 login: "
ERROR = "internal-error"


def steps(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of the watch, without seconds."""
    return [re.sub(r"\s+\d+ s  ", ": ", line.strip()) for line in capsys.readouterr().out.splitlines()]


def _has(lines: list[str], count: int) -> bool:
    return len(lines) == count


def boot(farm: Power, *nodes: Machine, limit: float = 10) -> None:
    for node in nodes:
        farm.on(node)
    Watch(farm, limit).until_they_answer(nodes)


def add_words(farm: Power, node: Machine, text: str) -> None:
    with farm.files(node).console_log.open("a", encoding="utf-8") as console:
        console.write(text)


def stopped(farm: Power, *nodes: Machine, limit: float = 10) -> str:
    with pytest.raises(Stopped) as error:
        boot(farm, *nodes, limit=limit)
    return str(error.value)


def test_each_step_is_said_and_the_answer_is_kept(farm: Power, machines: Machines, commands: Commands, node: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(watch, "say", lambda line: said.append(line.split(" s  ")[1]))
    machines.boots(node)
    machines.tell(node, console="SeaBIOS\n")
    machines.switch_on(node)
    wait = threading.Thread(target=Watch(farm).until_they_answer, args=([node],))
    wait.start()
    for count, words in enumerate(("PXE\n", "Linux version 6\n", "systemd[1]: Hello\n"), 1):
        wait_for(functools.partial(_has, said, count))
        # No machine is asked before it can answer.
        assert commands.calls("ssh") == []
        add_words(farm, node, words)
    wait.join(10)
    assert not wait.is_alive()
    assert said == ["firmware", "firmware asks for a boot loader", "kernel", "systemd", "answers to ssh"]
    answer = json.loads(farm.files(node).answer.read_text(encoding="utf-8"))
    assert answer == {"firmware": "BIOS", "transport": "nbd", "root": "nbd", "image": "debian", "version": "1", "seconds": answer["seconds"]}
    assert 0 <= answer["seconds"] <= 10


def test_kvm_that_has_run_a_machine_is_remembered(farm: Power, machines: Machines, node: Machine) -> None:
    machines.boots(node)
    boot(farm, node)
    assert qemu.remembered(farm.settings) == "kvm"


def test_emulation_is_not_remembered_as_long_as_nothing_speaks_against_kvm(
    farm: Power, machines: Machines, node: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "kvm_opens", lambda: False)
    machines.boots(node)
    boot(farm, node)
    assert qemu.remembered(farm.settings) == ""


def options(commands: Commands, name: str) -> list[str]:
    """What a machine was run with, each time."""
    return [" ".join(call.split()[5:9]) for call in commands.calls(f"qemu-system-x86_64 -name {name} ")]


KVM, EMULATION = "-accel kvm -cpu host", "-accel tcg,thread=multi -cpu qemu64,-cx16"


def test_a_machine_that_kvm_cannot_run_starts_again_emulated(
    farm: Power, machines: Machines, commands: Commands, node: Machine, other: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machines.boots(node, "tcg")
    machines.tell(node, "kvm", state=ERROR)
    boot(farm, node)
    assert options(commands, "node1") == [KVM, EMULATION]
    said = steps(capsys)
    assert f"node1    KVM cannot run it (QEMU's run state is {ERROR}): it starts again, emulated, and so will the others" in said
    assert said[-1] == "node1: answers to ssh"
    assert farm.acceleration(node) == "tcg"
    machines.boots(other)
    boot(farm, other)
    assert options(commands, "node3") == [EMULATION]
    assert qemu.remembered(farm.settings) == "tcg"


def test_machines_that_were_started_together_fail_each_for_itself(farm: Power, machines: Machines, commands: Commands, node: Machine, other: Machine) -> None:
    for machine in (node, other):
        machines.boots(machine, "tcg")
        machines.tell(machine, "kvm", state=ERROR)
    boot(farm, node, other)
    assert options(commands, "node1") == options(commands, "node3") == [KVM, EMULATION]


def test_a_firmware_that_is_silent_under_kvm_counts_too(
    farm: Power, machines: Machines, node: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENCE", 0.2)
    machines.boots(node, "tcg")
    boot(farm, node)
    assert any("KVM cannot run it (its firmware says nothing for 0 s)" in line for line in steps(capsys))


def test_a_firmware_that_speaks_is_no_reason_to_emulate(
    farm: Power, machines: Machines, commands: Commands, node: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENCE", 0.0)
    machines.tell(node, console="SeaBIOS\n")
    machines.switch_on(node)
    assert "no answer after" in stopped(farm, node, limit=0.1)
    assert options(commands, "node1") == [KVM]


def test_a_kvm_that_qemu_cannot_start_with_is_a_reason_in_its_words(farm: Power, machines: Machines, node: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machines.boots(node, "tcg")
    machines.tell(node, "kvm", ends="Could not access KVM kernel module: Permission denied")
    boot(farm, node)
    assert any("KVM cannot run it (Could not access KVM kernel module: Permission denied)" in line for line in steps(capsys))


@pytest.mark.parametrize("accelerator", ["kvm", "tcg"])
def test_who_names_an_accelerator_gets_no_other(farm: Power, machines: Machines, commands: Commands, node: Machine, accelerator: str) -> None:
    farm.settings = dataclasses.replace(farm.settings, accelerator=accelerator)
    machines.tell(node, accelerator, console="SeaBIOS\n", state=ERROR)
    error = stopped(farm, node)
    assert error.startswith(f"node1 does not boot: QEMU's run state is {ERROR}. It was at the stage: firmware.\n")
    assert error.endswith("Where to look: LTSP_LAB_ACCELERATOR=tcg emulates the processor.")
    assert options(commands, "node1") == [{"kvm": KVM, "tcg": EMULATION}[accelerator]]
    assert qemu.remembered(farm.settings) == ""


def test_a_full_disk_of_this_machine_is_named(farm: Power, machines: Machines, node: Machine) -> None:
    machines.tell(node, "tcg", console="SeaBIOS\n", state="io-error")
    farm.settings = dataclasses.replace(farm.settings, accelerator="tcg")
    assert stopped(farm, node).endswith("Where to look: the free space of the file system with the disks of the lab.")


def test_a_named_accelerator_is_not_remembered(farm: Power, machines: Machines, commands: Commands, node: Machine) -> None:
    farm.settings = dataclasses.replace(farm.settings, accelerator="kvm")
    machines.boots(node)
    boot(farm, node)
    assert qemu.remembered(farm.settings) == ""


@pytest.mark.parametrize(
    ("console", "what", "stage", "look"),
    [
        ("SeaBIOS\nNo bootable device.  Retrying", "No bootable device (firmware)", "firmware", "the DHCP server's log"),
        (
            "GRUB\nltsp: 52-54 cannot boot: nothing says what it boots.",
            "ltsp: 52-54 cannot boot: nothing says what it boots. (boot loader)",
            "boot loader",
            "the lines of the loader",
        ),
        ("Linux version 6\nKernel panic - not syncing: no root", "Kernel panic - not syncing: no root (kernel)", "kernel", "the kernel's last lines"),
        ("Linux version 6\nTHIS NODE CANNOT BOOT\nnbd: refused", "THIS NODE CANNOT BOOT (initramfs)", "initramfs", "the block on its console"),
    ],
)
def test_a_boot_that_has_stopped_ends_the_wait(farm: Power, machines: Machines, node: Machine, console: str, what: str, stage: str, look: str) -> None:
    machines.tell(node, console=console)
    begin = time.monotonic()
    error = stopped(farm, node)
    assert time.monotonic() - begin < 5
    assert error.startswith(f"node1 does not boot: {what}. It was at the stage: {stage}.\nThe end of its console ({farm.settings.run}/node1.console.log):\n\n")
    assert f"\n\n{console}\n\nWhere to look: {look}" in error


def test_one_machine_that_has_stopped_ends_the_wait_for_all(farm: Power, machines: Machines, node: Machine, other: Machine) -> None:
    machines.tell(node, console="SeaBIOS\n")
    machines.tell(other, console="Kernel panic - not syncing: no root\n")
    assert stopped(farm, node, other).startswith("node3 does not boot")
    # The machines stay on, so that the user can look at them.
    assert farm.is_on(node)
    assert farm.is_on(other)


def test_a_machine_that_switches_itself_off_ends_the_wait_with_its_last_words(farm: Power, machines: Machines, node: Machine) -> None:
    machines.tell(node, console="Linux version 6\nreboot: Power down\n", ends="qemu: terminated")
    error = stopped(farm, node)
    assert error.startswith("node1 does not boot: it was switched off. It was at the stage: kernel.\n")
    assert "\n\nLinux version 6\nreboot: Power down\nqemu: terminated\n\nWhere to look: its process has ended" in error
    assert error.endswith(f"{farm.settings.run}/node1.log.")


def test_a_machine_that_is_late_ends_the_wait(farm: Power, machines: Machines, commands: Commands, node: Machine) -> None:
    machines.tell(node, console=BOOTED)
    machines.switch_on(node)
    error = stopped(farm, node, limit=0.3)
    assert error.startswith("node1 does not boot: no answer after 0 s. It was at the stage: started.\n")
    assert commands.calls("ssh")


def test_an_answer_that_comes_late_is_waited_for(farm: Power, machines: Machines, node: Machine) -> None:
    machines.tell(node, console=BOOTED)
    farm.on(node)
    wait = threading.Thread(target=Watch(farm).until_they_answer, args=([node],))
    wait.start()
    wait.join(0.1)
    assert wait.is_alive()
    machines.boots(node)
    wait.join(10)
    assert not wait.is_alive()


def test_a_machine_that_has_answered_is_not_judged_by_old_trouble(
    farm: Power, machines: Machines, commands: Commands, node: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machines.boots(node)
    boot(farm, node)
    capsys.readouterr()
    add_words(farm, node, "\nKernel panic - not syncing: an old one\nlogin: ")
    seconds = json.loads(farm.files(node).answer.read_text(encoding="utf-8"))["seconds"]
    boot(farm, node)
    assert capsys.readouterr().out == f"  node1    {seconds:4.0f} s  answers to ssh\n"


def answered_and_silent(farm: Power, machines: Machines, node: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has run under KVM for longer than a firmware may be silent, and does not answer to ssh now."""
    machines.boots(node)
    boot(farm, node)
    (machines.place / "node1-question").unlink()
    monkeypatch.setattr(watch, "SILENCE", 0.0)


def test_a_machine_that_has_answered_may_be_silent_under_kvm(
    farm: Power, machines: Machines, commands: Commands, node: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_and_silent(farm, machines, node, monkeypatch)
    error = stopped(farm, node, limit=0.2)
    assert error.startswith("node1 does not boot: no answer after 0 s. It was at the stage: started.\n")
    assert "node login:" in error
    assert options(commands, "node1") == [KVM]


def test_a_machine_that_has_answered_may_not_switch_itself_off(
    farm: Power, machines: Machines, commands: Commands, node: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_and_silent(farm, machines, node, monkeypatch)
    end = threading.Timer(0.1, qmp.execute, (farm.files(node).qmp, "quit"))
    end.start()
    assert stopped(farm, node).startswith("node1 does not boot: it was switched off.")
    end.join()
    assert options(commands, "node1") == [KVM]


def test_a_machine_that_has_answered_stops_at_new_trouble(farm: Power, machines: Machines, node: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    answered_and_silent(farm, machines, node, monkeypatch)
    trouble = threading.Timer(0.1, add_words, (farm, node, "Kernel panic - not syncing: a new one\n"))
    trouble.start()
    assert stopped(farm, node).startswith("node1 does not boot: Kernel panic - not syncing: a new one (kernel).")
    trouble.join()


def test_a_machine_that_has_answered_and_starts_again_emulated_is_judged_from_its_begin(
    farm: Power, machines: Machines, node: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_and_silent(farm, machines, node, monkeypatch)
    machines.tell(node, "kvm", state=ERROR)
    machines.tell(node, "tcg", console="THIS NODE CANNOT BOOT\n")
    assert stopped(farm, node).startswith("node1 does not boot: THIS NODE CANNOT BOOT (initramfs).")


def test_a_watch_waits_again(farm: Power, machines: Machines, node: Machine) -> None:
    machines.boots(node)
    farm.on(node)
    watch = Watch(farm)
    watch.until_they_answer([node])
    farm.off(node)
    machines.tell(node, console="Kernel panic - not syncing: no root\n")
    farm.on(node)
    with pytest.raises(Stopped):
        watch.until_they_answer([node])


def test_a_real_firmware_that_finds_nothing_ends_the_wait(farm: Power, machines: Machines) -> None:
    machines.leave("qemu-system-x86_64")
    farm.settings = dataclasses.replace(farm.settings, accelerator="tcg")
    error = stopped(farm, Machine("real", 50, Firmware.BIOS, (), 64))
    assert error.startswith("real does not boot: No bootable device (firmware). It was at the stage: firmware.\n")
    assert "SeaBIOS" in error
    # Control sequences of the console must not reach the user's terminal.
    assert "\x1b" not in error
    assert consoles.last_lines(error, 1).startswith("Where to look: the DHCP server's log")
