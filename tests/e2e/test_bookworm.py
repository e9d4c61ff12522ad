# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node of a running lab has an image of Debian 12, which was built and given to it by tests/e2e/article.yml."""

from __future__ import annotations

import typing as t

import pytest

from ltsp_lab.remote import Remote, reboot

if t.TYPE_CHECKING:
    import pathlib


@pytest.fixture(scope="module")
def node(lab: pathlib.Path) -> Remote:
    node = Remote(lab, "node2")
    if node.environment()["LTSP_IMAGE"] != "article":
        reboot([node])
    return node


def test_it_is_debian_12(node: Remote) -> None:
    assert node.environment()["LTSP_IMAGE"] == "article"
    assert node.run(". /etc/os-release && echo $VERSION_CODENAME") == "bookworm"


def test_it_is_the_node_that_it_was(node: Remote) -> None:
    assert node.run("hostname") == node.name
    assert node.environment()["LTSP_ROOT"].startswith("http://")
    assert node.run("cat /etc/e2e-preinit") == node.name
    assert node.run("findmnt --noheadings --output FSTYPE /mnt") == "tmpfs"


def test_nothing_failed(node: Remote) -> None:
    assert node.state() == ("running", "")
    assert node.run("cat /etc/e2e-rcfile") == f"{node.name}-of-article"
