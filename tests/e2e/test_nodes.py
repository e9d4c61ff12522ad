# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the nodes of a running lab and runs the production playbook against it a second time."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

from ltsp_lab.remote import Remote
from playbooks import playbook

if t.TYPE_CHECKING:
    import pathlib

ROOTS = {"node1": ("BIOS", "nbd"), "node2": ("UEFI", "http")}


@pytest.fixture(scope="session", params=["node1", "node2"])
def node(lab: pathlib.Path, request: pytest.FixtureRequest) -> Remote:
    return Remote(lab, request.param)


def test_the_lease_gives_the_host_name(node: Remote) -> None:
    assert node.run("hostname") == node.name
    assert node.name in node.run("getent hosts 127.0.0.2").split()


def test_firmware_and_transport_are_what_was_asked_for(node: Remote) -> None:
    firmware = "UEFI" if node.run("[ ! -d /sys/firmware/efi ] || echo yes") else "BIOS"
    assert (firmware, node.environment()["LTSP_ROOT"].split(":")[0]) == ROOTS[node.name]


def test_the_image_is_the_current_one_of_the_store(node: Remote, server: Remote) -> None:
    assert node.environment()["LTSP_IMAGE"] == "node"
    assert node.environment()["LTSP_VERSION"] == server.run("readlink /srv/ltsp/public/images/node/current")


def test_the_root_is_a_writable_layer_over_the_image(node: Remote) -> None:
    assert node.run("findmnt --noheadings --output FSTYPE /") == "overlay"
    options = node.run("findmnt --noheadings --output FSTYPE,OPTIONS /rofs").split()
    assert options[0] == "squashfs"
    assert "ro" in options[1].split(",")
    node.run("echo here >/e2e-written && grep -q here /e2e-written && [ ! -e /rofs/e2e-written ]")
    node.run("! touch /rofs/e2e 2>/dev/null")


def test_lts_conf_had_its_effect(node: Remote) -> None:
    assert node.run("cat /etc/e2e-preinit") == node.name
    assert node.run("findmnt --noheadings --output FSTYPE /mnt") == "tmpfs"
    assert node.run("stat --format %a /mnt") == "700"
    assert node.run("cat /etc/e2e-rcfile") == f"{node.name}-of-node"


def test_the_articles_kernel_settings(node: Remote) -> None:
    assert node.run("sysctl --values kernel.unknown_nmi_panic kernel.softlockup_panic").split() == ["1", "1"]
    node.run("grep -q '^netconsole ' /proc/modules")


def test_netconsole_sends_to_the_boot_server(node: Remote) -> None:
    log = node.run("journalctl --dmesg --boot --grep=netconsole --output=cat")
    assert "remote IPv4 address 10.77.0.1" in log
    device = node.environment()["DEVICE"]
    assert f"interface name '{device}'" in log or f"interface '{device}'" in log


def test_nothing_failed(node: Remote) -> None:
    assert node.state() == ("running", "")


def test_the_image_is_served_as_the_manifest_says(server: Remote) -> None:
    current = "/srv/ltsp/public/images/node/current"
    manifest = json.loads(server.run(f"cat {current}/manifest.json"))
    assert server.run(f"sha256sum {current}/root.squashfs").split()[0] == manifest["files"]["root.squashfs"]["sha256"]


@pytest.mark.parametrize("options", [[], ["--check", "--diff"]], ids=["again", "check"])
def test_site_changes_nothing(lab: pathlib.Path, options: list[str]) -> None:
    output = playbook(lab, ["site"], ["inventory.yml"], *options)
    changed = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)
    assert changed
    assert all(count == "0" for _host, count in changed), output
