# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a boot server on Kubernetes, without its files."""

from __future__ import annotations

import copy
import re
import typing as t
from collections.abc import Callable, Iterable, Mapping

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._farm import SERVER_ADDRESS
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._nodes import host_name
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._services import SERVICES, Service
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._survey import to_list
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._values import address, mapping, summary, text

Manifest = dict[str, t.Any]

MANAGER = "serverfarm.ltsp"
EXPOSURES = ("host_network", "load_balancer")
# This number is fixed: another one would move nearly every node to another ConfigMap.
SHARDS = 64
HOSTNAME = "kubernetes.io/hostname"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_IMAGE = re.compile(
    r"(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]+)?/)?[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*@sha256:[0-9a-f]{64}",
    re.IGNORECASE | re.ASCII,
)
_VARIABLES = {
    "servers": "ltsp_kubernetes_servers",
    "subnets": "ltsp_server_subnets",
}
_MANAGED_BY = "app.kubernetes.io/managed-by"
_EXPOSURE = "serverfarm.ltsp/exposure"
_USER = 65532
_NODE_FILES = "/srv/ltsp/public/boot/nodes"
# Seconds in which the other machines of the cluster stop sending requests to a pod that ends.
_ENDPOINT_DELAY = 5
_AFFINITY_SECONDS = 600
# The end of the annotations of MetalLB and kube-vip for the address. MetalLB refuses a Service with annotation and field.
_ADDRESS_ANNOTATION = "/loadbalancerips"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

_T = t.TypeVar("_T")


class ServerError(Exception):
    """The variables cannot work; the message names variable, value and remedy."""


class Objects(t.TypedDict):
    """The objects that the role applies, in this order; the ConfigMaps come between the two."""

    namespace: Manifest
    server: list[Manifest]


class Settings(t.NamedTuple):
    """The role's variables, checked and in one form."""

    namespace: str
    name: str
    labels: dict[str, str]
    exposure: str
    image: str
    servers: dict[str, str]
    subnets: list[str]
    ports: dict[str, int]
    replicas: int
    node_selector: dict[str, str]
    affinity: dict[str, t.Any]
    tolerations: list[t.Any]
    resources: dict[str, t.Any]
    pull_secrets: list[str]
    pod_annotations: dict[str, str]
    service_annotations: dict[str, str]
    external_ips: list[str]
    load_balancer_ip: str
    load_balancer_class: str
    grace_period: int
    rollout_timeout: int

    @property
    def on_host(self) -> bool:
        return self.exposure == "host_network"


def read_settings(given: Mapping[str, t.Any]) -> Settings:
    """Check the role's variables, each of which may be the text of a survey, and report all problems at once."""
    problems: list[str] = []

    def noted(variable: str, value: t.Any, check: Callable[[t.Any], _T], fallback: _T) -> _T:
        try:
            return check(value)
        except ValueError as error:
            problems.append(f"{variable}: {error}")
            return fallback

    def checked(name: str, check: Callable[[t.Any], _T], fallback: _T) -> _T:
        return noted(_VARIABLES.get(name, f"kubernetes_server_{name}"), given[name], check, fallback)

    def port(service: Service) -> int:
        return noted(service.variable or f"port of {service.name}", given["ports"].get(service.name, service.port), lambda value: number(value, 1, 65535), 0)

    settings = Settings(
        namespace=checked("namespace", _name, ""),
        name=checked("name", _name, ""),
        labels=checked("labels", _foreign_labels, {}),
        exposure=checked("exposure", _exposure, ""),
        image=checked("image", _image, ""),
        servers=checked("servers", _servers, {}),
        subnets=checked("subnets", lambda value: [text(item, "subnet") for item in to_list(value)], []),
        ports={service.name: port(service) for service in SERVICES.values()},
        replicas=checked("replicas", lambda value: number(value, 1, 1000), 0),
        node_selector=checked("node_selector", strings, {}),
        affinity=checked("affinity", mapping, {}),
        tolerations=checked("tolerations", to_list, []),
        resources=checked("resources", mapping, {}),
        pull_secrets=checked("pull_secrets", lambda value: [text(item, "name") for item in to_list(value)], []),
        pod_annotations=checked("pod_annotations", strings, {}),
        service_annotations=checked("service_annotations", strings, {}),
        external_ips=checked("external_ips", lambda value: [address(item) for item in to_list(value)], []),
        load_balancer_ip=checked("load_balancer_ip", lambda value: address(value) if value else "", ""),
        load_balancer_class=checked("load_balancer_class", lambda value: text(value, "class"), ""),
        grace_period=checked("grace_period", lambda value: number(value, _ENDPOINT_DELAY, 86400), 0),
        rollout_timeout=checked("rollout_timeout", lambda value: number(value, 10, 86400), 0),
    )
    if not problems:
        problems.extend(_combinations(settings))
    if problems:
        raise ServerError(summary(problems))
    return settings._replace(replicas=len(settings.servers)) if settings.on_host else settings


