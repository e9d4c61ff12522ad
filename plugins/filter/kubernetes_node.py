# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_node
version_added: 0.2.0
short_description: Check what makes an image a Kubernetes node
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Turns the variables of the role P(serverfarm.ltsp.kubernetes_node#role) into checked data for the role.
  - What cannot work is an error that names every problem with its variable, value and remedy. That is kubelet with a container engine, a cgroup version or a
    control plane that it does not work with, and files that are not on the controller.
positional: nodes, runtime, control_plane, kubelet
options:
  _input:
    description: The variables of the role without the prefix C(kubernetes_node_), C(image), the name of the image, and C(runtime), the directory of O(runtime).
    type: dict
    required: true
  nodes:
    description: Nodes as P(serverfarm.ltsp.ltsp_nodes#filter) describes them. Those with this image are looked at.
    type: list
    elements: dict
    default: []
  runtime:
    description: Files of the image as M(ansible.builtin.find) lists them, below the directory C(runtime) of the variables.
    type: list
    elements: dict
    default: []
  control_plane:
    description: Version of the control plane as it says it itself. Without one it is not checked.
    type: str
    default: ""
  kubelet:
    description: Version of the directory's kubelet as it says it itself. Without one it is not checked.
    type: str
    default: ""
seealso:
  - plugin: serverfarm.ltsp.ltsp_nodes
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the packages, those of Kubernetes pinned
  ansible.builtin.debug:
    msg: "{{ (settings | serverfarm.ltsp.kubernetes_node(control_plane='v1.36.1')).packages }}"
    # -> [containerd, ..., kubelet=1.36.*, kubeadm=1.36.*, kubectl=1.36.*, cri-tools, kubernetes-cni, apparmor]
  vars:
    settings:
      version: "1.36"
      source: repository
      directory: ""
      engine: containerd
      engine_source: distribution
      suite: trixie
      docker_options: {}
      cri_dockerd: ""
      images: []
      tmpfs: 40%
      apparmor: true
      apparmor_disabled: []
      image: node
      runtime: /usr/share/runtime
"""

RETURN = r"""
_value:
  description:
    - C(engine), C(shim) (whether cri-dockerd stands between it and kubelet), C(cri_socket), C(docker_options), C(tmpfs) and C(apparmor), for the role's
      templates.
    - C(packages), C(files), C(builds) and C(commands), as the role P(serverfarm.ltsp.ltsp_image#role) takes them.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.node import NodeError, Plan, plan_node


def kubernetes_node(settings: t.Any, nodes: t.Any = (), runtime: t.Any = (), control_plane: str = "", kubelet: str = "") -> Plan:
    """Check what makes an image a Kubernetes node."""
    try:
        return plan_node(settings, nodes, runtime, control_plane, kubelet)
    except NodeError as error:
        raise AnsibleFilterError(f"kubernetes_node: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_node": kubernetes_node}
