# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import typing as t

import pytest

IMAGE = b"hsqs" * 4096
SHA256 = hashlib.sha256(IMAGE).hexdigest()
LINE = "BOOT_IMAGE=/vmlinuz boot=ltsp ip=dhcp BOOTIF=01-52-54-00-AA-bb-01 ltsp.root=http://10.0.0.1/image,nbd://10.0.0.1:10810/node"
NETWORK = 'ltsp_network() { cp "$LTSP_PREFIX/lease" "$LTSP_PREFIX/run/net-eth0.conf"; }'
LEASE = "DEVICE='eth0'\nIPV4ADDR='10.0.0.11'\nHOSTNAME='node1'\n"


@pytest.fixture
def machine(node: t.Any) -> t.Any:
    """A machine with stand-ins for what only a kernel and a network can do."""
    node.write("proc/uptime", "100.5 1\n")
    node.write("proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable:    1000000 kB\n")
    node.write("sys/class/net/eth0/address", "52:54:00:aa:bb:01\n")
    node.write("sys/class/net/lo/address", "00:00:00:00:00:00\n")
    node.write("sys/block/nbd0/size", f"{len(IMAGE) // 512}\n")
    node.write("lease", LEASE)
    (node.root / "image").write_bytes(IMAGE)
    calls = f'echo "${{0##*/}} $*" >>"{node.root}/calls"'
    for name in ("modprobe", "umount", "mount", "udevadm", "veritysetup"):
        node.command(name, calls)
    node.command("nbd-client", f"{calls}\necho 'Negotiation: ..Error: Server said: Export unknown'; echo Exiting.\nexit 1")
    node.command("losetup", f'{calls}\n[ "$1" != -f ] || echo /dev/loop7')
    node.command("timeout", 'shift; exec "$@"')
    node.command("tftp", f"{calls}\nexit 1")
    node.command("sleep", "exec /bin/sleep 0.02")
    node.command(
        "wget",
        f"""{calls}
case $* in
*--spider*image) printf '  HTTP/1.1 200 OK\\r\\n  Content-Length: {len(IMAGE)}\\r\\n' >&2 ;;
*-O\\ -*image) cat "{node.root}/image" ;;
*) echo 'wget: server returned error: HTTP/1.1 404 Not Found' >&2; exit 1 ;;
esac""",
    )
    return node


def attempt(node: t.Any, line: str, check: bool = True) -> t.Any:
    node.write("proc/cmdline", line + "\n")
    return node.run(f'{NETWORK}\nltsp_read_arguments; ltsp_try "$LTSP_PREFIX/mnt"', "root", check=check)


def failures(node: t.Any) -> str:
    return str(node.read("run/ltsp/failures"))


def test_arguments(machine: t.Any) -> None:
    machine.write("proc/cmdline", LINE + " ltsp.ram=1 ltsp.overlay=50% ltsp.overlay=2g * ltsp.image=node/1\n")
    result = machine.run('ltsp_read_arguments; echo "$ltsp_uris $ltsp_ram $ltsp_overlay $ltsp_image $ltsp_boot_mac"', "root")
    assert result.stdout == "http://10.0.0.1/image,nbd://10.0.0.1:10810/node 1 2g node/1 52:54:00:aa:bb:01\n"


def test_http_is_copied_checked_and_mounted(machine: t.Any) -> None:
    attempt(machine, f"{LINE} ltsp.sha256={SHA256} ltsp.verity=abc ltsp.verity_offset=4096 ltsp.overlay=40%")
    calls = machine.read("calls").splitlines()
    assert f"losetup -r /dev/loop7 {machine.root}/run/ltsp/image/root.squashfs" in calls
    verity = [call for call in calls if call.startswith("veritysetup open")]
    assert verity == [
        "veritysetup open /dev/loop7 ltsp /dev/loop7 abc --hash-offset=4096",
        "veritysetup open /dev/loop7 ltsp /dev/loop7 abc --hash-offset=4096 --panic-on-corruption",
    ]
    assert f"mount -t tmpfs -o mode=0755,size=40% ltsp-rw {machine.root}/run/ltsp/rw" in calls
    assert calls[-1] == f"mount -o move {machine.root}/run/ltsp/lower {machine.root}/mnt/rofs"
    assert failures(machine) == ""


def test_an_image_with_another_digest_is_refused(machine: t.Any) -> None:
    assert attempt(machine, f"{LINE} ltsp.sha256={'0' * 64}", check=False).returncode
    assert f"refused: SHA-256 is {SHA256}" in failures(machine)
    assert "losetup -r" not in machine.read("calls")


