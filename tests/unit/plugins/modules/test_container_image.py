# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module in a process of its own, with a stand-in for the Docker SDK that keeps engine and registry in a file."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.serverfarm.ltsp.plugins.modules import container_image

NAME = "registry.example.org/farm/ltsp"
SDK = """
import io, json, os, tarfile, hashlib, types, sys
from . import errors, tls
STATE = os.environ["FAKE_DOCKER"]

class Api:
    def __init__(self):
        with open(STATE) as stream:
            self.state = json.load(stream)

    def save(self, call):
        self.state["calls"].append(call)
        with open(STATE, "w") as stream:
            json.dump(self.state, stream)

    def login(self, username, password, registry, reauth):
        self.save(f"login {username} {registry}")
        if password != "right":
            raise errors.APIError("401", explanation="login attempt failed with status: 401 Unauthorized")

    def inspect_image(self, reference):
        if reference not in self.state["engine"]:
            raise errors.NotFound("no such image")
        return self.state["engine"][reference]

    def inspect_distribution(self, reference, auth_config):
        if self.state.get("registry_says"):
            raise errors.APIError("500", explanation=self.state["registry_says"])
        if reference not in self.state["registry"]:
            raise errors.NotFound("manifest unknown")
        return {"Descriptor": {"digest": self.state["registry"][reference]}}

    def load_image(self, data):
        archive = tarfile.open(fileobj=io.BytesIO(b"".join(data)))
        [manifest] = json.load(archive.extractfile("manifest.json"))
        config = archive.extractfile(manifest["Config"]).read()
        layers = [hashlib.sha256(archive.extractfile(name).read()).hexdigest() for name in manifest["Layers"]]
        identity = "sha256:" + hashlib.sha256(config).hexdigest()
        self.state["engine"][manifest["RepoTags"][0]] = {
            "Id": identity, "RootFS": {"Layers": ["sha256:" + layer for layer in layers]}, "Config": json.loads(config)["config"], "RepoDigests": []}
        self.save("load")
        return []

    def push(self, reference, stream, decode, auth_config):
        image = self.state["engine"][reference]
        digest = "sha256:" + hashlib.sha256(image["Id"].encode()).hexdigest()
        name = reference.rpartition(":")[0]
        image["RepoDigests"] = [f"{name}@{digest}"]
        self.state["registry"][reference] = digest
        self.save("push")
        return [{"status": "Pushed"}, {"aux": {"Digest": digest}}]

class DockerClient:
    def __init__(self, base_url, version, timeout, tls, use_ssh_client):
        if "nobody" in base_url:
            raise errors.DockerException("Connection refused")
        self.api = Api()

    def close(self):
        pass
"""
ERRORS = """
class DockerException(Exception):
    pass
class APIError(DockerException):
    def __init__(self, message, explanation=None):
        super().__init__(message)
        self.explanation = explanation
        self.status_code = int(message) if message.isdigit() else 404
class NotFound(APIError):
    pass
"""


