# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils import _chroot_command
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot_command import ChrootError, check_environment, check_root, matches, resolve


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    for name in ("dev", "proc", "run", "sys", "etc", "usr/lib/x86_64-linux-gnu", "usr/sbin", "var"):
        (root / name).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "sbin").symlink_to("/usr/sbin")
    (root / "var/run").symlink_to("/run")
    (root / "up").symlink_to("../../../../etc/passwd")
    (root / "loop").symlink_to("/loop")
    (root / "dangling").symlink_to("/not/there")
    (root / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    (root / "etc/.hidden").touch()
    (root / "usr/lib/x86_64-linux-gnu/libc.so.6").touch()
    return root


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ""),
        ("/etc/resolv.conf", "/etc/resolv.conf"),
        ("/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("/sbin/policy-rc.d", "/usr/sbin/policy-rc.d"),
        ("/var/run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/stub-resolv.conf"),
        ("/up", "/etc/passwd"),
        ("/../../etc/./resolv.conf", "/etc/resolv.conf"),
        ("/var/run/../etc", "/etc"),
        ("/dangling/file", "/not/there/file"),
    ],
)
def test_resolve_stays_inside(tree, path, expected):
    assert resolve(str(tree), path).rstrip("/") == f"{tree}{expected}"


def test_resolve_ends_a_loop(tree):
    with pytest.raises(ChrootError, match="loop"):
        resolve(str(tree), "/loop/file")


@pytest.mark.parametrize(
    ("pattern", "directory", "expected"),
    [
        ("/etc/resolv.conf", "/", True),
        ("resolv.conf", "/etc", True),
        ("../sbin", "/lib", True),  # /lib is a link to /usr/lib
        ("../etc", "/lib", False),
        ("/etc/passwd", "/", False),  # the host has one
        ("/up", "/", True),  # the link itself is there
        ("/up/*", "/", False),
        ("/dangling", "/", True),
        ("/lib/*/libc.so.?", "/", True),
        ("/lib/*/libm.so.?", "/", False),
        ("*.conf", "/etc", True),
        ("*hidden", "/etc", False),
        (".h*", "/etc", True),
        ("/etc/resolv.conf/*", "/", False),
        ("/[e]tc", "/", True),
    ],
)
def test_matches(tree, pattern, directory, expected):
    assert matches(str(tree), pattern, directory) is expected


def test_check_root_gives_the_real_path(tree, tmp_path):
    (tmp_path / "link").symlink_to("tree")
    assert check_root(f"{tmp_path}/link/") == str(tree)


@pytest.mark.parametrize("root", ["tree", "./tree", "", "/", "//", "/etc/.."])
def test_check_root_refuses_this_host_and_relative_paths(root):
    with pytest.raises(ChrootError, match=r"not an absolute path|root of this host"):
        check_root(root)


def test_check_root_refuses_what_is_no_tree(tree):
    (tree / "run").rmdir()
    (tree / "run").symlink_to("/run")
    with pytest.raises(ChrootError, match=f"{tree}/run is not a directory"):
        check_root(str(tree))


def test_check_environment():
    assert check_environment({"A_1": 5, "b": "x y"}) == {"A_1": "5", "b": "x y"}
    for name in ("A B", "1A", "", "A=B", "A-B", "A\n"):
        with pytest.raises(ChrootError, match="not a name of a variable"):
            check_environment({name: ""})


def test_proxies_are_all_that_is_inherited():
    assert _chroot_command.proxies({"http_proxy": "a", "NO_PROXY": "b", "PATH": "c", "LD_PRELOAD": "d"}) == {"http_proxy": "a", "NO_PROXY": "b"}


@pytest.mark.parametrize(("parent", "expected"), [(os.getpid(), "went on\n"), (1, "")], ids=["there", "gone"])
def test_the_guard_notices_that_the_parent_is_gone(parent, expected):
    ran = subprocess.run(["sh", "-c", _chroot_command._GUARD, str(parent), "echo", "went on"], stdout=subprocess.PIPE, text=True, check=False)
    assert ran.stdout == expected


def test_the_scripts_are_valid():
    subprocess.run(["sh", "-n", "-c", _chroot_command._PREPARE], check=True)


