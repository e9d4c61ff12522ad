# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.filter import kubernetes_node as plugin

SETTINGS: dict[str, t.Any] = yaml.safe_load(plugin.EXAMPLES)[0]["vars"]["settings"]


def test_the_example_is_right() -> None:
    packages = plugin.kubernetes_node(SETTINGS, control_plane="v1.36.1")["packages"]
    assert packages[0] == "containerd"
    assert packages[-6:] == ["kubelet=1.36.*", "kubeadm=1.36.*", "kubectl=1.36.*", "cri-tools", "kubernetes-cni", "apparmor"]


def test_a_problem_is_an_error_of_the_filter() -> None:
    with pytest.raises(AnsibleFilterError, match=r"kubernetes_node: kubernetes_node_version: kubelet 1\.36 is newer"):
        plugin.kubernetes_node(SETTINGS, control_plane="v1.35.0")
