# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that have a new name, and are read by their former one for one more release."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Container

RENAMED: dict[str, str] = {
    "isc_dhcp_authoritative": "dhcp_authoritative",
    "isc_dhcp_default_lease_time": "dhcp_default_lease_time",
    "isc_dhcp_filenames": "dhcp_filenames",
    "isc_dhcp_hosts": "dhcp_hosts",
    "isc_dhcp_ignore_client_uids": "dhcp_ignore_client_identifiers",
    "isc_dhcp_interfaces": "dhcp_interfaces",
    "isc_dhcp_max_lease_time": "dhcp_max_lease_time",
    "isc_dhcp_next_server": "dhcp_next_server",
    "isc_dhcp_nodes": "dhcp_nodes",
    "isc_dhcp_option_definitions": "dhcp_option_definitions",
    "isc_dhcp_options": "dhcp_options",
    "isc_dhcp_shared_networks": "dhcp_networks",
    "isc_dhcp_subnets": "dhcp_subnets",
    "kubernetes_deploy_affinity": "kubernetes_server_affinity",
    "kubernetes_deploy_context": "kubernetes_server_context",
    "kubernetes_deploy_directory": "kubernetes_server_directory",
    "kubernetes_deploy_exposure": "kubernetes_server_exposure",
    "kubernetes_deploy_external_ips": "kubernetes_server_external_ips",
    "kubernetes_deploy_grace_period": "kubernetes_server_grace_period",
    "kubernetes_deploy_image": "kubernetes_server_image",
    "kubernetes_deploy_kubeconfig": "kubernetes_server_kubeconfig",
    "kubernetes_deploy_labels": "kubernetes_server_labels",
    "kubernetes_deploy_load_balancer_class": "kubernetes_server_load_balancer_class",
    "kubernetes_deploy_load_balancer_ip": "kubernetes_server_load_balancer_ip",
    "kubernetes_deploy_name": "kubernetes_server_name",
    "kubernetes_deploy_namespace": "kubernetes_server_namespace",
    "kubernetes_deploy_node_selector": "kubernetes_server_node_selector",
    "kubernetes_deploy_pod_annotations": "kubernetes_server_pod_annotations",
    "kubernetes_deploy_pull_secrets": "kubernetes_server_pull_secrets",
    "kubernetes_deploy_replicas": "kubernetes_server_replicas",
    "kubernetes_deploy_resources": "kubernetes_server_resources",
    "kubernetes_deploy_rollout_timeout": "kubernetes_server_rollout_timeout",
    "kubernetes_deploy_service_annotations": "kubernetes_server_service_annotations",
    "kubernetes_deploy_state": "kubernetes_server_state",
    "kubernetes_deploy_store": "ltsp_farm_store",
    "kubernetes_deploy_tolerations": "kubernetes_server_tolerations",
    "kubernetes_join_store": "ltsp_farm_store",
    "ltsp_container_store": "ltsp_farm_store",
    "ltsp_image_store": "ltsp_farm_store",
    "ltsp_server_store": "ltsp_farm_store",
}
"""Former name to new name. The default of the new one reads the former one."""

REMOVAL = "0.5.0"
"""The release that no longer reads the former names. Plugins write it out, because ansible-test wants a literal; their tests compare."""


def former_names(variables: Container[str]) -> list[tuple[str, str]]:
    """Return the former names among `variables`, each with its new one."""
    return [(former, new) for former, new in RENAMED.items() if former in variables]