def objects(settings: Settings) -> Objects:
    """Make the objects that the role applies beside the ConfigMaps."""
    server = [_service_account(settings)]
    if not settings.on_host:
        server += [_network_policy(settings), _service(settings)]
    return Objects(namespace=_namespace(settings), server=[*server, _disruption_budget(settings), _deployment(settings)])


def manifest(settings: Settings, api_version: str, kind: str, **fields: t.Any) -> Manifest:
    """Make an object of the namespace. Its name is `name` of the fields, or else that of the boot server."""
    name = fields.pop("name", settings.name)
    metadata = {"name": name, "namespace": settings.namespace, "labels": object_labels(settings)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def selector(settings: Settings) -> dict[str, str]:
    """Return the labels that select the pods of this boot server."""
    return {"app.kubernetes.io/name": "ltsp-server", "app.kubernetes.io/instance": settings.name}


def object_labels(settings: Settings) -> dict[str, str]:
    """Return the labels of every object."""
    return {**settings.labels, **selector(settings), _MANAGED_BY: MANAGER}


def config_map_names(name: str) -> list[str]:
    """Name the ConfigMaps with the files of nodes of the boot server `name`; those without a node do not exist."""
    return [f"{name}-nodes-{shard:02x}" for shard in range(SHARDS)]


def common_name(name: str) -> str:
    """Name the ConfigMap with the files for all machines of the boot server `name`."""
    return f"{name}-common"


def affinity(settings: Settings) -> dict[str, t.Any]:
    """Extend the given affinity: each server of the host network has its own machine, and pods behind a Service prefer different ones."""
    wanted = copy.deepcopy(settings.affinity)
    apart = {"labelSelector": {"matchLabels": {**selector(settings), _EXPOSURE: settings.exposure}}, "topologyKey": HOSTNAME}
    pods = wanted.setdefault("podAntiAffinity", {})
    if settings.on_host:
        pods[_REQUIRED] = [*pods.get(_REQUIRED, []), apart]
        names = sorted({name for server in settings.servers for name in machine_names(server)})
        here = {"key": HOSTNAME, "operator": "In", "values": names}
        required = wanted.setdefault("nodeAffinity", {}).setdefault(_REQUIRED, {})
        terms = required.get("nodeSelectorTerms") or [{}]
        required["nodeSelectorTerms"] = [{**term, "matchExpressions": [*term.get("matchExpressions", []), here]} for term in terms]
    else:
        pods[_PREFERRED] = [*pods.get(_PREFERRED, []), {"weight": 100, "podAffinityTerm": apart}]
    return wanted


def service_address(settings: Settings) -> str:
    """Return the address that the Service has to get."""
    return settings.load_balancer_ip or next(iter(settings.servers.values()))


def server_addresses(hostvars: Mapping[str, t.Any], hosts: Iterable[str]) -> dict[str, str]:
    """Return the address at which nodes reach each boot server, or "" where the inventory has none."""
    return {host: next((address for address in map(hostvars[host].get, SERVER_ADDRESS) if address), "") for host in hosts}


def machine_names(host: str) -> list[str]:
    """Return the names that Kubernetes may have for a host of the inventory."""
    return sorted({host_name(host), host.lower()})


def _namespace(settings: Settings) -> Manifest:
    labels = {_MANAGED_BY: MANAGER, "pod-security.kubernetes.io/enforce": "privileged" if settings.on_host else "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": settings.namespace, "labels": {**settings.labels, **labels}}}


def _service_account(settings: Settings) -> Manifest:
    return manifest(settings, "v1", "ServiceAccount", automountServiceAccountToken=False)


def _network_policy(settings: Settings) -> Manifest:
    clients = [{"ipBlock": {"cidr": subnet}} for subnet in settings.subnets]
    ports = [{"protocol": service.protocol, "port": port} for service, port in _services(settings)]
    spec = {"podSelector": {"matchLabels": selector(settings)}, "policyTypes": ["Ingress", "Egress"], "ingress": [{"from": clients, "ports": ports}]}
    return manifest(settings, "networking.k8s.io/v1", "NetworkPolicy", spec=spec)


