# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from samples import NODE

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import BootError, missing_images
from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.files import boot_files

VERSION = "20261120T223000Z-0123456789ab"
PORTS = {"http": 80, "nbd": 10809}


def node(**changes: t.Any) -> dict[str, t.Any]:
    return {**NODE, "server": "ltsp-1", **changes}


def default(**changes: t.Any) -> dict[str, t.Any]:
    return {key: value for key, value in node(**changes).items() if key not in ("name", "macs", "ip", "server")}


def image(name: str = "node", versions: tuple[str, ...] = (VERSION,), current: str | None = VERSION) -> dict[str, t.Any]:
    return {"name": name, "current": current, "versions": [{"name": name, "version": version} for version in versions]}


def script(**changes: t.Any) -> list[str]:
    return boot_files([node(**changes)], None, PORTS)["52-54-00-77-00-01.cfg"].decode().splitlines()


def command_line(**changes: t.Any) -> list[str]:
    [line] = [line for line in script(**changes) if line.startswith("set ltsp_command_line=")]
    return line.partition("=")[2].strip('"').split()


def test_the_description_holds_what_the_machine_boots_and_nothing_else() -> None:
    files = boot_files([node(image_version=VERSION, lts_conf={"TOKEN": "secret"})], None, PORTS)
    assert json.loads(files["52-54-00-77-00-01.json"]) == {
        "schema": 1,
        "name": "node1",
        "mac": "52:54:00:77:00:01",
        "ip": "10.77.0.11",
        "image": "node",
        "image_version": VERSION,
        "server": "10.77.0.1",
        "http_port": 80,
        "nbd_port": 10809,
        "transports": ["http", "nbd"],
        "ram": True,
        "overlay": "50%",
        "config": "/config/nodes/52-54-00-77-00-01.conf",
        "kernel_args": [],
    }


def test_the_script_of_a_node() -> None:
    assert script(kernel_args=["console=tty0", "console=ttyS0,115200n8"]) == [
        "# Rendered from 52-54-00-77-00-01.json. The place to change it is the inventory.",
        'set ltsp_node="node1"',
        'set ltsp_wanted="node/current"',
        'set ltsp_http="(http,10.77.0.1)"',
        'source "/images/node/current/boot.cfg"',
        'set ltsp_command_line="boot=ltsp init=/sbin/init-ltsp ip=dhcp BOOTIF=01-52-54-00-77-00-01 panic=30'
        " ltsp.root=http://10.77.0.1${ltsp_squashfs},nbd://10.77.0.1/${ltsp_export} ltsp.ram=1 ltsp.overlay=50%"
        ' ltsp.conf=http://10.77.0.1/config/nodes/52-54-00-77-00-01.conf $ltsp_arguments console=tty0 console=ttyS0,115200n8"',
    ]


def test_an_unknown_machine_is_called_by_its_mac_address_and_gets_the_whole_lts_conf() -> None:
    files = boot_files([], default(), PORTS)
    assert set(files) == {"default.json", "default.cfg"}
    text = files["default.cfg"].decode()
    assert 'set ltsp_node="$ltsp_mac"' in text
    assert " BOOTIF=01-$ltsp_mac " in text
    assert " ltsp.conf=http://10.77.0.1/config/lts.conf " in text
    description = json.loads(files["default.json"])
    assert (description["name"], description["mac"], description["ip"]) == (None, None, None)


def test_an_unknown_machine_without_a_server_stays_with_the_one_that_its_loader_came_from() -> None:
    machine = default(image_version=VERSION)
    del machine["server_address"]
    for anonymous in (machine, {**machine, "server_address": None}):
        files = boot_files([], anonymous, {"http": 8080, "nbd": 10809})
        text = files["default.cfg"].decode()
        assert 'set ltsp_http="(http,$net_default_server:8080)"' in text
        assert " ltsp.root=http://$net_default_server:8080${ltsp_squashfs},nbd://$net_default_server/${ltsp_export} " in text
        assert " ltsp.conf=http://$net_default_server:8080/config/lts.conf " in text
        assert json.loads(files["default.json"])["server"] is None


def test_a_pinned_version_is_read_instead_of_the_current_one() -> None:
    lines = script(image_version=VERSION)
    assert f'source "/images/node/{VERSION}/boot.cfg"' in lines
    assert f'set ltsp_wanted="node/{VERSION}"' in lines


def test_transports_stand_in_the_order_in_which_they_are_tried() -> None:
    assert "ltsp.root=nbd://10.77.0.1/${ltsp_export},http://10.77.0.1${ltsp_squashfs}" in command_line(transports=["nbd", "http"])


def test_without_ram_there_is_no_such_argument() -> None:
    assert not [argument for argument in command_line(ram=False) if argument.startswith("ltsp.ram")]


def test_other_ports_are_named() -> None:
    text = boot_files([node()], None, {"http": 8080, "nbd": 10810})["52-54-00-77-00-01.cfg"].decode()
    assert 'set ltsp_http="(http,10.77.0.1:8080)"' in text
    assert "ltsp.root=http://10.77.0.1:8080${ltsp_squashfs},nbd://10.77.0.1:10810/${ltsp_export} " in text
    assert "ltsp.conf=http://10.77.0.1:8080/config/" in text


