# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of the nodes, made from the inventory for all roles."""

from __future__ import annotations

import contextlib
import hashlib
import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.versions import CURRENT, IMAGE_NAME, IMAGE_VERSION
from ansible_collections.serverfarm.ltsp.plugins.module_utils._transports import TRANSPORTS
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._farm import NODE_DEFAULTS, SERVER_ADDRESS
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import (
    HOST_NAME,
    address,
    boolean,
    mac_addresses,
    mapping,
    no_repetition,
    summary,
    text,
)
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._variables import HostVariables, InventoryError

_OVERLAY = re.compile(r"(100|[1-9][0-9]?)%|[1-9][0-9]*[kmg]?", re.IGNORECASE | re.ASCII)
_KERNEL_ARGUMENT = re.compile(r"[A-Za-z0-9_.,:=/+@%~!-]+")

_LABEL_NAME = re.compile(r"(?=.{1,63}\Z)[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?", re.ASCII)
_LABEL_PREFIX = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# The inventory may not put a node into the control plane, and the kubelet sets its own labels back.
_FOREIGN_LABELS = frozenset(
    ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master", "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch")
)
_KUBELET_ARGUMENT = re.compile(r"[a-z][a-z0-9-]*")
# kubeadm puts the arguments into one line of a file that systemd splits at blanks.
_KUBELET_VALUE = re.compile(r"[!#%&(-\[\]^_a-~]*")
_FOREIGN_KUBELET_ARGUMENTS = {
    **dict.fromkeys(("node-labels", "register-with-taints"), "use ltsp_node_kubernetes_labels and ltsp_node_kubernetes_taints"),
    **dict.fromkeys(("bootstrap-kubeconfig", "cert-dir", "config", "hostname-override", "kubeconfig"), "remove it, kubeadm sets it"),
    **dict.fromkeys(("container-runtime-endpoint", "pod-infra-container-image"), "remove it, it follows from the image"),
}


class Taint(t.TypedDict):
    """A taint of a Kubernetes Node."""

    key: str
    value: str
    effect: str


class Node(t.TypedDict):
    """The description of one node."""

    name: str
    macs: list[str]
    ip: str
    image: str
    image_version: str | None
    server: str
    server_address: str
    transports: list[str]
    ram: bool
    overlay: str
    kernel_args: list[str]
    lts_conf: dict[str, t.Any]
    kubernetes_name: str
    kubernetes_labels: dict[str, str]
    kubernetes_taints: list[Taint]
    kubelet_args: dict[str, str]


def describe_nodes(hostvars: Mapping[str, t.Any], nodes: Iterable[str], servers: Iterable[str], control_plane: Iterable[str] = ()) -> list[Node]:
    """Describe the hosts `nodes`, each served by one of the hosts `servers`, sorted by name; none may have a name of `control_plane`."""
    names = sorted(nodes)
    if not names:
        return []
    problems: list[str] = []
    addresses: dict[str, str] = {}
    for server in sorted(servers):
        with _noted(problems):
            variables = HostVariables(server, hostvars[server])
            addresses[server] = variables.first(*SERVER_ADDRESS, address)
    if not addresses and not problems:
        problems.append("no host is in the group of the boot servers: put at least one into ltsp_servers")
    described: list[Node] = []
    if not problems:
        taken = {("address", ip): f"boot server {server}" for server, ip in addresses.items()}
        taken.update({("name", host_name(member)): f"{member} of the group kube_control_plane" for member in control_plane})
        for name in names:
            with _noted(problems):
                node = _describe(name, HostVariables(name, hostvars[name]), addresses)
                _claim(node, taken)
                described.append(node)
    if problems:
        raise InventoryError(summary(problems))
    return described


def host_name(name: str) -> str:
    """Return the host name of the machine `name` of the inventory, which is also its name in Kubernetes."""
    return name.split(".")[0].lower()


def choose_server(node: str, servers: Iterable[str]) -> str:
    """Spread nodes over servers so that a server that comes or goes moves only its own share (rendezvous hashing)."""
    return max(servers, key=lambda server: hashlib.sha256(f"{node}\n{server}".encode()).digest())


