# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import typing as t

import pytest
import yaml

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils import _nodes
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp import isc
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.options import OPTION_TYPES
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._dhcp.plan import DhcpError, Plan, make_plan

ROLE = pathlib.Path(__file__).parents[4] / "roles" / "isc_dhcp"
DHCPD = shutil.which("dhcpd", path=f"{os.environ['PATH']}:/usr/sbin")

DEFAULTS: dict[str, t.Any] = {
    "interfaces": [],
    "authoritative": True,
    "default_lease_time": -1,
    "max_lease_time": -1,
    "ignore_client_identifiers": True,
    "next_server": "",
    "option_definitions": {},
    "options": {},
    "filenames": [],
    "isc_dhcp_extra": [],
    "networks": [],
    "subnets": [{"subnet": "10.77.0.0/24"}],
    "hosts": [],
}
NODE = {"name": "node1", "macs": ["52:54:00:77:00:01"], "ip": "10.77.0.11", "server_address": "10.77.0.1"}

APPENDIX = """
shared-network ltsp-network {
    subnet 10.9.0.0 netmask 255.255.0.0 {
        authoritative;
        default-lease-time -1;
        max-lease-time -1;
        next-server                     ltsp-1;
        option domain-name              "example.org";
        option domain-name-servers      10.9.0.1;
        option routers                  10.9.0.1;
        if option architecture = 00:07 { filename "/ltsp/amd64/grub/x86_64-efi/core.efi"; }
        else                           { filename "/ltsp/amd64/grub/i386-pc/core.0"; }
        range 10.9.200.0 10.9.250.254;
    }
}
"""
APPENDIX_VARIABLES = """
authoritative: null
default_lease_time: null
max_lease_time: null
subnets: []
networks:
  - name: ltsp-network
    subnets:
      - subnet: 10.9.0.0/16
        authoritative: true
        default_lease_time: -1
        max_lease_time: -1
        options:
          domain-name: example.org
          domain-name-servers: 10.9.0.1
          routers: 10.9.0.1
        next_server: ltsp-1
        filenames:
          - architectures: ["00:07"]
            filename: /ltsp/amd64/grub/x86_64-efi/core.efi
          - filename: /ltsp/amd64/grub/i386-pc/core.0
        ranges: [10.9.200.0-10.9.250.254]
"""
EVERYTHING = """
next_server: 10.77.0.1
option_definitions:
  site-text: {code: 200, type: text}
  site-bytes: {code: 201, type: array of unsigned integer 8}
  site-names: {code: 202, type: domain-list}
  site-blob: {code: 203, type: string}
options:
  domain-search: [farm.test, example.org]
  ntp-servers: "10.77.0.1, ntp.example.org"
  domain-name: 'quo"te\\back'
  interface-mtu: "9000"
  ip-forwarding: "no"
  vendor-class-identifier: HTTPClient
  site-text: "42"
  site-bytes: [24, 10, 77, 0]
  site-names: a.farm.test
  site-blob: "01:02:ff"
filenames:
  - {architectures: ["00:10"], filename: "http://10.77.0.1/boot/grub/x86_64-efi/core.efi"}
  - {architectures: ["00:07", "00:09"], filename: boot/grub/x86_64-efi/core.efi}
  - {filename: boot/grub/i386-pc/core.0}
isc_dhcp_extra:
  - 'class "virtual" { match if substring(hardware, 1, 3) = 52:54:00; }'
networks:
  - name: both
    authoritative: false
    isc_dhcp_extra: [log-facility local7;]
    subnets:
      - subnet: 10.80.0.0/24
        pools:
          - {ranges: [10.80.0.10-10.80.0.20], deny: [known-clients], default_lease_time: 600, max_lease_time: "600"}
          - {ranges: "10.80.0.30 - 10.80.0.40, 10.80.0.50", allow: ['members of "virtual"'], options: {routers: 10.80.0.2}}
      - {subnet: 10.81.0.0/24, isc_dhcp_extra: [deny unknown-clients;]}
hosts:
  - {name: bmc1, macs: 5254.0080.0001, ip: 10.80.0.60, filenames: [{filename: none}], options: {host-name: bmc}}
  - {name: pdu, macs: ["52-54-00-81-00-01"], ip: 10.81.0.2, isc_dhcp_extra: ["min-lease-time 60;"]}
"""


def plan(nodes: t.Sequence[dict[str, t.Any]] = (), **settings: t.Any) -> Plan:
    return make_plan({**DEFAULTS, **settings}, nodes, isc.EXTRA)


