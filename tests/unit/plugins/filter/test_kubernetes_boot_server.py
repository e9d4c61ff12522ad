# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
import samples
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.filter import (
    kubernetes_boot_server,
    kubernetes_config_maps,
    kubernetes_digests,
    kubernetes_file_name,
    kubernetes_manifest,
    kubernetes_placement,
    kubernetes_rolled_out,
    kubernetes_rollout,
    kubernetes_server_addresses,
    kubernetes_stale_files,
)
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.server import Settings

SETTINGS: dict[str, t.Any] = yaml.safe_load(kubernetes_boot_server.EXAMPLES)[0]["vars"]["settings"]
NODE = {
    **samples.NODE,
    "macs": ["52:54:00:00:00:01"],
    "ip": "10.9.1.1",
    "server": "ltsp",
    "server_address": "10.9.0.2",
    "lts_conf": {"RCFIEL_20_X": "y"},
    "kubernetes_name": "node1",
}
MACHINE = {"metadata": {"name": "node1", "labels": {}}}


def test_the_example_has_all_settings() -> None:
    assert set(SETTINGS) == set(Settings._fields)


def test_the_objects_of_the_example() -> None:
    assert [manifest["kind"] for manifest in kubernetes_boot_server.kubernetes_boot_server(SETTINGS)["server"]][-1] == "Deployment"
    with pytest.raises(AnsibleFilterError, match=r"kubernetes_boot_server: kubernetes_server_image: 'a:b' does not say one content"):
        kubernetes_boot_server.kubernetes_boot_server({**SETTINGS, "image": "a:b"})


def test_the_config_maps_and_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(kubernetes_config_maps.display, "warning", warnings.append)
    maps = kubernetes_config_maps.kubernetes_config_maps(SETTINGS, [NODE], default_image="node")
    assert sorted(maps[0]["data"]) == ["default.cfg", "default.json", "lts.conf"]
    assert sorted(kubernetes_digests.kubernetes_digests(maps))[0] == "ConfigMap/ltsp-server-common"
    [warning] = warnings
    assert "RCFIEL_20_X is not a known parameter" in warning


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": [{**NODE, "lts_conf": {"RCFILE_1": "a\nb"}}]}, "a value is one line"),
        ({"nodes": [{**NODE, "macs": ["x"]}]}, "node node1: "),
        ({"nodes": [NODE], "images": [{"name": "gpu", "current": "x", "versions": ["x"]}]}, "lacks images that nodes boot from it: node node1: image node"),
    ],
)
def test_files_that_cannot_be_are_an_error_of_the_filter(options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"kubernetes_config_maps: .*{message}"):
        kubernetes_config_maps.kubernetes_config_maps(SETTINGS, **options)


@pytest.mark.parametrize("unknown", [None, ""])
def test_what_is_in_the_container_may_be_unknown(unknown: t.Any) -> None:
    assert kubernetes_config_maps.kubernetes_config_maps(SETTINGS, [{**NODE, "lts_conf": {}}], images=unknown)


def test_a_placement_that_cannot_be_is_an_error_of_the_filter() -> None:
    assert kubernetes_placement.kubernetes_placement(SETTINGS, [MACHINE], []) == ["node1"]
    with pytest.raises(AnsibleFilterError, match="kubernetes_placement: only machines that boot from this boot server"):
        kubernetes_placement.kubernetes_placement(SETTINGS, [MACHINE], [NODE])


def test_what_is_no_object_is_an_error_of_the_filters() -> None:
    assert kubernetes_manifest.kubernetes_manifest({"kind": "Namespace"}) == "---\nkind: Namespace\n"
    assert "no pods yet" in kubernetes_rollout.kubernetes_rollout({"status": {}}, [], [])
    assert kubernetes_file_name.kubernetes_file_name({"kind": "Namespace", "metadata": {"name": "web"}}) == "00-namespace-web.yaml"
    assert not kubernetes_rolled_out.kubernetes_rolled_out({})
    for filter_, arguments in ((kubernetes_rollout.kubernetes_rollout, ({}, ["x"], [])), (kubernetes_digests.kubernetes_digests, ([{}],))):
        with pytest.raises(AnsibleFilterError, match="these are no"):
            filter_(*arguments)
    with pytest.raises(AnsibleFilterError, match="this is no object"):
        kubernetes_manifest.kubernetes_manifest({"kind": object()})
    with pytest.raises(AnsibleFilterError, match="this is no object"):
        kubernetes_file_name.kubernetes_file_name({})
    with pytest.raises(AnsibleFilterError, match="this is no Deployment"):
        kubernetes_rolled_out.kubernetes_rolled_out({"status": {}})


def test_filters_have_the_name_of_their_file() -> None:
    for module in (kubernetes_server_addresses, kubernetes_stale_files):
        assert list(module.FilterModule().filters()) == [module.__name__.rpartition(".")[2]]