def test_a_damaged_block_is_refused(machine: t.Any) -> None:
    machine.command("veritysetup", f'echo "veritysetup $*" >>"{machine.root}/calls"\n[ "$1" != status ] || echo "  status:      corrupted"')
    assert attempt(machine, f"{LINE} ltsp.verity=abc", check=False).returncode
    assert "refused: dm-verity found a damaged block" in failures(machine)
    assert "--panic-on-corruption" not in machine.read("calls")


def test_a_damaged_block_that_the_mount_reads_is_named(machine: t.Any) -> None:
    machine.command("veritysetup", '[ "$1" != status ] || echo "  status:      corrupted"')
    machine.command("mount", 'case $* in *squashfs*) echo "mount: mounting /dev/mapper/ltsp failed: Input/output error" >&2; exit 1 ;; esac')
    assert attempt(machine, f"{LINE} ltsp.verity=abc", check=False).returncode
    assert "refused: dm-verity found a damaged block" in failures(machine)
    assert "the image is damaged or ltsp.verity is of another one" in failures(machine)


def test_an_image_that_the_mount_refuses_without_dm_verity_has_the_words_of_mount(machine: t.Any) -> None:
    machine.command("mount", 'case $* in *squashfs*) echo "mount: mounting /dev/loop7 failed: Invalid argument" >&2; exit 1 ;; esac')
    assert attempt(machine, LINE, check=False).returncode
    assert "refused: mount: mounting /dev/loop7 failed: Invalid argument" in failures(machine)


def test_an_image_that_does_not_fit_is_not_even_asked_for(machine: t.Any) -> None:
    machine.write("proc/meminfo", "MemAvailable: 131072 kB\n")
    attempt(machine, LINE, check=False)
    assert "this node 128 MiB of free memory" in failures(machine)
    assert "wget -q -O -" not in machine.read("calls")


def test_a_copy_that_breaks_off_is_refused(machine: t.Any) -> None:
    (machine.root / "image").write_bytes(IMAGE[:-1])
    attempt(machine, LINE, check=False)
    assert f"{len(IMAGE) - 1} of {len(IMAGE)} bytes came" in failures(machine)


def test_a_copy_of_which_nothing_comes_any_longer_is_ended_and_said(machine: t.Any) -> None:
    machine.command(
        "wget",
        f"""case $* in
*--spider*image) echo '  Content-Length: {len(IMAGE)}' >&2 ;;
*image) printf begin; exec /bin/sleep 60 ;;
*) exit 1 ;;
esac""",
    )
    assert attempt(machine, LINE, check=False).returncode
    assert f"failed: 5 of {len(IMAGE)} bytes came: nothing for 30 s" in failures(machine)


def test_the_next_transport_is_tried_and_all_are_reported(machine: t.Any) -> None:
    machine.command("wget", "echo 'wget: server returned error: HTTP/1.1 404 Not Found' >&2; exit 1")
    assert attempt(machine, LINE + ",ftp://x", check=False).returncode
    assert failures(machine).splitlines() == [
        "tried:  http://10.0.0.1/image",
        "failed: server returned error: HTTP/1.1 404 Not Found",
        "do:     does the web server of http://10.0.0.1 run, and has it this file?",
        "tried:  nbd://10.0.0.1:10810/node",
        "failed: Server said: Export unknown",
        "do:     does nbd-server on 10.0.0.1 run, has it this export, and is this node's address allowed?",
        "tried:  ftp://x",
        "failed: unknown transport",
        "do:     ltsp.root takes http:// and nbd://",
    ]
    assert "nbd-client 10.0.0.1 10810 /dev/nbd0 -N node " in machine.read("calls")


def test_a_server_that_says_nothing_is_named_as_one(machine: t.Any) -> None:
    machine.command("wget", "echo 'Connecting to 10.0.0.1 (10.0.0.1:80)' >&2; exit 143")
    machine.command("nbd-client", "exit 143")
    assert attempt(machine, LINE, check=False).returncode
    assert [line for line in failures(machine).splitlines() if line.startswith("failed:")] == ["failed: no answer in 15 s", "failed: no answer in 30 s"]


def test_nbd(machine: t.Any) -> None:
    machine.command("nbd-client", "exit 0")
    attempt(machine, LINE.replace("http://10.0.0.1/image,", ""))
    assert f"mount -t squashfs -o ro /dev/nbd0 {machine.root}/run/ltsp/lower" in machine.read("calls")