def render(nodes: t.Sequence[dict[str, t.Any]] = (), **settings: t.Any) -> str:
    return isc.render(plan(nodes, **settings)) + "\n"


def refusal(nodes: t.Sequence[dict[str, t.Any]] = (), **settings: t.Any) -> str:
    with pytest.raises(DhcpError) as caught:
        plan(nodes, **settings)
    return str(caught.value)


def words(text: str) -> list[str]:
    return re.sub(r"([{};])", r" \1 ", text).split()


@pytest.fixture(params=["text", "dhcpd"])
def accepted(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> t.Callable[[str], str]:
    """Return a configuration: as it is, or after dhcpd itself has read it."""
    if request.param == "dhcpd" and not DHCPD:
        pytest.skip("dhcpd is not installed")

    def check(text: str) -> str:
        if request.param == "dhcpd":
            path = tmp_path / "dhcpd.conf"
            path.write_text(text, encoding="utf-8")
            result = subprocess.run([DHCPD, "-t", "-4", "-cf", path], capture_output=True, text=True, check=False)
            assert result.returncode == 0, result.stderr
        return text

    return check


def test_the_configuration_of_the_article_can_be_said(accepted: t.Callable[[str], str]) -> None:
    text = accepted(render(**yaml.safe_load(APPENDIX_VARIABLES)))
    assert words(text[text.index("shared-network") :]) == words(APPENDIX)


def test_dhcpd_takes_everything_that_can_be_said(accepted: t.Callable[[str], str]) -> None:
    text = accepted(render([NODE], **yaml.safe_load(EVERYTHING)))
    for line in (
        "option architecture code 93 = unsigned integer 16;",
        "ignore-client-uids true;",
        "option site-bytes code 201 = array of unsigned integer 8;",
        'option domain-search "farm.test", "example.org";',
        "option ntp-servers 10.77.0.1, ntp.example.org;",
        'option domain-name "quo\\"te\\\\back";',
        "option interface-mtu 9000;",
        "option ip-forwarding false;",
        'option vendor-class-identifier "HTTPClient";',
        'option site-text "42";',
        "option site-bytes 24, 10, 77, 0;",
        "option site-blob 01:02:ff;",
        'elsif option architecture = 00:07 or option architecture = 00:09 { filename "boot/grub/x86_64-efi/core.efi"; }',
        'else { filename "boot/grub/i386-pc/core.0"; }',
        "    not authoritative;",
        "            deny known-clients;",
        "            default-lease-time 600;",
        "            range 10.80.0.10 10.80.0.20;",
        '            allow members of "virtual";',
        "            range 10.80.0.50 10.80.0.50;",
        "        deny unknown-clients;",
        '    filename "none";',
        '    option host-name "bmc";',
        "    min-lease-time 60;",
    ):
        assert f"\n{line}\n" in f"\n{text}"
    assert not re.search(r"\n\n\n|[ \t]\n", text)
    assert text.endswith("}\n")


def test_the_example_of_the_readme_does_what_it_says(accepted: t.Callable[[str], str]) -> None:
    readme = (ROLE / "README.md").read_text(encoding="utf-8")
    groups = yaml.safe_load(readme.split("```yaml\n")[1].split("```")[0])["all"]["children"]
    hostvars = {**groups["ltsp_servers"]["hosts"], **groups["ltsp_nodes"]["hosts"]}
    nodes = _nodes.describe_nodes(hostvars, groups["ltsp_nodes"]["hosts"], groups["ltsp_servers"]["hosts"])
    settings = {name.removeprefix("dhcp_"): value for name, value in groups["dhcp_servers"]["vars"].items()}
    result = readme.split("```\nhost node1 ")[1].split("    ...")[0]
    assert result in accepted(render(nodes, **settings))


def test_a_subnet_without_settings_is_written() -> None:
    assert render().endswith("\nsubnet 10.77.0.0 netmask 255.255.255.0 {\n}\n")


def test_each_card_of_a_node_has_its_lease(accepted: t.Callable[[str], str]) -> None:
    text = accepted(render([{**NODE, "macs": ["52:54:00:77:00:01", "52:54:00:77:01:01"]}]))
    declaration = 'host {0} {{\n    hardware ethernet {1};\n    fixed-address 10.77.0.11;\n    next-server 10.77.0.1;\n    option host-name "node1";\n}}\n'
    assert declaration.format("node1", "52:54:00:77:00:01") in text
    assert declaration.format("node1-2", "52:54:00:77:01:01") in text


def test_a_second_card_does_not_take_the_name_of_another_node(accepted: t.Callable[[str], str]) -> None:
    nodes = [
        {**NODE, "macs": ["52:54:00:77:00:01", "52:54:00:77:01:01"]},
        {**NODE, "name": "node1-2", "ip": "10.77.0.12", "macs": ["52:54:00:77:00:02"]},
    ]
    assert re.findall("^host (.*) {$", accepted(render(nodes)), re.MULTILINE) == ["node1", "node1-52-54-00-77-01-01", "node1-2"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subnets": []}, "dhcp_subnets and dhcp_networks are empty"),
        ({"subnets": [{"subnet": "10.77.0.1/24"}]}, "dhcp_subnets: 10.77.0.1/24: it is not an IPv4 subnet (10.77.0.1/24 has host bits set)"),
        ({"subnets": [{"subnet": "fd00::/64"}]}, "it is not an IPv4 subnet"),
        (
            {"subnets": [{"subnet": "10.77.0.0/16"}], "networks": [{"name": "n", "subnets": [{"subnet": "10.77.9.0/24"}]}]},
            "subnet 10.77.0.0/16 and subnet 10.77.9.0/24 overlap",
        ),
        ({"networks": [{"name": "n", "subnets": []}]}, "dhcp_networks: n: it has no subnets"),
        ({"networks": [{"name": "a b", "subnets": DEFAULTS["subnets"]}]}, "'a b' is not a name"),
        ({"subnets": [{"subnet": "10.77.0.0/24", "ranges": ["10.77.0.9-10.77.0.5"]}]}, "range 10.77.0.9-10.77.0.5: it ends before it begins"),
        ({"subnets": [{"subnet": "10.77.0.0/24", "ranges": ["10.77.0.9-10.77.1.5"]}]}, "range 10.77.0.9-10.77.1.5: 10.77.1.5 is outside of the subnet"),
        ({"subnets": [{"subnet": "10.77.0.0/24", "ranges": ["10.77.0.9-x"]}]}, "'x' is not an IPv4 address"),
        (
            {"subnets": [{"subnet": "10.77.0.0/24", "ranges": ["10.77.0.5-10.77.0.9"], "pools": [{"ranges": ["10.77.0.9"]}]}]},
            "range 10.77.0.5-10.77.0.9 and range 10.77.0.9 overlap",
        ),
        ({"subnets": [{"subnet": "10.77.0.0/24", "pools": [{"deny": ["known-clients"]}]}]}, "10.77.0.0/24: pool 1: it has no ranges"),
        ({"subnets": [{"subnet": "10.77.0.0/24", "pools": [{"ranges": ["10.77.0.9"], "deny": ["strangers"]}]}]}, "'strangers' does not name clients"),
        ({"options": {"router": "10.77.0.1"}}, "dhcp_options: router: the option is unknown: give its code and type in dhcp_option_definitions"),
        ({"options": {"routers": "10.77.0.300"}}, "dhcp_options: routers: '10.77.0.300' is neither an IPv4 address nor a host name"),
        ({"options": {"routers": []}}, "dhcp_options: routers: the list is empty"),
        ({"options": {"interface-mtu": "big"}}, "'big' is not a whole number"),
        ({"options": {"domain-name": "a\nb"}}, "has characters that are not printable ASCII"),
        ({"options": {"domain-name": True}}, "True is not text"),
        ({"subnets": [{"subnet": "10.77.0.0/24", "options": {"nothing": 1}}]}, "dhcp_subnets: 10.77.0.0/24: options: nothing:"),
        ({"option_definitions": {"x": {"code": 200, "type": "array of text"}}}, "dhcp_option_definitions: x: 'array of text' is not a type of a value"),
        ({"default_lease_time": 0}, "dhcp_default_lease_time: 0 is not a lease time"),
        ({"next_server": "10.77.0"}, "dhcp_next_server: '10.77.0' is neither"),
        ({"authoritative": "perhaps"}, "dhcp_authoritative: 'perhaps' is neither true nor false"),
        ({"filenames": [{"architectures": ["7"], "filename": "x"}]}, "dhcp_filenames: '7' is not a client architecture"),
        ({"filenames": [{"filename": "x"}, {"filename": "y"}]}, "an entry without architectures is for all others"),
        ({"isc_dhcp_extra": ["deny bootp"]}, "isc_dhcp_extra: 'deny bootp' is not a statement"),
        ({"hosts": [{**NODE, "macs": ["x"]}]}, "dhcp_hosts: node1: 'x' is not a MAC address"),
    ],
)
def test_a_wrong_value_is_named_with_place_and_remedy(settings: dict[str, t.Any], message: str) -> None:
    assert message in refusal(**settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ip": "10.78.0.11"}, "node1: 10.78.0.11 is in none of the subnets (10.77.0.0/24): correct the address, or add its subnet"),
        ({"ip": "10.76.255.255"}, "node1: 10.76.255.255 is in none of the subnets"),
        ({"ip": "10.77.0.0"}, "node1: 10.77.0.0 is the network or broadcast address of 10.77.0.0/24"),
        ({"ip": "10.77.0.255"}, "node1: 10.77.0.255 is the network or broadcast address of 10.77.0.0/24"),
        ({"ip": "10.77.0.100"}, "node1: 10.77.0.100 is in the range 10.77.0.100-10.77.0.199 of dynamic addresses"),
        ({"ip": "10.77.0.199"}, "node1: 10.77.0.199 is in the range 10.77.0.100-10.77.0.199"),
        ({"ip": "10.77.0.2"}, "node1: IP address 10.77.0.2 is taken by bmc1 already"),
        ({"macs": ["525400770002"]}, "node1: MAC address 52:54:00:77:00:02 is taken by bmc1 already"),
        ({"name": "BMC1"}, "BMC1: host name bmc1 is taken by bmc1 already"),
        ({"ip": ""}, "dhcp_nodes: node1: it has no ip"),
    ],
)
def test_a_node_that_has_no_lease_of_its_own_is_named(change: dict[str, t.Any], message: str) -> None:
    settings = {
        "subnets": [{"subnet": "10.77.0.0/24", "ranges": ["10.77.0.100-10.77.0.199"]}],
        "hosts": [{"name": "bmc1", "macs": ["52:54:00:77:00:02"], "ip": "10.77.0.2"}],
    }
    plan([NODE], **settings)
    assert message in refusal([{**NODE, **change}], **settings)