class Host:
    """A directory to make an image of, an engine and a registry."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.state = path / "state.json"
        self.source = path / "source"
        self.source.mkdir()
        (self.source / "file").write_text("one", encoding="utf-8")
        files = {"docker/__init__.py": SDK, "docker/errors.py": ERRORS, "docker/tls.py": "class TLSConfig:\n    pass\n"}
        files.update({"requests/__init__.py": "", "requests/exceptions.py": "class RequestException(Exception):\n    pass\n"})
        for name, text in files.items():
            (path / "sdk" / name).parent.mkdir(parents=True, exist_ok=True)
            (path / "sdk" / name).write_text(text, encoding="utf-8")
        self.write(engine={}, registry={})

    def write(self, **state: t.Any) -> None:
        self.state.write_text(json.dumps({"calls": [], "engine": {}, "registry": {}, **state}), encoding="utf-8")

    def read(self) -> dict[str, t.Any]:
        state: dict[str, t.Any] = json.loads(self.state.read_text(encoding="utf-8"))
        return state

    def calls(self) -> list[str]:
        """What was asked of the engine since the last time."""
        state = self.read()
        self.write(**{**state, "calls": []})
        return list(state["calls"])

    def run(self, sdk: bool = True, **arguments: t.Any) -> dict[str, t.Any]:
        parameters = {"name": NAME, "layers": [{"src": str(self.source)}], "cache": str(self.path / "cache.json"), **arguments}
        modules = [str(self.path / "sdk")] if sdk else []
        process = subprocess.run(
            [sys.executable, container_image.__file__],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "FAKE_DOCKER": str(self.state), "PYTHONPATH": os.pathsep.join([*modules, *filter(None, sys.path)])},
        )
        assert process.stdout, process.stderr
        result: dict[str, t.Any] = json.loads(process.stdout)
        return result


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def test_an_image_is_loaded_and_pushed_once(host: Host) -> None:
    first = host.run()
    assert first["changed"]
    assert first["tag"] == first["id"][7:19]
    assert first["image"] == f"{NAME}@{first['digest']}"
    assert [layer["size"] for layer in first["layers"]] == [first["size"]]
    assert host.calls() == ["load", "push"]
    second = host.run()
    assert not second["changed"]
    assert (second["image"], second["id"]) == (first["image"], first["id"])
    assert host.calls() == []


def test_a_check_changes_nothing_and_is_right(host: Host) -> None:
    result = host.run(_ansible_check_mode=True, _ansible_diff=True)
    assert (result["changed"], result["image"], result["digest"]) == (True, None, None)
    assert result["id"] in result["diff"]["after"]
    assert host.calls() == []
    assert not (host.path / "cache.json").exists()
    host.run()
    host.calls()
    result = host.run(_ansible_check_mode=True, _ansible_diff=True)
    assert not result["changed"]
    assert "diff" not in result
    assert host.calls() == []


def test_the_cache_has_its_former_name_too(host: Host) -> None:
    result = host.run(cache=None, memory=str(host.path / "memory.json"))
    assert "memory" in json.dumps(result["deprecations"])
    assert (host.path / "memory.json").exists()


def test_a_check_works_before_the_directories_exist(host: Host) -> None:
    result = host.run(layers=[{"src": "/nonexistent"}], _ansible_check_mode=True)
    assert (result["changed"], result["id"]) == (True, None)


def test_other_content_has_another_tag(host: Host) -> None:
    first = host.run()
    (host.source / "file").write_text("two", encoding="utf-8")
    second = host.run()
    assert second["changed"]
    assert second["tag"] != first["tag"]


def test_an_engine_that_was_emptied_gets_it_again_and_nothing_changes(host: Host) -> None:
    first = host.run()
    host.write(registry=host.read()["registry"])
    second = host.run()
    assert host.calls() == ["load", "push"]
    assert (second["changed"], second["digest"]) == (False, first["digest"])


def test_a_registry_that_lost_it_gets_it_again(host: Host) -> None:
    host.run()
    host.write(engine=host.read()["engine"])
    assert host.run()["changed"]
    assert host.calls() == ["push"]


def test_a_tag_that_was_moved_is_moved_back(host: Host) -> None:
    first = host.run(tag="farm")
    state = host.read()
    host.write(engine=state["engine"], registry={f"{NAME}:farm": "sha256:" + "0" * 64})
    second = host.run(tag="farm")
    assert (second["changed"], second["digest"], second["tag"]) == (True, first["digest"], "farm")


def test_without_a_push_the_registry_is_not_asked(host: Host) -> None:
    host.write(registry_says="dial tcp: no such host")
    first = host.run(push=False, username="joe", password="wrong")
    assert (first["changed"], first["digest"]) == (True, None)
    assert first["image"] == f"{NAME}:{first['tag']}"
    assert host.calls() == ["load"]
    assert not host.run(push=False)["changed"]


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("Get https://registry.example.org/v2/: x509: certificate signed by unknown authority", "/etc/docker/certs.d/registry.example.org/ca.crt"),
        ("dial tcp 10.9.0.2:443: connect: connection refused", "registry registry.example.org cannot be reached from the engine's host"),
    ],
)
def test_what_is_wrong_with_the_registry_is_said_before_anything_is_loaded(host: Host, says: str, message: str) -> None:
    host.write(registry_says=says)
    result = host.run()
    assert result["failed"]
    assert message in result["msg"]
    assert host.calls() == []


def test_refused_credentials_name_the_user_and_never_the_password(host: Host) -> None:
    result = host.run(username="joe", password="s3cr3t")
    assert result["failed"]
    assert "refuses the user joe" in result["msg"]
    assert "s3cr3t" not in json.dumps(result)
    assert host.calls() == ["login joe registry.example.org"]
    assert host.run(username="joe", password="right")["changed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "ltsp"}, "'ltsp' is not REGISTRY/REPOSITORY"),
        ({"layers": []}, "layers: the list is empty"),
        ({"layers": [{"src": "/nonexistent"}]}, "/nonexistent is no directory: make it first"),
        ({"docker_host": "tcp://nobody:2376"}, "Docker Engine cannot be reached at tcp://nobody:2376"),
        ({"sdk": False}, "install the package python3-docker"),
        ({"exposed_ports": ["80"]}, "'80' is not a port"),
        ({"username": "joe"}, "parameters are required together"),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(host: Host, arguments: dict[str, t.Any], message: str) -> None:
    result = host.run(**arguments)
    assert result["failed"]
    assert message in result["msg"]
    assert host.calls() == []
