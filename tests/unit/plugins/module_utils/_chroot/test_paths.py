# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError, check_root, matches, resolve


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
