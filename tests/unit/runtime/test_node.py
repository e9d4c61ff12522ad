# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import typing as t

import pytest

ENVIRONMENT = """\
DEVICE='eth0'
IPV4ADDR='10.0.0.11'
HOSTNAME='node1'
SERVER='10.0.0.1'
LTSP_CLIENT_MAC='52:54:00:aa:bb:01'
LTSP_IMAGE='node'
LTSP_VERSION='20261120T223000Z-0123456789ab'
LTSP_ROOT='http://10.0.0.1/images/node/root.squashfs'
LTSP_CONF='http://10.0.0.1/config/nodes/node1/lts.conf'
"""
LEASE = """\
DEVICE='eth0'
IPV4ADDR='10.0.0.11'
IPV4GATEWAY='10.0.0.1'
IPV4DNS0='10.0.0.2'
IPV4DNS1='0.0.0.0'
HOSTNAME='node1'
DNSDOMAIN='example.org'
"""


@pytest.fixture
def booted(node: t.Any) -> t.Any:
    """A node as the initramfs leaves it."""
    node.write("run/ltsp/env", ENVIRONMENT)
    node.write("run/net-eth0.conf", LEASE)
    node.write("etc/fstab", "# UNCONFIGURED\n")
    node.write("var/spool/cron/crontabs/.keep", "")
    node.command("systemd-escape", '[ "$1 $2" = "--path --suffix=device" ] && echo "$3.device" | tr / -')
    for name in ("hostname", "ip", "chgrp"):
        node.command(name, f'echo "{name} $*" >>"{node.root}/commands"')
    return node


DONE = "<5>ltsp: configured as node1"


def configure(node: t.Any, lts_conf: str = "", **environment: str) -> t.Any:
    node.write("run/ltsp/lts.conf.served", "[default]\n" + lts_conf)
    return node.run("ltsp_configure", "commands", "node", **environment)


def test_a_node_is_who_the_server_says(booted: t.Any) -> None:
    configure(booted)
    assert booted.read("etc/hostname") == "node1\n"
    assert booted.read("etc/hosts").splitlines()[:2] == ["127.0.0.1\tlocalhost", "127.0.0.2\tnode1.example.org node1"]
    assert booted.read("etc/resolv.conf") == "search example.org\nnameserver 10.0.0.2\n"
    assert booted.read("commands").splitlines() == [
        "hostname node1",
        "ip route replace default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.11 metric 1024",
        "ip route del default via 10.0.0.1 dev eth0 metric 0",
    ]
    assert booted.read("run/ltsp/env") == ENVIRONMENT
    assert "<3>" not in booted.log.read_text()


def test_machine_id_follows_the_name_and_not_the_card(booted: t.Any) -> None:
    configure(booted)
    first = booted.read("etc/machine-id")
    assert len(first) == 33 and set(first.strip()) <= set("0123456789abcdef")
    booted.write("run/ltsp/env", ENVIRONMENT.replace("aa:bb:01", "aa:bb:02"))
    configure(booted)
    assert booted.read("etc/machine-id") == first
    booted.write("run/ltsp/env", ENVIRONMENT.replace("node1", "node2"))
    booted.write("run/net-eth0.conf", LEASE.replace("node1", "node2"))
    configure(booted)
    assert booted.read("etc/machine-id") != first


def test_a_node_that_the_dhcp_server_does_not_name(booted: t.Any) -> None:
    booted.write("run/ltsp/env", ENVIRONMENT.replace("'node1'", "''"))
    booted.write("run/net-eth0.conf", LEASE.replace("'node1'", "''"))
    configure(booted)
    assert booted.read("etc/hostname") == "ltsp-525400aabb01\n"
    first = booted.read("etc/machine-id")
    booted.write("run/ltsp/env", ENVIRONMENT.replace("'node1'", "''").replace("aa:bb:01", "aa:bb:02"))
    configure(booted)
    assert booted.read("etc/machine-id") != first


def test_network_keeps_the_address(booted: t.Any) -> None:
    configure(booted, 'DNS_SERVER = "10.0.0.3, 10.0.0.4"\nSEARCH_DOMAIN = "a.org b.org"\n')
    lines = booted.read("run/systemd/network/60-ltsp.network").splitlines()
    for line in ("MACAddress=52:54:00:aa:bb:01", "Kind=!*", "DHCP=ipv4", "KeepConfiguration=yes", "DNS=10.0.0.3", "DNS=10.0.0.4", "Domains=a.org b.org"):
        assert line in lines
    assert lines[lines.index("[DHCPv4]") + 1] == "ClientIdentifier=mac"
    assert booted.read("etc/resolv.conf") == "search a.org b.org\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n"