def _service(settings: Settings) -> Manifest:
    spec: dict[str, t.Any] = {
        "type": "ClusterIP" if settings.external_ips else "LoadBalancer",
        "selector": selector(settings),
        "ports": [{"name": service.name, "protocol": service.protocol, "port": port, "targetPort": service.name} for service, port in _services(settings)],
        # With Cluster the daemons would see addresses of the cluster instead of those of nodes, and refuse or admit all clients.
        "externalTrafficPolicy": "Local",
        # A node talks to one pod during a boot, also while a rollout has two pods.
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": _AFFINITY_SECONDS}},
    }
    if settings.external_ips:
        spec["externalIPs"] = settings.external_ips
    elif not any(key.lower().endswith(_ADDRESS_ANNOTATION) for key in settings.service_annotations):
        spec["loadBalancerIP"] = service_address(settings)
    if settings.load_balancer_class:
        spec["loadBalancerClass"] = settings.load_balancer_class
    service = manifest(settings, "v1", "Service", spec=spec)
    if settings.service_annotations:
        service["metadata"]["annotations"] = settings.service_annotations
    return service


def _disruption_budget(settings: Settings) -> Manifest:
    return manifest(settings, "policy/v1", "PodDisruptionBudget", spec={"maxUnavailable": 1, "selector": {"matchLabels": selector(settings)}})


