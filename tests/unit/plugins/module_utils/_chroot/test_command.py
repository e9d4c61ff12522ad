# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot import command
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.command import check_environment
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError


def test_check_environment():
    assert check_environment({"A_1": 5, "b": "x y"}) == {"A_1": "5", "b": "x y"}
    for name in ("A B", "1A", "", "A=B", "A-B", "A\n"):
        with pytest.raises(ChrootError, match="not a name of a variable"):
            check_environment({name: ""})


def test_proxies_are_all_that_is_inherited():
    assert command.proxies({"http_proxy": "a", "NO_PROXY": "b", "PATH": "c", "LD_PRELOAD": "d"}) == {"http_proxy": "a", "NO_PROXY": "b"}


@pytest.mark.parametrize(("parent", "expected"), [(os.getpid(), "went on\n"), (1, "")], ids=["there", "gone"])
def test_the_guard_notices_that_the_parent_is_gone(parent, expected):
    ran = subprocess.run(["sh", "-c", command._GUARD, str(parent), "echo", "went on"], stdout=subprocess.PIPE, text=True, check=False)
    assert ran.stdout == expected


def test_the_scripts_are_valid():
    subprocess.run(["sh", "-n", "-c", command._PREPARE], check=True)


@pytest.fixture
def chain(monkeypatch):
    """Record what would be run, and do the part that needs no privileges."""
    calls = []

    def run_confined(argv, *, namespaces, environment, data=None, merge=False):
        inner = argv[argv.index(command._INNER) :]
        ran = subprocess.run(["sh", "-c", inner[0], "sh", *inner[1:]], input=data, capture_output=True, env=environment, check=False)
        calls.append((argv, sorted(entry for entry in os.listdir(f"{argv[4]}/usr/sbin"))))
        return command.Result(ran.returncode, ran.stdout, ran.stderr)

    monkeypatch.setattr(command, "run_confined", run_confined)
    return calls


def test_run_in_tree_gives_environment_directory_and_input(tree, chain, tmp_path):
    value = "it's $HOME; `id`\nend"
    script = 'pwd; printf %s "$VALUE"; env | grep -c LTSP_; echo $SYSTEMD_OFFLINE $DEBIAN_FRONTEND $LC_ALL; cat'
    result = command.run_in_tree(str(tree), ["sh", "-c", script], chdir=str(tmp_path), environment={"VALUE": value, "LC_ALL": "C"}, data=b"in")
    assert result.stdout.decode() == f"{tmp_path}\n{value}0\n1 noninteractive C\nin"


def test_run_in_tree_reports_a_missing_command(tree, chain):
    assert command.run_in_tree(str(tree), ["no-such-command"]).rc == 127
    assert command.run_in_tree(str(tree), ["true"], chdir="/no/such/directory").rc != 0


def test_run_in_tree_leaves_no_mount_points(tree, chain):
    (tree / "etc/resolv.conf").unlink()
    command.run_in_tree(str(tree), ["true"])
    assert chain[0][1] == ["policy-rc.d"]
    assert os.listdir(tree / "usr/sbin") == []
    assert os.listdir(tree / "etc") == [".hidden"]


def test_run_in_tree_mounts_over_what_the_link_means_inside(tree, chain):
    (tree / "etc/resolv.conf").unlink()
    (tree / "etc/resolv.conf").symlink_to("/run/systemd/resolve/stub-resolv.conf")
    command.run_in_tree(str(tree), ["true"])
    assert f"{tree}/run/systemd/resolve/stub-resolv.conf" in chain[0][0]
    assert os.listdir(tree / "run") == []


def test_files_of_the_tree_are_kept_and_those_of_a_killed_run_removed(tree):
    policy, empty, own = (tree / "usr/sbin/policy-rc.d", tree / "etc/resolv.conf", tree / "etc/own")
    os.close(os.open(policy, os.O_CREAT, 0))
    empty.write_text("")
    own.write_text("text")
    own.chmod(0)
    with command._in_use(str(tree), [str(policy), str(empty), str(own)]):
        pass
    assert (policy.exists(), empty.exists(), own.exists()) == (False, True, True)


def test_mount_points_stay_while_another_command_needs_them(tree):
    policy = tree / "usr/sbin/policy-rc.d"
    with command._in_use(str(tree), [str(policy)]):
        with command._in_use(str(tree), [str(policy)]):
            pass
        assert policy.exists()
        with pytest.raises(ChrootError, match="a command runs in"), command.claim(str(tree)):
            pass
    assert not policy.exists()
    with command.claim(str(tree)):
        pass


def test_tools_that_are_missing_are_named(monkeypatch):
    monkeypatch.setattr(command, "_HOST_PATH", "/nowhere")
    with pytest.raises(ChrootError, match="setpriv is missing on this host: install the package util-linux"):
        command.run_confined(["true"], namespaces=[], environment={})