def test_all_misplaced_nodes_are_shown_at_once() -> None:
    nodes = [{**NODE, "name": f"node{i}", "macs": [f"5254007700{i:02x}"], "ip": f"10.78.0.{i}"} for i in range(1, 31)]
    message = refusal(nodes)
    assert message.count("is in none of the subnets") == 20
    assert message.endswith("; and 10 more")


def test_the_former_key_of_statements_is_read_and_noted() -> None:
    pool = {"ranges": ["10.77.0.9"], "isc_dhcp_extra": ["min-lease-time 9;"]}
    subnet = {"subnet": "10.77.0.0/24", "extra": "deny bootp;", "pools": [pool]}
    assert plan(subnets=[{**subnet, "isc_dhcp_extra": ["ping-check true;"]}]).subnets[0].settings.extra == ("deny bootp;", "ping-check true;")
    assert plan(subnets=[subnet]).former_keys == {"extra"}
    assert plan(subnets=[{**subnet, "extra": []}]).former_keys == set()
    assert "dhcp_subnets: 10.77.0.0/24: extra: 'x' is not a statement" in refusal(subnets=[{**subnet, "extra": ["x"]}])


def test_values_may_come_as_text() -> None:
    text = {
        "authoritative": "false",
        "default_lease_time": "600",
        "interfaces": "eth1, eth2",
        "ignore_client_identifiers": "no",
        "options": '{"routers": "10.77.0.1,10.77.0.2"}',
        "isc_dhcp_extra": "deny bootp;",
    }
    data = {
        "authoritative": False,
        "default_lease_time": 600,
        "interfaces": ["eth1", "eth2"],
        "ignore_client_identifiers": False,
        "options": {"routers": ["10.77.0.1", "10.77.0.2"]},
        "isc_dhcp_extra": ["deny bootp;"],
    }
    assert plan(**text) == plan(**data)


@pytest.mark.parametrize("accepted", ["dhcpd"], indirect=True)
def test_dhcpd_knows_each_option_by_the_type_that_the_table_gives_it(accepted: t.Callable[[str], str]) -> None:
    values = {"ip-address": "10.77.0.1", "text": "some text", "string": "some text", "domain-list": "farm.test", "boolean": True, "integer 32": 60}
    values["unsigned integer 16"] = 7
    accepted(render(options={name: values[kind.replace("array of ", "")] for name, kind in OPTION_TYPES.items()}))