def test_nbd_has_its_size_only_a_moment_after_the_client(machine: t.Any) -> None:
    size = machine.root / "sys/block/nbd0/size"
    machine.command("nbd-client", f"echo 0 >{size}")
    machine.command("sleep", f"echo {len(IMAGE) // 512} >{size}; exec /bin/sleep 0.02")
    machine.command("cat", f'[ "$1" != /dev/nbd0 ] || exec /bin/cat "{machine.root}/image"; exec /bin/cat "$@"')
    attempt(machine, f"{LINE.replace('http://10.0.0.1/image,', '')} ltsp.ram=1")
    assert failures(machine) == ""


def test_nbd_is_detached_after_the_copy_and_after_a_failure(machine: t.Any) -> None:
    machine.command("nbd-client", f'echo "nbd-client $*" >>"{machine.root}/calls"')
    machine.command("cat", f'[ "$1" != /dev/nbd0 ] || exec /bin/cat "{machine.root}/image"; exec /bin/cat "$@"')
    machine.write("sys/block/nbd0/pid", "1\n")
    line = LINE.replace("http://10.0.0.1/image,", "")
    attempt(machine, f"{line} ltsp.ram=1")
    assert machine.read("calls").splitlines().count("nbd-client -d /dev/nbd0") == 1
    assert machine.read("calls").splitlines()[-1].startswith("mount -o move")
    machine.command("mount", "exit 1")
    attempt(machine, line, check=False)
    assert machine.read("calls").splitlines()[-1] == "nbd-client -d /dev/nbd0"


def test_nbd_without_a_size(machine: t.Any) -> None:
    machine.command("nbd-client", f"echo 0 >{machine.root}/sys/block/nbd0/size")
    assert attempt(machine, LINE.replace("http://10.0.0.1/image,", ""), check=False).returncode
    assert "failed: the device has no size after 30 s" in failures(machine)


def test_no_address(machine: t.Any) -> None:
    machine.write("lease", "DEVICE='eth0'\nIPV4ADDR='0.0.0.0'\n")
    assert attempt(machine, LINE, check=False).returncode
    assert failures(machine).startswith("tried:  an address for 52:54:00:aa:bb:01\n")


def test_no_root(machine: t.Any) -> None:
    assert attempt(machine, "boot=ltsp", check=False).returncode
    assert "ltsp.root=URI[,URI...] is for the boot loader to give, with http:// and nbd://" in failures(machine)


def test_report_is_one_block(machine: t.Any) -> None:
    machine.write("run/ltsp/failures", "tried:  x\nfailed: y\ndo:     z\n")
    machine.run("ltsp_mac=m ltsp_image=node/1 HOSTNAME=node1 IPV4ADDR=10.0.0.11; ltsp_report 3", "root")
    assert machine.log.read_text() == (
        "<3>ltsp: ######## THIS NODE CANNOT BOOT (attempt 3) ########\n"
        "<3>ltsp: node:   node1, m, 10.0.0.11, image node/1\n"
        "<3>ltsp: tried:  x\n<3>ltsp: failed: y\n<3>ltsp: do:     z\n"
        "<3>ltsp: ######## next attempt in 10 seconds ########\n"
    )


def test_it_tries_until_it_works(machine: t.Any) -> None:
    machine.write("proc/cmdline", LINE + " ltsp.image=node/20261120T223000Z-0123456789ab ltsp.conf=old ltsp.conf=http://10.0.0.1/lts.conf\n")
    machine.command("sleep", f'echo "sleep $*" >>"{machine.root}/calls"; cp "{machine.root}/good" "{machine.root}/lease"')
    machine.write("good", LEASE)
    machine.write("lease", "")
    machine.write("run/ltsp/lts.conf.served", "")
    machine.run(f'{NETWORK}\nltsp_mount_root "$LTSP_PREFIX/mnt"', "root")
    assert "THIS NODE CANNOT BOOT (attempt 1)" in machine.log.read_text()
    assert machine.read("run/ltsp/env") == (
        "DEVICE='eth0'\nIPV4ADDR='10.0.0.11'\nHOSTNAME='node1'\nSERVER='10.0.0.1'\nLTSP_CLIENT_MAC='52:54:00:aa:bb:01'\n"
        "LTSP_IMAGE='node'\nLTSP_VERSION='20261120T223000Z-0123456789ab'\nLTSP_ROOT='http://10.0.0.1/image'\n"
        "LTSP_CONF='http://10.0.0.1/lts.conf'\n"
    )


def serve_conf(node: t.Any, text: str, transport: str) -> None:
    node.write("conf", text)
    if transport == "http":
        node.command("wget", f'[ "$*" = "-q -O {node.root}/run/ltsp/lts.conf.part http://10.0.0.1:8080/c/n.conf" ] && cp "{node.root}/conf" "$3"')
    else:
        node.command("wget", "exit 1")
        node.command("tftp", f'[ "$*" = "-g -r c/n.conf -l {node.root}/run/ltsp/lts.conf.part 10.0.0.1" ] && cp "{node.root}/conf" "$5"')


