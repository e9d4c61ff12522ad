# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The article's lts.conf, line by line, on a node of a running lab to which tests/e2e/article.yml gave it. The line that needs the image's own kernel is looked
at by test_nodes.py.

Three boots count: one with a blank disk, which may be the boot that the node is in, one with the volume group that is then made on it, and one more.
"""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ltsp_lab.remote import Remote, reboot

if t.TYPE_CHECKING:
    import pathlib

MOUNTS = {"/etc/ssh": "ssh", "/var/log/journal": "journal", "/var/lib/docker": "docker"}
SYSCTLS = {
    "fs.file-max": "20000000",
    "fs.nr_open": "20000000",
    "net.ipv4.neigh.default.gc_thresh1": "80000",
    "net.ipv4.neigh.default.gc_thresh2": "90000",
    "net.ipv4.neigh.default.gc_thresh3": "100000",
    "net.ipv4.ip_forward": "1",
}
JOIN = (
    "kubeadm join --token 2a4576.504356e45fa3d365 10.9.0.20:6443"
    " --discovery-token-ca-cert-hash sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)
PREPARE = """
    vgcreate --quiet --yes data {disk}
    for volume in "--size=64m --name=ssh" "--size=256m --name=journal" "--extents=100%FREE --name=docker"; do
        lvcreate --quiet --yes $volume data
        mkfs.ext4 -q -F /dev/data/${{volume#*--name=}}
    done
"""


def disk(node: Remote) -> str:
    """The node's own disk, as user-mode Linux and as QEMU call it."""
    return node.run("ls /dev/ubda /dev/vda 2>/dev/null || true").split()[0]


@dataclasses.dataclass
class Boot:
    """What the node shows after one of its boots."""

    node: Remote
    keys: dict[str, str]
    waited: float


def boot(node: Remote, server: Remote) -> Boot:
    reboot([node])
    return seen(node, server)


def seen(node: Remote, server: Remote) -> Boot:
    node.wait_for("systemctl is-active ltsp-rc", 240)
    scan = server.run(f"ssh-keyscan {node.environment()['IPV4ADDR']} 2>/dev/null | grep -v '^#'")
    return Boot(node, {kind: key for _host, kind, key in map(str.split, scan.splitlines())}, waited(node))


def waited(node: Remote) -> float:
    """Seconds between the end of udev's look at the machine and the local file systems; of all times of a boot the one that a busy host changes least."""
    times = node.run("systemctl show --value --property=ActiveEnterTimestampMonotonic systemd-udev-settle.service local-fs.target")
    settled, mounted = map(int, times.split())
    return (mounted - settled) / 1e6


@pytest.fixture(scope="module")
def blank(lab: pathlib.Path, server: Remote) -> Boot:
    node = Remote(lab, "node1")
    if node.environment()["LTSP_IMAGE"] == "article" and not node.run(f"wipefs --noheadings {disk(node)}"):
        return seen(node, server)
    node.run(f"wipefs --quiet --all --force {disk(node)}")
    return boot(node, server)


@pytest.fixture(scope="module")
def first(blank: Boot, server: Remote) -> Boot:
    blank.node.run(f"set -e; {PREPARE.format(disk=disk(blank.node))}")
    return boot(blank.node, server)


@pytest.fixture(scope="module")
def second(first: Boot, server: Remote) -> Boot:
    return boot(first.node, server)


def operators_key(lab: pathlib.Path) -> str:
    return (lab / "id_ed25519.pub").read_text(encoding="utf-8").split()[1]


def assert_joined_once_and_last(node: Remote) -> None:
    assert node.run("cat /run/kubeadm") == f"active 1 1 {JOIN}"


def test_without_the_disk_the_node_is_up_with_the_operators_host_key(blank: Boot, lab: pathlib.Path) -> None:
    assert blank.node.environment()["LTSP_IMAGE"] == "article"
    assert blank.node.run("! findmnt --source /dev/data/ssh && systemctl is-active ssh ltsp-rc").split() == ["active", "active"]
    assert blank.keys["ssh-ed25519"] == operators_key(lab)


def test_time_zone(first: Boot) -> None:
    assert first.node.run("date --date=2026-01-01T12:00Z +%Z%H") == "CET13"


def test_hosts_line_is_gone(first: Boot) -> None:
    assert "127.0.0.2" not in first.node.run("cat /etc/hosts")


def test_docker_runs_as_its_unit_was_rewritten(first: Boot) -> None:
    assert first.node.run("systemctl is-active docker") == "active"
    command = first.node.run("tr '\\0' ' ' </proc/$(systemctl show --value --property=MainPID docker)/cmdline")
    assert command == (
        "/usr/bin/dockerd -H fd:// --storage-driver overlay2 --iptables=false --ip-masq=false"
        " --log-driver=json-file --log-opt=max-size=10m --log-opt=max-file=5"
    )
    assert first.node.run("findmnt --noheadings --output TARGET --target /var/lib/docker/overlay2") == "/var/lib/docker"


@pytest.mark.parametrize("directory", MOUNTS)
def test_file_systems_are_mounted(first: Boot, directory: str) -> None:
    source, kind, options = first.node.run(f"findmnt --noheadings --output SOURCE,FSTYPE,OPTIONS {directory}").split()
    assert (source, kind) == (f"/dev/mapper/data-{MOUNTS[directory]}", "ext4")
    assert {"rw", "noatime", "nodiratime"} <= set(options.split(","))


def test_sshd_has_its_configuration_and_keys_on_the_disk(first: Boot, lab: pathlib.Path) -> None:
    assert first.node.run("cmp /etc/ssh/sshd_config /rofs/etc/ssh/sshd_config && ls /etc/ssh/ssh_host_*_key").split() == [
        f"/etc/ssh/ssh_host_{kind}_key" for kind in ("ecdsa", "ed25519", "rsa")
    ]
    assert first.keys["ssh-ed25519"] == operators_key(lab)


def test_the_administrators_key_is_added_to_those_of_the_image(first: Boot) -> None:
    keys = first.node.run("cat /root/.ssh/authorized_keys").splitlines()
    assert keys == [*first.node.run("cat /rofs/root/.ssh/authorized_keys").splitlines(), "ssh-rsa AAAA... admin@kubernetes"]


def test_kernel_settings(first: Boot) -> None:
    assert first.node.run(f"sysctl --values {' '.join(SYSCTLS)}").split() == list(SYSCTLS.values())


def test_the_module_is_loaded(first: Boot) -> None:
    first.node.run("grep -q '^br_netfilter ' /proc/modules")


def test_the_node_joined_once_and_last(first: Boot) -> None:
    assert_joined_once_and_last(first.node)


def test_nothing_failed(first: Boot) -> None:
    assert first.node.state() == ("running", "")


def test_a_missing_disk_costs_ten_seconds_at_most(blank: Boot, first: Boot) -> None:
    assert first.waited < blank.waited <= 10


def test_the_next_boot_has_the_same_host_keys(first: Boot, second: Boot) -> None:
    assert len(first.keys) > 1
    assert first.keys.items() <= second.keys.items()


def test_the_journal_is_kept(second: Boot) -> None:
    assert second.node.run("journalctl --list-boots --quiet | wc -l") == "2"
    assert "configured as node1" in second.node.run("journalctl --boot=-1 --identifier=ltsp --output=cat")


def test_the_next_boot_joined_once_and_last(second: Boot) -> None:
    assert_joined_once_and_last(second.node)
    assert second.node.state() == ("running", "")
