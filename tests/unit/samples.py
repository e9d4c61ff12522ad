# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions that tests of several files begin with. Each test changes the values that it is about."""

from __future__ import annotations

import typing as t

NODE: t.Mapping[str, t.Any] = {
    "name": "node1",
    "macs": ["52:54:00:77:00:01"],
    "ip": "10.77.0.11",
    "server_address": "10.77.0.1",
    "image": "node",
    "image_version": None,
    "transports": ["http", "nbd"],
    "ram": True,
    "overlay": "50%",
    "kernel_args": [],
}
"""A node as the filter ltsp_nodes describes it, as far as boot loaders read it."""

BOOT_SERVER: t.Mapping[str, t.Any] = {
    "namespace": "ltsp-server",
    "name": "ltsp",
    "labels": {},
    "exposure": "host_network",
    "image": "registry.example.org/ltsp@sha256:" + "0123456789abcdef" * 4,
    "servers": {"kube-1": "10.9.0.3", "kube-2": "10.9.0.4"},
    "subnets": ["10.9.0.0/16"],
    "ports": {"tftp": 69, "http": 80, "nbd": 10809},
    "replicas": 2,
    "node_selector": {},
    "affinity": {},
    "tolerations": [],
    "resources": {},
    "pull_secrets": [],
    "pod_annotations": {},
    "service_annotations": {},
    "external_ips": [],
    "load_balancer_ip": "",
    "load_balancer_class": "",
    "grace_period": 120,
    "rollout_timeout": 300,
}
"""The settings of a boot server on Kubernetes, as its role gives them."""