def _deployment(settings: Settings) -> Manifest:
    # On the host network the ports are free for the new pod only after the old one has ended.
    rolling = {"maxSurge": 0, "maxUnavailable": 1} if settings.on_host else {"maxSurge": 1, "maxUnavailable": 0}
    metadata: dict[str, t.Any] = {"labels": {**object_labels(settings), _EXPOSURE: settings.exposure}}
    if settings.pod_annotations:
        metadata["annotations"] = settings.pod_annotations
    spec = {
        "replicas": settings.replicas,
        "selector": {"matchLabels": selector(settings)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "progressDeadlineSeconds": settings.rollout_timeout,
        "template": {"metadata": metadata, "spec": _pod(settings)},
    }
    return manifest(settings, "apps/v1", "Deployment", spec=spec)


def _pod(settings: Settings) -> dict[str, t.Any]:
    security: dict[str, t.Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if not settings.on_host:
        sysctls = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
        security.update(runAsNonRoot=True, runAsUser=_USER, runAsGroup=_USER, sysctls=sysctls)
    pod: dict[str, t.Any] = {
        "serviceAccountName": settings.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "dnsPolicy": "Default",
        "affinity": affinity(settings),
        "terminationGracePeriodSeconds": settings.grace_period,
        "securityContext": security,
        "containers": [_container(settings, service, port) for service, port in _services(settings)],
        "volumes": _volumes(settings),
    }
    if settings.on_host:
        pod["hostNetwork"] = True
    if settings.node_selector:
        pod["nodeSelector"] = settings.node_selector
    if settings.tolerations:
        pod["tolerations"] = settings.tolerations
    if settings.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.pull_secrets]
    return pod


def _container(settings: Settings, service: Service, port: int) -> dict[str, t.Any]:
    name = service.name
    mounts: list[dict[str, t.Any]] = [{"name": f"{name}-{directory}", "mountPath": f"/{directory}"} for directory in ("run", "tmp")]
    if service.reads_nodes:
        mounts.append({"name": "nodes", "mountPath": _NODE_FILES, "readOnly": True})
    opening: dict[str, t.Any] = {"name": name, "containerPort": port, "protocol": service.protocol}
    security: dict[str, t.Any] = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    if settings.on_host:
        opening["hostPort"] = port
        if port < 1024:
            security.update(runAsUser=0, runAsGroup=0)
            security["capabilities"]["add"] = ["NET_BIND_SERVICE"]
        else:
            security.update(runAsNonRoot=True, runAsUser=_USER, runAsGroup=_USER)
    return {
        "name": name,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [name],
        "ports": [opening],
        # A liveness probe would kill a busy daemon, and is not needed: a daemon that dies ends its container.
        **service.probe(name, port),
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", _drain(settings, service, port)]}}},
        "securityContext": security,
        "resources": settings.resources,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def _drain(settings: Settings, service: Service, port: int) -> str:
    """Give the commands of a container before it gets SIGTERM, which last for the grace period at most."""
    wait = f"sleep {_ENDPOINT_DELAY}"
    commands = [] if settings.on_host else [wait]
    if service.drain:
        commands.append(service.drain.format(port=port))
    return "; ".join(commands) or wait


def _volumes(settings: Settings) -> list[dict[str, t.Any]]:
    sources: list[dict[str, t.Any]] = [{"configMap": {"name": common_name(settings.name)}}]
    sources += [{"configMap": {"name": name, "optional": True}} for name in config_map_names(settings.name)]
    volumes: list[dict[str, t.Any]] = [{"name": "nodes", "projected": {"defaultMode": 0o444, "sources": sources}}]
    for service, _port in _services(settings):
        volumes += [{"name": f"{service.name}-{directory}", "emptyDir": {"medium": "Memory", "sizeLimit": "32Mi"}} for directory in ("run", "tmp")]
    return volumes


def _services(settings: Settings) -> list[tuple[Service, int]]:
    return [(service, settings.ports[service.name]) for service in SERVICES.values()]


def number(value: t.Any, least: int, most: int) -> int:
    """Return a whole number, which a survey hands over as text."""
    try:
        result = int(str(value).strip())
    except ValueError:
        result = least - 1
    if isinstance(value, bool) or not least <= result <= most:
        raise ValueError(f"{value!r} is not a whole number from {least} to {most}: use one")
    return result


def strings(value: t.Any) -> dict[str, str]:
    """Take a dictionary of text."""
    return {text(key, "key"): text(item, f"value of {key}") for key, item in mapping(value or {}).items()}


def _foreign_labels(value: t.Any) -> dict[str, str]:
    labels = strings(value)
    own = ("app.kubernetes.io/name", "app.kubernetes.io/instance", _MANAGED_BY, _EXPOSURE)
    for key in labels:
        if key in own or key.startswith("pod-security.kubernetes.io/"):
            raise ValueError(f"the label {key} is set by the role: remove it")
    return labels


def _name(value: t.Any) -> str:
    name = text(value, "name")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{value!r} is not a name for Kubernetes: use up to 63 of a-z, 0-9 and -, a letter or digit first and last")
    return name


def _exposure(value: t.Any) -> str:
    exposure = text(value, "exposure")
    if exposure not in EXPOSURES:
        raise ValueError(f"{value!r} is not a way to reach the pods: use {' or '.join(EXPOSURES)}")
    return exposure


def _image(value: t.Any) -> str:
    image = text(value, "image")
    if not image:
        raise ValueError("there is none: run the playbook serverfarm.ltsp.container, or set it to REPOSITORY@sha256:DIGEST")
    if not _IMAGE.fullmatch(image):
        raise ValueError(f"{value!r} does not say one content: write REPOSITORY@sha256: and 64 digits of 0-9 a-f; a tag may be another image tomorrow")
    return image


def _servers(value: t.Any) -> dict[str, str]:
    servers = {}
    for name, item in mapping(value).items():
        if not item:
            raise ValueError(f"{name} has no address: set ltsp_server_address for it")
        servers[text(name, "name")] = address(item)
    if not servers:
        raise ValueError("the group is empty: put the boot servers that run on Kubernetes into it")
    names: dict[str, str] = {}
    for server in servers:
        other = names.setdefault(host_name(server), server)
        if other != server:
            raise ValueError(f"Kubernetes would call both {other} and {server} by the name {host_name(server)}: rename one")
    return servers


def _combinations(settings: Settings) -> Iterable[str]:
    names = ", ".join(settings.servers)
    if settings.on_host:
        if settings.replicas not in (1, len(settings.servers)):
            yield (
                f"kubernetes_server_replicas: {settings.replicas} pods for {len(settings.servers)} machines ({names}): with host_network each host of "
                "ltsp_kubernetes_servers has one, so leave this variable out, and add or remove hosts"
            )
        for name in ("external_ips", "load_balancer_ip", "load_balancer_class"):
            if getattr(settings, name):
                yield f"kubernetes_server_{name}: with host_network there is no Service: remove it, or set kubernetes_server_exposure to load_balancer"
        return
    if len(settings.servers) > 1:
        yield (
            f"kubernetes_server_exposure: load_balancer has one address, and ltsp_kubernetes_servers has {len(settings.servers)} hosts ({names}): keep one, "
            "whose ltsp_server_address is that of the Service, and raise kubernetes_server_replicas for more pods"
        )
        return
    [(server, wanted)] = settings.servers.items()
    if settings.external_ips and wanted not in settings.external_ips:
        yield (
            f"kubernetes_server_external_ips: {', '.join(settings.external_ips)} has not the address {wanted} at which nodes look for {server}: "
            f"add it, or correct ltsp_server_address of {server}"
        )
    if settings.external_ips and (settings.load_balancer_ip or settings.load_balancer_class):
        yield "kubernetes_server_external_ips: with them there is no load balancer: remove kubernetes_server_load_balancer_ip and _load_balancer_class"