@pytest.fixture
def chain(monkeypatch):
    """Record what would be run, and do the part that needs no privileges."""
    calls = []

    def run_confined(argv, *, namespaces, environment, data=None, merge=False):
        inner = argv[argv.index(_chroot_command._INNER) :]
        ran = subprocess.run(["sh", "-c", inner[0], "sh", *inner[1:]], input=data, capture_output=True, env=environment, check=False)
        calls.append((argv, sorted(entry for entry in os.listdir(f"{argv[4]}/usr/sbin"))))
        return _chroot_command.Result(ran.returncode, ran.stdout, ran.stderr)

    monkeypatch.setattr(_chroot_command, "run_confined", run_confined)
    return calls


def test_run_in_tree_gives_environment_directory_and_input(tree, chain, tmp_path):
    value = "it's $HOME; `id`\nend"
    script = 'pwd; printf %s "$VALUE"; env | grep -c LTSP_; echo $SYSTEMD_OFFLINE $DEBIAN_FRONTEND $LC_ALL; cat'
    result = _chroot_command.run_in_tree(str(tree), ["sh", "-c", script], chdir=str(tmp_path), environment={"VALUE": value, "LC_ALL": "C"}, data=b"in")
    assert result.stdout.decode() == f"{tmp_path}\n{value}0\n1 noninteractive C\nin"


def test_run_in_tree_reports_a_missing_command(tree, chain):
    assert _chroot_command.run_in_tree(str(tree), ["no-such-command"]).rc == 127
    assert _chroot_command.run_in_tree(str(tree), ["true"], chdir="/no/such/directory").rc != 0


def test_run_in_tree_leaves_no_mount_points(tree, chain):
    (tree / "etc/resolv.conf").unlink()
    _chroot_command.run_in_tree(str(tree), ["true"])
    assert chain[0][1] == ["policy-rc.d"]
    assert os.listdir(tree / "usr/sbin") == []
    assert os.listdir(tree / "etc") == [".hidden"]


def test_run_in_tree_mounts_over_what_the_link_means_inside(tree, chain):
    (tree / "etc/resolv.conf").unlink()
    (tree / "etc/resolv.conf").symlink_to("/run/systemd/resolve/stub-resolv.conf")
    _chroot_command.run_in_tree(str(tree), ["true"])
    assert f"{tree}/run/systemd/resolve/stub-resolv.conf" in chain[0][0]
    assert os.listdir(tree / "run") == []


def test_files_of_the_tree_are_kept_and_those_of_a_killed_run_removed(tree):
    policy, empty, own = (tree / "usr/sbin/policy-rc.d", tree / "etc/resolv.conf", tree / "etc/own")
    os.close(os.open(policy, os.O_CREAT, 0))
    empty.write_text("")
    own.write_text("text")
    own.chmod(0)
    with _chroot_command._in_use(str(tree), [str(policy), str(empty), str(own)]):
        pass
    assert (policy.exists(), empty.exists(), own.exists()) == (False, True, True)


def test_mount_points_stay_while_another_command_needs_them(tree):
    policy = tree / "usr/sbin/policy-rc.d"
    with _chroot_command._in_use(str(tree), [str(policy)]):
        with _chroot_command._in_use(str(tree), [str(policy)]):
            pass
        assert policy.exists()
        with pytest.raises(ChrootError, match="a command runs in"), _chroot_command.claim(str(tree)):
            pass
    assert not policy.exists()
    with _chroot_command.claim(str(tree)):
        pass


def test_signals_unwind():
    script = """
import os, signal, sys
from ansible_collections.serverfarm.ltsp.plugins.module_utils import _chroot_command
_chroot_command.unwind_on_signals()
try:
    os.kill(os.getpid(), int(sys.argv[1]))
finally:
    print("unwound")
"""
    for number in (signal.SIGTERM, signal.SIGHUP):
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
        ran = subprocess.run([sys.executable, "-c", script, str(int(number))], stdout=subprocess.PIPE, text=True, check=False, env=environment)
        assert (ran.returncode, ran.stdout) == (128 + number, "unwound\n")


def test_tools_that_are_missing_are_named(monkeypatch):
    monkeypatch.setattr(_chroot_command, "_HOST_PATH", "/nowhere")
    with pytest.raises(ChrootError, match="setpriv is missing on this host: install the package util-linux"):
        _chroot_command.run_confined(["true"], namespaces=[], environment={})