def test_each_network_card_has_its_own_files() -> None:
    files = boot_files([node(macs=["52:54:00:77:00:01", "5254.0077.0002"])], None, PORTS)
    assert sorted(files) == ["52-54-00-77-00-01.cfg", "52-54-00-77-00-01.json", "52-54-00-77-00-02.cfg", "52-54-00-77-00-02.json"]
    assert b"BOOTIF=01-52-54-00-77-00-02 " in files["52-54-00-77-00-02.cfg"]


@pytest.mark.parametrize("value", ["a b", 'a"b', "a'b", "a\\b", "a$b", "a\nb", "a`b", "a*b", "a?b", "{", ";", "ä"])
@pytest.mark.parametrize("place", ["kernel_args", "image", "name", "server_address", "overlay", "image_version"])
def test_what_grub_would_read_as_something_else_is_refused(place: str, value: str) -> None:
    with pytest.raises(BootError, match="GRUB cannot be given") as refused:
        script(**{place: [value] if place == "kernel_args" else value})
    assert repr(value) in str(refused.value)


def test_kernel_arguments_of_the_field_are_written() -> None:
    arguments = ["memmap=64M+4G", "ip=eth0:dhcp", "root=/dev/nbd0", "isolcpus=1-3,5", "foo.bar=!x", "user@host", "a~b%"]
    assert command_line(kernel_args=arguments)[-len(arguments) :] == arguments


@pytest.mark.parametrize(
    ("changes", "message"), [({"transports": []}, "name at least one"), ({"transports": ["nfs"]}, "'nfs' is not a transport: use http or nbd")]
)
def test_transports_that_cannot_be_are_refused(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(BootError, match=f"node1: .*{message}"):
        script(**changes)


def test_a_transport_that_the_boot_servers_do_not_offer_is_refused() -> None:
    with pytest.raises(BootError, match=r"node1: the boot servers do not offer the transport nbd: use http, or set ports\.nbd"):
        boot_files([node()], None, {"http": 80})
    with pytest.raises(BootError, match="unknown machines: the boot servers do not offer the transport nbd"):
        boot_files([], default(), {"http": 80})


def test_a_description_has_the_ports_that_are_offered() -> None:
    files = boot_files([node(transports=["http"])], None, {"http": 80})
    document = json.loads(files["52-54-00-77-00-01.json"])
    assert document["http_port"] == 80
    assert "nbd_port" not in document


def test_a_wrong_mac_address_is_refused_with_its_node() -> None:
    with pytest.raises(BootError, match="node node1: '52:54' is not a MAC address"):
        boot_files([node(macs=["52:54"])], None, PORTS)


def test_two_nodes_with_one_mac_address_are_refused_by_name() -> None:
    with pytest.raises(BootError, match="nodes node1 and node2 both have the MAC address 52:54:00:77:00:01"):
        boot_files([node(), node(name="node2", macs=["5254.0077.0001"])], None, PORTS)


def test_an_image_that_is_there_is_no_problem() -> None:
    assert missing_images([node(), node(image_version=VERSION)], default(), [image()], "ltsp-1") == []


@pytest.mark.parametrize(
    ("changes", "images", "expected"),
    [
        ({"image": "gpu"}, [image()], "node node1: image gpu on server ltsp-1 does not exist (there is: node): build it there, or correct ltsp_node_image"),
        ({}, [], "node node1: image node on server ltsp-1 does not exist (there is: none): build it there, or correct ltsp_node_image"),
        (
            {"image_version": "20250101T000000Z-ba9876543210"},
            [image()],
            f"node node1: image node on server ltsp-1 has no version 20250101T000000Z-ba9876543210 (newest: {VERSION}): correct ltsp_node_image_version",
        ),
        ({}, [image(current=None)], "node node1: image node on server ltsp-1 has no current version: build it again, or point node/current to a version"),
    ],
)
def test_a_missing_image_is_named_with_node_server_and_remedy(changes: dict[str, t.Any], images: list[dict[str, t.Any]], expected: str) -> None:
    assert missing_images([node(**changes)], None, images, "ltsp-1") == [expected]


def test_a_pin_does_not_need_a_current_version() -> None:
    assert missing_images([node(image_version=VERSION)], None, [image(current=None)], "ltsp-1") == []


def test_nodes_of_other_servers_are_their_business() -> None:
    assert missing_images([node(server="ltsp-2")], None, [], "ltsp-1") == []


def test_the_image_of_unknown_machines_is_checked() -> None:
    [problem] = missing_images([], default(), [], "ltsp-1")
    assert problem.startswith("unknown machines: image node on server ltsp-1 does not exist")
    assert problem.endswith("correct ltsp_server_default_image")


def test_thousands_of_problems_are_counted() -> None:
    problems = missing_images([node(name=f"node{i}") for i in range(1000)], None, [], "ltsp-1")
    assert len(problems) == 11
    assert problems[-1] == "and 990 more"