@contextlib.contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Collect the problem of one host and go on with the next one, so that one run shows all of them."""
    try:
        yield
    except InventoryError as error:
        problems.append(str(error))


def _describe(name: str, variables: HostVariables, addresses: Mapping[str, str]) -> Node:
    if not HOST_NAME.fullmatch(name):
        raise InventoryError(f"{name}: a node's inventory name is its host name: use letters, digits, hyphens and dots only")
    server = variables.optional("ltsp_node_server", "", lambda value: _one_of(value, addresses)) or choose_server(name, addresses)
    return Node(
        name=str(name),
        macs=variables.required("ltsp_node_macs", mac_addresses),
        ip=variables.first("ltsp_node_ip", "ansible_host", address),
        image=variables.optional("ltsp_node_image", NODE_DEFAULTS["image"], _image),
        image_version=variables.optional("ltsp_node_image_version", NODE_DEFAULTS["image_version"], _version),
        server=server,
        server_address=addresses[server],
        transports=variables.optional("ltsp_node_transports", list(NODE_DEFAULTS["transports"]), _transports),
        ram=variables.optional("ltsp_node_ram", NODE_DEFAULTS["ram"], boolean),
        overlay=variables.optional("ltsp_node_overlay", NODE_DEFAULTS["overlay"], _overlay),
        kernel_args=variables.optional("ltsp_node_kernel_args", [], _kernel_arguments),
        lts_conf=variables.optional("ltsp_node_lts_conf", {}, _parameters),
        kubernetes_name=host_name(name),
        kubernetes_labels=variables.optional("ltsp_node_kubernetes_labels", {}, _labels),
        kubernetes_taints=variables.optional("ltsp_node_kubernetes_taints", [], _taints),
        kubelet_args=variables.optional("ltsp_node_kubelet_args", {}, _kubelet_arguments),
    )


def _claim(node: Node, taken: dict[tuple[str, str], str]) -> None:
    """Refuse a host name (without the domain), IP address or MAC address that another machine has."""
    owner = f"node {node['name']}"
    claims = [("name", "host name", node["kubernetes_name"], "the name up to the first dot"), ("address", "IP address", node["ip"], "ltsp_node_ip")]
    claims += [("mac", "MAC address", mac, "ltsp_node_macs") for mac in node["macs"]]
    for kind, title, value, variable in claims:
        other = taken.setdefault((kind, value), owner)
        if other != owner:
            raise InventoryError(f"{node['name']}: {variable}: {title} {value} is taken by {other} already: give each its own")


def _one_of(value: t.Any, servers: Iterable[str]) -> str:
    server = text(value, "name")
    if server not in servers:
        raise ValueError(f"{server!r} is not in the group ltsp_servers: use one of {', '.join(servers)}")
    return server


def _image(value: t.Any) -> str:
    image = text(value, "name")
    if not IMAGE_NAME.fullmatch(image) or image == CURRENT:
        raise ValueError(f"{value!r} is not an image name: use a-z, 0-9, '.', '_' and '-', a letter or digit first, and not the word current")
    return image


def _version(value: t.Any) -> str:
    version = text(value, "version")
    if not IMAGE_VERSION.fullmatch(version):
        raise ValueError(f"{value!r} is not an image version: write it as in 20261120T223000Z-0123456789ab, or null to follow the current one")
    return version


def _transports(value: t.Any) -> list[str]:
    transports = [text(item, "transport") for item in to_list(value)]
    unknown = [item for item in transports if item not in TRANSPORTS]
    if unknown or not transports:
        raise ValueError(f"{unknown[0] if unknown else value!r} is not a transport: use {' or '.join(TRANSPORTS)}, in the order in which they are tried")
    return no_repetition(transports)


def _overlay(value: t.Any) -> str:
    overlay = str(value).strip()
    if isinstance(value, bool) or not _OVERLAY.fullmatch(overlay):
        raise ValueError(f"{value!r} is not the size of a tmpfs: write 1% to 100% of the memory, or bytes as in 2G, 512m or 65536k")
    return overlay


def _kernel_arguments(value: t.Any) -> list[str]:
    arguments = [text(item, "argument") for item in to_list(value, separator=None)]
    for argument in arguments:
        if not _KERNEL_ARGUMENT.fullmatch(argument):
            raise ValueError(f"{argument!r} cannot pass every boot loader: use letters, digits and _ . , : = / + @ % ~ ! - only, one argument an item")
    return arguments


def _parameters(value: t.Any) -> dict[str, t.Any]:
    # ansible-core 2.18 hands over a vaulted value as an object that is no text.
    parameters = {key: str(item) if getattr(item, "__ENCRYPTED__", False) else item for key, item in mapping(value).items()}
    for key, item in parameters.items():
        if not isinstance(key, str) or not (item is None or isinstance(item, (str, int, float))):
            raise ValueError(f"{key!r} has a {type(item).__name__}, which is not one value: write text, a number, true, false or null")
    return parameters


def _labels(value: t.Any) -> dict[str, str]:
    labels = {_label_key(key): text(item, f"value of the label {key}") for key, item in mapping(value).items()}
    for key, item in labels.items():
        if key in _FOREIGN_LABELS:
            raise ValueError(f"the label {key} is not for the inventory: remove it")
        _label_value(item)
    return labels


def _label_key(value: t.Any) -> str:
    key = text(value, "key")
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and not _LABEL_PREFIX.fullmatch(prefix)):
        raise ValueError(f"{key!r} is not a key of Kubernetes: write it as in rack or example.org/rack, a name of up to 63 letters, digits and - _ .")
    return key


def _label_value(value: str) -> str:
    if value and not _LABEL_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a value of a label or taint: use up to 63 letters, digits and - _ . , a letter or digit first and last")
    return value


def _taints(value: t.Any) -> list[Taint]:
    taints: list[Taint] = []
    for item in to_list(value):
        taint, _colon, effect = text(item, "taint").rpartition(":")
        if effect not in _TAINT_EFFECTS:
            raise ValueError(f"{item!r} is not a taint: write key=value:EFFECT or key:EFFECT, EFFECT is {', '.join(_TAINT_EFFECTS)}")
        key, _equals, content = taint.partition("=")
        taints.append(Taint(key=_label_key(key), value=_label_value(content), effect=effect))
        if taints[-1]["key"] in _FOREIGN_LABELS:
            raise ValueError(f"the taint {key} is not for the inventory: remove it")
    no_repetition([f"{taint['key']}:{taint['effect']}" for taint in taints])
    return taints


def _kubelet_arguments(value: t.Any) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for name, item in mapping(value).items():
        if not isinstance(name, str) or not _KUBELET_ARGUMENT.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of an argument: write it without the two hyphens before it, as in max-pods")
        if name in _FOREIGN_KUBELET_ARGUMENTS:
            raise ValueError(f"the argument {name} is not for the inventory: {_FOREIGN_KUBELET_ARGUMENTS[name]}")
        if not isinstance(item, (str, int, float)):
            raise ValueError(f"{name} has a {type(item).__name__}, which is not one value: write text, a number, true or false")
        argument = str(item).lower() if isinstance(item, bool) else str(item).strip()
        if not _KUBELET_VALUE.fullmatch(argument):
            raise ValueError(f"{name}: {argument!r} does not come through to the kubelet: write it without blanks, quotes, \\ , ` and $")
        arguments[name] = argument
    return arguments