@pytest.mark.parametrize("transport", ["http", "tftp"])
def test_lts_conf(machine: t.Any, transport: str) -> None:
    serve_conf(machine, "[default]\nLTSP_NBD_TO_RAM = True\nHOSTNAME = other\n", transport)
    machine.command("sort", 'exec busybox sort "$@"')  # as in the initramfs
    machine.command("nbd-client", "exit 0")
    machine.write("sys/block/nbd0/size", "32\n")
    attempt(machine, "boot=ltsp BOOTIF=01-52-54-00-aa-bb-01 ltsp.root=nbd://10.0.0.1/n ltsp.conf=http://10.0.0.1:8080/c/n.conf", check=False)
    assert machine.read("run/ltsp/lts.conf.served").startswith("[default]")
    assert (machine.root / "run/ltsp/lts.conf.served").stat().st_mode & 0o077 == 0
    assert f"0 of {len(IMAGE)} bytes came" in failures(machine), "it was to be copied, and there is no /dev/nbd0 here"


def test_lts_conf_that_does_not_come_is_said(machine: t.Any) -> None:
    machine.command("sleep", f'read -r up rest <"{machine.root}/proc/uptime"; echo "$((${{up%.*}} + 20)).0 1" >"{machine.root}/proc/uptime"')
    machine.run("ltsp_conf=http://10.0.0.1/x; ltsp_wait_for_conf", "root")
    assert machine.log.read_text().count("waiting for http://10.0.0.1/x") == 1
    assert "<3>ltsp: NO LTS.CONF: http://10.0.0.1/x did not come within 60 s" in machine.log.read_text()


def test_each_attempt_has_the_arguments_of_the_command_line_again(machine: t.Any) -> None:
    serve_conf(machine, "[default]\nLTSP_NBD_TO_RAM = True\n", "http")
    machine.command("nbd-client", "exit 0")
    machine.write("proc/meminfo", "MemAvailable: 131072 kB\n")
    machine.write("proc/cmdline", LINE.replace("http://10.0.0.1/image,", "") + " ltsp.conf=http://10.0.0.1:8080/c/n.conf\n")
    machine.write("sys/class/net/eth1/address", "52:54:00:aa:bb:02\n")
    machine.write("lease", LEASE.replace("eth0", "eth1"))
    machine.write("none", "DEVICE=''\n")
    machine.write("other-conf", "[default]\n")
    script = f"""{NETWORK}
cd "$LTSP_PREFIX"
ltsp_read_arguments
rm proc/cmdline
ltsp_try mnt; echo "$? $ltsp_mac"
mv lease other-lease; mv none lease; ltsp_try mnt; grep tried run/ltsp/failures
mv other-lease lease; mv other-conf conf; ltsp_try mnt; echo "$? $LTSP_ROOT"
"""
    result = machine.run(script, "root")
    assert result.stdout.splitlines() == ["1 52:54:00:aa:bb:02", "tried:  an address for 52:54:00:aa:bb:01", "0 nbd://10.0.0.1:10810/node"]


# --- a transport that exists only here


@pytest.mark.usefixtures("other_transport")
def test_a_file_is_a_transport(machine: t.Any) -> None:
    attempt(machine, "boot=ltsp ltsp.root=test://10.0.0.9/x")
    calls = machine.read("calls").splitlines()
    assert "attach test://10.0.0.9/x" in calls
    assert f"mount -t squashfs -o ro /dev/test0 {machine.root}/run/ltsp/lower" in calls
    assert "detach" not in calls


@pytest.mark.usefixtures("other_transport")
def test_a_transport_is_detached_after_a_failure(machine: t.Any) -> None:
    machine.command("mount", "exit 1")
    attempt(machine, "boot=ltsp ltsp.root=test://10.0.0.9/x", check=False)
    assert machine.read("calls").splitlines()[-1] == "detach"


@pytest.mark.usefixtures("other_transport")
@pytest.mark.parametrize("uri", ["tests://x", "test:/x", "test", "es://x", "*://x", "://x", "test/../nbd://x"])
def test_an_unknown_scheme_is_refused_with_those_that_are_known(machine: t.Any, uri: str) -> None:
    attempt(machine, f"boot=ltsp ltsp.root={uri}", check=False)
    assert failures(machine).splitlines() == [f"tried:  {uri}", "failed: unknown transport", "do:     ltsp.root takes http:// and nbd:// and test://"]
