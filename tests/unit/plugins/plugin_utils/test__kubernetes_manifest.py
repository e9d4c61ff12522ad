# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import yaml

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._kubernetes.manifest import digests, file_name, manifest_text, stale_files


class Text(str):
    """As Ansible's own kinds of text are."""


CONFIG_MAP: dict[str, t.Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "web", "labels": {"a": "1"}},
    "data": {"a.cfg": 'set x="y"\nset z="${x}"\n', "yes": "no", "odd": "a \n b\t"},
}


def test_a_file_says_what_the_object_says() -> None:
    assert yaml.safe_load(manifest_text(CONFIG_MAP)) == CONFIG_MAP


def test_lines_are_lines() -> None:
    assert '  a.cfg: |\n    set x="y"\n    set z="${x}"\n' in manifest_text(CONFIG_MAP)


def test_nothing_is_said_by_reference() -> None:
    labels = {"a": "b"}
    assert "&" not in manifest_text({"metadata": {"labels": labels}, "spec": {"selector": labels}})


def test_the_kinds_of_text_that_ansible_has_make_no_difference() -> None:
    assert manifest_text({"kind": Text("Namespace"), "x": [Text("a\nb")]}) == "---\nkind: Namespace\nx:\n- |-\n  a\n  b\n"


def test_digests_change_with_the_object_and_not_with_the_order() -> None:
    [(name, digest)] = digests([CONFIG_MAP]).items()
    assert name == "ConfigMap/web"
    assert digests([dict(reversed(CONFIG_MAP.items()))]) == {name: digest}
    assert digests([{**CONFIG_MAP, "data": {}}]) != {name: digest}


def test_the_namespace_is_the_first_file() -> None:
    names = [file_name("ConfigMap", "ltsp-common"), file_name("Namespace", "zoo"), file_name("ServiceAccount", "ltsp")]
    assert sorted(names) == ["00-namespace-zoo.yaml", "configmap-ltsp-common.yaml", "serviceaccount-ltsp.yaml"]


def test_the_files_of_this_boot_server_that_are_not_wanted_are_stale() -> None:
    kinds = ["Deployment", "NetworkPolicy", "Service"]
    stale = stale_files(["ConfigMap/ltsp-common", "ConfigMap/ltsp-nodes-0a", "Deployment/ltsp"], "zoo", "ltsp", kinds)
    assert {"configmap-ltsp-nodes-00.yaml", "networkpolicy-ltsp.yaml", "service-ltsp.yaml"} < set(stale)
    assert len(stale) == 63 + 2
    every = stale_files([], "zoo", "ltsp", kinds)
    assert every[0] == "00-namespace-zoo.yaml"
    assert set(every) > {*stale, "configmap-ltsp-common.yaml", "deployment-ltsp.yaml"}
