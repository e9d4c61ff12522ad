# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.serverfarm.ltsp.plugins.filter.ltsp_container_versions import ltsp_container_versions
from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._container_versions import Chosen, choose_versions, version_layers

VERSIONS = [f"2026112{day}T223000Z-0123456789ab" for day in range(5)]


def image(name: str = "node", current: str | None = VERSIONS[4], versions: list[str] = VERSIONS) -> dict[str, t.Any]:
    # Newest first, as the store tells them.
    return {"name": name, "current": current, "versions": [{"name": name, "version": version} for version in reversed(versions)]}


def node(name: str = "node1", image: str = "node", version: str | None = None) -> dict[str, t.Any]:
    return {"name": name, "image": image, "image_version": version}


def choose(**arguments: t.Any) -> Chosen:
    given = {"images": [image()], "nodes": [node()], "default": "node", "count": 2, **arguments}
    [chosen] = choose_versions(**given)
    assert chosen["current"] in chosen["versions"]
    return chosen


def versions(**arguments: t.Any) -> list[str]:
    return choose(**arguments)["versions"]


def test_the_current_version_and_the_one_before_it_are_chosen_oldest_first() -> None:
    assert versions() == VERSIONS[3:]
    assert versions(count=1) == VERSIONS[4:]
    assert versions(count=9) == VERSIONS


def test_before_counts_from_the_current_version_also_when_newer_ones_are_there() -> None:
    assert versions(images=[image(current=VERSIONS[2])]) == VERSIONS[1:3]
    assert versions(images=[image(current=VERSIONS[0])]) == VERSIONS[:1]


def test_after_a_rollback_a_node_that_read_about_the_former_current_version_still_finds_it() -> None:
    first = choose()
    assert (first["current"], first["former"]) == (VERSIONS[4], None)
    rolled_back = choose(images=[image(current=VERSIONS[3])], record=[first])
    assert (rolled_back["current"], rolled_back["former"]) == (VERSIONS[3], VERSIONS[4])
    assert rolled_back["versions"] == VERSIONS[2:]
    # The former version stays in the image for nodes that still wait for it, so that another run changes nothing.
    assert choose(images=[image(current=VERSIONS[3])], record=[rolled_back]) == rolled_back


def test_after_a_rollback_and_a_new_version_the_one_between_is_the_former_one() -> None:
    rolled_back = choose(images=[image(current=VERSIONS[1], versions=VERSIONS[:4])], record=[choose(images=[image(current=VERSIONS[3])])])
    onward = choose(record=[rolled_back])
    assert onward["former"] == VERSIONS[1]
    assert onward["versions"] == [VERSIONS[1], *VERSIONS[3:]]


def test_the_former_current_version_comes_on_top_of_one_version_too() -> None:
    assert versions(count=1, record=[choose(images=[image(current=VERSIONS[3])])]) == VERSIONS[3:]


def test_a_former_current_version_that_left_the_store_is_forgotten() -> None:
    gone = choose(images=[image(current=VERSIONS[0], versions=VERSIONS[:1])], record=[choose()])
    assert (gone["former"], gone["versions"]) == (None, VERSIONS[:1])


def test_a_record_of_0_3_0_and_one_of_other_images_are_read() -> None:
    record = [{"name": "gpu", "current": VERSIONS[0], "versions": VERSIONS[:1]}, {"name": "node", "current": VERSIONS[4], "versions": VERSIONS[3:]}]
    assert choose(images=[image(current=VERSIONS[3])], record=record)["former"] == VERSIONS[4]
    assert choose(record=record)["former"] is None
    assert choose(record=record[:1])["former"] is None


def test_a_version_that_a_node_is_pinned_to_comes_on_top() -> None:
    assert versions(nodes=[node(version=VERSIONS[0]), node("node2", version=VERSIONS[4])]) == [VERSIONS[0], *VERSIONS[3:]]
    assert versions(images=[image(current=VERSIONS[1])], nodes=[node(version=VERSIONS[4])]) == [VERSIONS[0], VERSIONS[1], VERSIONS[4]]


def test_each_image_that_is_named_is_there_and_no_other() -> None:
    images = [image(), image("gpu"), image("unused"), image("spare")]
    chosen = choose_versions(images, [node(), node("node2", "gpu")], "spare", 1)
    assert [item["name"] for item in chosen] == ["gpu", "node", "spare"]
    assert [item["name"] for item in choose_versions(images, [node()], "", 1)] == ["node"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": []}, "unknown machines: there is no image node (there is: none): build it, or name another one"),
        ({"nodes": [node(image="gpu")]}, "node node1: there is no image gpu (there is: node)"),
        ({"nodes": [node(version="20200101T000000Z-0123456789ab")]}, "node node1: image node has no version 20200101T000000Z-0123456789ab (newest: "),
        ({"images": [image(current=None)]}, "image node has no current version"),
        ({"nodes": [], "default": ""}, "there is nothing to serve"),
        ({"count": 0}, "0 versions are none"),
    ],
)
def test_what_is_not_there_is_named(arguments: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        versions(**arguments)
    assert message in str(refused.value)


def test_the_filter_takes_a_number_as_text() -> None:
    assert ltsp_container_versions([image()], [node()], default="node", count="1")[0]["versions"] == VERSIONS[4:]
    with pytest.raises(AnsibleFilterError, match=r"ltsp_container_versions: .*there is no image"):
        ltsp_container_versions([], [node()])


def test_a_layer_for_each_version_with_its_own_time() -> None:
    manifests = [{"name": "node", "version": version, "created": f"2026-11-2{day}T22:30:00Z"} for day, version in enumerate(VERSIONS)]
    layers = version_layers(reversed(manifests), "/data/ltsp")
    assert [layer["comment"] for layer in layers] == [f"node {version}" for version in VERSIONS]
    assert layers[0] == {
        "src": f"/data/ltsp/public/images/node/{VERSIONS[0]}",
        "dest": f"/srv/ltsp/public/images/node/{VERSIONS[0]}",
        "time": "2026-11-20T22:30:00Z",
        "comment": f"node {VERSIONS[0]}",
    }
