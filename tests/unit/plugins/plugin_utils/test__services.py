# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of daemons. A daemon that exists only here shows that one row is known wherever daemons are."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.serverfarm.ltsp.plugins.filter import kubernetes_boot_server, ltsp_services
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import ServerError, read_settings
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._services import SERVICES, Service, describe_services

ROLES = pathlib.Path(__file__).parents[4] / "roles"
SETTINGS: dict[str, t.Any] = yaml.safe_load(kubernetes_boot_server.EXAMPLES)[0]["vars"]["settings"]


def probe(name: str, port: int) -> dict[str, t.Any]:
    return {"readinessProbe": {"exec": {"command": [name, str(port)]}}}


@pytest.fixture
def nfs(monkeypatch: pytest.MonkeyPatch) -> str:
    """A fourth daemon."""
    row = Service(
        name="nfs",
        protocol="TCP",
        port=2049,
        packages=("nfs-kernel-server",),
        container_packages=("nfs-ganesha",),
        probe=probe,
        variable="ltsp_server_nfs_port",
        reads_nodes=False,
        container_exclude=("etc/ganesha/*",),
        drain="wait-for {port:04X}",
    )
    monkeypatch.setitem(SERVICES, row.name, row)
    return row.name


def made(**changes: t.Any) -> dict[str, dict[str, t.Any]]:
    """The objects of the filter's example by kind."""
    server = kubernetes_boot_server.kubernetes_boot_server({**SETTINGS, **changes})["server"]
    return {manifest["kind"]: manifest for manifest in server}


def test_a_row_is_a_container_of_the_pod(nfs: str) -> None:
    pod = made()["Deployment"]["spec"]["template"]["spec"]
    assert [container["name"] for container in pod["containers"]] == ["tftp", "http", "nbd", "nfs"]
    container = pod["containers"][-1]
    assert container["args"] == ["nfs"]
    assert container["ports"] == [{"name": "nfs", "containerPort": 2049, "protocol": "TCP"}]
    assert container["readinessProbe"] == {"exec": {"command": ["nfs", "2049"]}}
    assert container["lifecycle"]["preStop"]["exec"]["command"][-1] == "sleep 5; wait-for 0801"
    assert [mount["name"] for mount in container["volumeMounts"]] == ["nfs-run", "nfs-tmp"]
    assert {"nfs-run", "nfs-tmp"} < {volume["name"] for volume in pod["volumes"]}


def test_a_row_is_a_port_of_service_and_network_policy(nfs: str) -> None:
    objects = made(ports={"nfs": 2050})
    assert objects["Service"]["spec"]["ports"][-1] == {"name": "nfs", "protocol": "TCP", "port": 2050, "targetPort": "nfs"}
    assert objects["NetworkPolicy"]["spec"]["ingress"][0]["ports"][-1] == {"protocol": "TCP", "port": 2050}


def test_a_row_is_a_port_of_the_machine_on_the_host_network(nfs: str) -> None:
    pod = made(exposure="host_network")["Deployment"]["spec"]["template"]["spec"]
    assert [port["hostPort"] for container in pod["containers"] for port in container["ports"]] == [69, 80, 10809, 2049]
    assert pod["containers"][-1]["lifecycle"]["preStop"]["exec"]["command"][-1] == "wait-for 0801"


def test_a_wrong_port_of_a_row_is_named_by_its_variable(nfs: str) -> None:
    with pytest.raises(ServerError, match=r"ltsp_server_nfs_port: 'x' is not a whole number from 1 to 65535"):
        read_settings({**SETTINGS, "ports": {"nfs": "x"}})


def test_roles_read_a_row(nfs: str) -> None:
    services = ltsp_services.FilterModule().filters()["ltsp_services"]({"ltsp_server_nfs_port": "2050"})
    assert services[-1] == {
        "name": "nfs",
        "is_transport": False,
        "variable": "ltsp_server_nfs_port",
        "port": "2050",
        "exposed_port": "2050/tcp",
        "packages": ["nfs-kernel-server"],
        "container_packages": ["nfs-ganesha"],
        "container_exclude": ["etc/ganesha/*"],
    }


def test_the_ports_are_those_of_the_variables_or_the_usual_ones() -> None:
    assert [service["exposed_port"] for service in describe_services({})] == ["69/udp", "80/tcp", "10809/tcp"]
    assert [service["port"] for service in describe_services({"ltsp_server_http_port": 8080, "": 1})] == [69, 8080, 10809]


@pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))
def test_a_row_has_its_files(service: Service) -> None:
    assert (ROLES / "ltsp_server/tasks" / f"{service.name}.yml").exists()
    assert (ROLES / "ltsp_container/files/services" / f"{service.name}.sh").exists()


def test_each_start_in_the_container_has_a_row() -> None:
    assert {path.stem for path in (ROLES / "ltsp_container/files/services").iterdir()} == set(SERVICES)


@pytest.mark.parametrize("role", ["kubernetes_server", "ltsp_container", "ltsp_server"])
def test_the_roles_have_ports_and_packages_from_the_table(role: str) -> None:
    variables = (ROLES / role / "vars/main.yml").read_text(encoding="utf-8")
    assert "| serverfarm.ltsp.ltsp_services" in variables
    packages = {package for service in SERVICES.values() for package in (*service.packages, *service.container_packages)}
    assert not [name for name in packages if re.search(rf"'{name}'", variables)]
