# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_config_maps
version_added: 0.3.0
short_description: Make the ConfigMaps of a boot server on Kubernetes
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Returns the ConfigMaps with the files that say what each node boots, and with lts.conf.
  - "The files of a node are in one of 64 ConfigMaps, which its name chooses: a change of one node changes one object. Those without a node are not there."
  - The ConfigMap C(NAME-common) has the files for unknown machines, and those of O(files).
  - Advice about lts.conf is a warning.

positional: nodes
extends_documentation_fragment: serverfarm.ltsp.boot_server
options:
  nodes:
    description: Descriptions of all nodes, as the filter P(serverfarm.ltsp.ltsp_nodes#filter) makes them.
    type: list
    elements: dict
    required: true
  default_image:
    description: Image of unknown machines. If empty, they do not boot.
    type: str
    default: ""
  default_kernel_args:
    description: More kernel arguments for unknown machines.
    type: list
    elements: str
    default: []
  lts_conf:
    description: Sections of lts.conf, as the module M(serverfarm.ltsp.lts_conf) takes them, without those of nodes.
    type: list
    elements: dict
    default: []
  own_parameters:
    description: Globs of parameters of your own, which are not warned about as unknown.
    type: list
    elements: str
    default: []
  images:
    description:
      - What is in the container image, a list of dictionaries with C(name), C(current) and C(versions), the names of the versions.
      - If given, it is an error when a node of these servers, or an unknown machine, is to boot an image or a version that is not among them.
    type: list
    elements: dict
  files:
    description: Further files, name to text.
    type: dict
    default: {}
"""

EXAMPLES = r"""
# The settings are those of the filter serverfarm.ltsp.kubernetes_boot_server.
- name: Show the files of a farm
  ansible.builtin.debug:
    msg: "{{ settings | serverfarm.ltsp.kubernetes_config_maps(nodes, default_image='node') }}"
  vars:
    nodes: "{{ hostvars | serverfarm.ltsp.ltsp_nodes(groups) }}"
"""

RETURN = r"""
_value:
  description: The ConfigMaps.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.serverfarm.ltsp.plugins.module_utils._boot.description import BootError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import LtsConfError
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._farm import NODE_DEFAULTS
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.config_maps import config_maps, refuse_missing_images
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import Manifest, ServerError, read_settings

display = Display()


def kubernetes_config_maps(
    settings: t.Any,
    nodes: t.Any,
    default_image: str = "",
    default_kernel_args: t.Any = (),
    lts_conf: t.Any = (),
    own_parameters: t.Any = (),
    images: t.Any = None,
    files: t.Any = None,
) -> list[Manifest]:
    """Make the ConfigMaps of a boot server on Kubernetes."""
    default = None
    if default_image:
        # Without a server: the one that the boot loader came from.
        default = {
            **NODE_DEFAULTS,
            "image": default_image,
            "server_address": None,
            "kernel_args": default_kernel_args,
        }
    try:
        checked = read_settings(settings)
        if images:
            refuse_missing_images(checked, nodes, default, images)
        maps = config_maps(checked, nodes, default, lts_conf, own_parameters, files)
    except (BootError, ServerError, LtsConfError) as error:
        raise AnsibleFilterError(f"kubernetes_config_maps: {error}") from error
    if maps.advice:
        display.warning(maps.advice)
    return maps.manifests


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return them by name."""
        return {"kubernetes_config_maps": kubernetes_config_maps}