def test_resolv_conf_of_systemd_resolved_stays(booted: t.Any) -> None:
    (booted.root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    configure(booted)
    assert (booted.root / "etc/resolv.conf").is_symlink()


def test_keys_that_fill_files(booted: t.Any) -> None:
    configure(
        booted,
        'HOSTNAME = "other"\n'
        'HOSTS_2 = "10.0.0.7 seven"\nHOSTS_10 = "10.0.0.8 eight # $HOME"\n'
        'CRONTAB_01 = "*/5 * * * * date"\n'
        'FSTAB_10_B = "tmpfs /b tmpfs"\n'
        'FSTAB_2_A = "/dev/data/ssh  /etc/ssh ext4 nofail,noatime 0 2"\n'
        'FSTAB_3 = "/dev/x /x ext4 nofail,x-systemd.device-timeout=1min"\n'
        'FSTAB_4 = "UUID=AB-1 /y vfat nofail"\n'
        'FSTAB_5 = "/dev/z /z ext4 nofail,_netdev"\n'
        'FSTAB_6 = "server:/n /n nfs nofail"\n',
    )
    assert booted.read("etc/hostname") == "other\n"
    assert "HOSTNAME='other'\n" in booted.read("run/ltsp/env")
    assert booted.read("etc/hosts").endswith("\n10.0.0.7 seven\n10.0.0.8 eight # $HOME\n")
    assert booted.read("var/spool/cron/crontabs/root") == "*/5 * * * * date\n"
    assert booted.read("etc/fstab").splitlines() == [
        "# UNCONFIGURED",
        "/dev/data/ssh\t/etc/ssh\text4\tnofail,noatime,x-systemd.device-timeout=7s,x-systemd.before=local-fs.target\t0\t2",
        "/dev/x\t/x\text4\tnofail,x-systemd.device-timeout=1min,x-systemd.before=local-fs.target\t0\t0",
        "UUID=AB-1\t/y\tvfat\tnofail,x-systemd.device-timeout=7s,x-systemd.before=local-fs.target\t0\t0",
        "/dev/z\t/z\text4\tnofail,_netdev\t0\t0",
        "server:/n\t/n\tnfs\tnofail\t0\t0",
        "tmpfs\t/b\ttmpfs\tdefaults\t0\t0",
    ]
    for unit in ("-dev-data-ssh", "-dev-disk-by-uuid-AB-1"):
        assert "\nAfter=systemd-udev-settle.service\n" in booted.read(f"run/systemd/system/{unit}.device.d/ltsp.conf")
    assert "<3>" not in booted.log.read_text()


def test_a_broken_fstab_line_is_said_and_left_out(booted: t.Any) -> None:
    configure(booted, 'FSTAB_1 = "/dev/x /x"\nFSTAB_2 = "tmpfs /b tmpfs"\n')
    assert booted.read("etc/fstab").splitlines()[1:] == ["tmpfs\t/b\ttmpfs\tdefaults\t0\t0"]
    assert booted.log.read_text().startswith("<3>ltsp: FSTAB_1 was left out")


def test_a_crontab_without_cron_is_said(booted: t.Any) -> None:
    (booted.root / "var/spool/cron/crontabs/.keep").unlink()
    (booted.root / "var/spool/cron/crontabs").rmdir()
    configure(booted, 'CRONTAB_01 = "* * * * * x"\n')
    assert "<3>ltsp: CRONTAB_* was left out" in booted.log.read_text()


def masked(node: t.Any) -> set[str]:
    return {path.name for path in (node.root / "etc/systemd/system").iterdir() if path.is_symlink() and str(path.readlink()) == "/dev/null"}


def test_services(booted: t.Any) -> None:
    for unit in (
        "apt-daily.timer",
        "apt-daily.service",
        "man-db.timer",
        "nbd-server.service",
        "ssh.service",
        "mine.service",
        "mine.socket",
        "other.timer",
        "cron.service",
    ):
        booted.write(f"usr/lib/systemd/system/{unit}", "")
    configure(booted, 'KEEP_SYSTEM_SERVICES = "ssh nbd-server"\nRM_SYSTEM_SERVICES = "mine other.timer ssh"\n')
    assert masked(booted) == {"apt-daily.timer", "apt-daily.service", "man-db.timer", "mine.service", "mine.socket", "other.timer"}
    assert booted.log.read_text() == f"<3>ltsp: RM_SYSTEM_SERVICES: ssh stays, a node without it cannot be helped\n{DONE}\n"


def test_keep_shields_what_rm_names(booted: t.Any) -> None:
    booted.write("usr/lib/systemd/system/mine.service", "")
    configure(booted, 'KEEP_SYSTEM_SERVICES = "mine"\nRM_SYSTEM_SERVICES = "mine"\n')
    assert masked(booted) == set()


def test_preinit_is_one_script_without_e(booted: t.Any) -> None:
    out = booted.root / "out"
    configure(
        booted,
        f'PREINIT_10 = "echo $A $PWD $HOSTNAME $SERVER $LTSP_IMAGE $HOME >>{out}"\nPREINIT_2 = "A=1; cd /tmp; echo said"\nPREINIT_3 = "false"\n',
    )
    assert out.read_text() == "1 /tmp node1 10.0.0.1 node /root\n"
    assert booted.log.read_text().splitlines() == ["<4>ltsp: preinit: said", "<3>ltsp: PREINIT_3 failed with status 1", DONE]


@pytest.mark.parametrize("command", ["exit 3", "echo 'not closed", "if true", "exec true", "kill $$"])
def test_what_ends_preinit_is_named(booted: t.Any, command: str) -> None:
    configure(booted, f'PREINIT_1 = "true"\nPREINIT_2 = "{command}"\nPREINIT_3 = "true"\n')
    assert "<3>ltsp: PREINIT_2 ended the script of PREINIT_*" in booted.log.read_text()


def test_a_daemon_of_preinit_does_not_stop_the_boot(booted: t.Any) -> None:
    configure(booted, f'PREINIT_1 = "sleep 50 & echo $! >{booted.root}/pid"\nPREINIT_2 = "echo next"\n')
    os.kill(int(booted.read("pid")), signal.SIGTERM)
    assert "preinit: next" in booted.log.read_text()


def test_values_are_literal_until_they_run(booted: t.Any) -> None:
    configure(booted, f'HOSTS_1 = "10.0.0.9 $(touch {booted.root}/evil) `touch {booted.root}/evil`"\n')
    assert not (booted.root / "evil").exists()
    assert "$(touch" in booted.read("etc/hosts")


def test_secrets_are_not_for_everybody(booted: t.Any) -> None:
    configure(booted, 'RCFILE_1 = "kubeadm join --token secret"\nPREINIT_1 = "true"\n')
    for name in ("lts.conf", "preinit", "preinit.log", "preinit.failed"):
        assert (booted.root / "run/ltsp" / name).stat().st_mode & 0o077 == 0, name
    assert (booted.root / "etc/hosts").stat().st_mode & 0o777 == 0o644


def test_the_images_own_lts_conf_counts_when_none_was_served(booted: t.Any) -> None:
    booted.write("etc/lts.conf", '[node1]\nHOSTS_1 = "10.0.0.9 nine"\n')
    booted.run("ltsp_configure", "commands", "node")
    assert "10.0.0.9 nine" in booted.read("etc/hosts")


def test_a_broken_lts_conf_is_said_with_its_line(booted: t.Any) -> None:
    configure(booted, 'HOSTS_1 = "10.0.0.9 nine\nHOSTS_2 = "10.0.0.8 eight"\n')
    assert "10.0.0.8 eight" in booted.read("etc/hosts")
    assert "lts.conf.served): line 2: HOSTS_1" in booted.log.read_text()


def test_a_step_that_fails_does_not_stop_the_next(booted: t.Any) -> None:
    (booted.root / "etc/hosts").mkdir()
    configure(booted, 'PREINIT_1 = "echo still"\n')
    assert booted.read("etc/resolv.conf")
    assert "<3>ltsp: ltsp_write_hosts failed" in booted.log.read_text()
    assert "preinit: still" in booted.log.read_text()


def test_nothing_at_all(node: t.Any) -> None:
    """Not even an environment: the node must still come up."""
    node.command("hostname", "exit 1")
    node.run("ltsp_configure", "commands", "node")
    assert node.read("etc/hosts").startswith("127.0.0.1")
