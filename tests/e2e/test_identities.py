# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of a machine does not depend on the card that it boots from. An unknown machine gets a name from its card."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ltsp_lab import consoles
from ltsp_lab.files import known
from ltsp_lab.power import Power
from ltsp_lab.remote import Remote, patiently
from ltsp_lab.watch import Watch

if t.TYPE_CHECKING:
    import pathlib

    from ltsp_lab.description import Machine
    from ltsp_lab.settings import Settings

SECOND_CARD = "52:54:00:77:00:44"
STRANGER = "52:54:00:77:00:63"


@pytest.fixture(scope="module")
def power(needed_lab: None, settings: Settings) -> Power:
    return Power(settings)


@pytest.fixture(scope="module")
def node(power: Power) -> Machine:
    """The node with two cards, as the lab has switched it on with its first."""
    return next(machine for machine in known(power.settings.run) if machine.name == "node4")


@pytest.fixture
def stranger(power: Power, node: Machine) -> t.Iterator[Machine]:
    machine = dataclasses.replace(node, name="stranger", macs=(STRANGER,), disks=())
    yield machine
    power.remove(machine)


def test_the_other_card_makes_no_other_machine(power: Power, node: Machine, lab: pathlib.Path) -> None:
    remote = Remote(lab, node.name)
    question = "cat /etc/machine-id; hostname; . /run/ltsp/env && echo $IPV4ADDR; cat /sys/class/net/$DEVICE/address"
    first = remote.run(question).split()
    other = dataclasses.replace(node, macs=(SECOND_CARD,))
    power.remove(node)
    power.on(other)
    Watch(power).until_they_answer([other])
    second = remote.run(question).split()
    assert second[:3] == first[:3]
    assert (first[3], second[3]) == (node.macs[0], SECOND_CARD)
    assert remote.state() == ("running", "")


def test_a_machine_of_no_inventory_boots_and_is_named_by_its_card(power: Power, stranger: Machine) -> None:
    power.on(stranger)

    def named() -> None:
        text = consoles.read(power.files(stranger).console_log)
        assert consoles.stop(text) is None, consoles.last_lines(text)
        assert f"configured as ltsp-{STRANGER.replace(':', '')}" in text

    patiently(named, 240, every=1)
