# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from container_samples import DIGEST

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container import registry


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("registry.example.org/farm/ltsp", "registry.example.org"),
        ("10.9.0.2:5000/ltsp", "10.9.0.2:5000"),
        ("localhost/ltsp", "localhost"),
        ("registry:5000/a_b/c-d.e", "registry:5000"),
    ],
)
def test_the_registry_is_the_first_part_of_the_name(name: str, host: str) -> None:
    assert registry.check_name(name) == host


@pytest.mark.parametrize(
    "name", ["ltsp", "farm/ltsp", "registry.example.org/", "registry.example.org/Ltsp", "registry.example.org/ltsp:1", "https://x.org/a", ""]
)
def test_a_name_without_registry_or_with_a_tag_is_refused(name: str) -> None:
    with pytest.raises(registry.ContainerError, match="is not REGISTRY/REPOSITORY"):
        registry.check_name(name)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("debian", "docker.io"),
        ("library/debian:13", "docker.io"),
        ("registry.example.org/base/debian:13-slim", "registry.example.org"),
        (f"registry.example.org:5000/debian@{DIGEST}", "registry.example.org:5000"),
    ],
)
def test_an_image_of_others_may_be_anywhere(name: str, host: str) -> None:
    assert registry.check_image(name) == host


@pytest.mark.parametrize("name", ["", "Debian", "debian:", "debian@sha256:12", "a b"])
def test_what_names_no_image_is_refused(name: str) -> None:
    with pytest.raises(registry.ContainerError, match="is no name of an image"):
        registry.check_image(name)


def test_the_digest_of_a_push_is_the_engines_last_word() -> None:
    lines = [{"status": "Pushed"}, {"aux": {"Tag": "1", "Digest": DIGEST, "Size": 1}}]
    assert registry.pushed_digest(lines) == DIGEST
    with pytest.raises(registry.ContainerError, match="did not say which digest"):
        registry.pushed_digest(lines[:1])
    with pytest.raises(registry.ContainerError, match=r"^denied$"):
        registry.pushed_digest([{"error": "denied\n", "errorDetail": {}}])


@pytest.mark.parametrize(
    ("message", "username", "meaning"),
    [
        ("Get https://r/v2/: x509: certificate signed by unknown authority", "joe", "into /etc/docker/certs.d/r:5000/ca.crt on the engine's host"),
        ("tls: failed to verify certificate: x509: certificate is valid for a, not r", None, "has a certificate that the engine does not trust"),
        ("unauthorized: authentication required", "joe", "registry r:5000 refuses the user joe: correct username or password"),
        ("no basic auth credentials", None, "registry r:5000 asks for a user: give username and password"),
        ("denied: requested access to the resource is denied", "joe", "refuses the user joe"),
        ("login attempt to https://r/v2/ failed with status: 401 Unauthorized", "joe", "refuses the user joe"),
        ("dial tcp 10.9.0.2:5000: connect: connection refused", "joe", "registry r:5000 cannot be reached from the engine's host"),
        ("dial tcp: lookup r on 1.1.1.1:53: no such host", None, "cannot be reached"),
        ("net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)", None, "cannot be reached"),
        ("http: server gave HTTP response to HTTPS client", None, "registry r:5000 has no TLS"),
        ("blob upload invalid", None, "registry r:5000 (the engine says: blob upload invalid)"),
    ],
)
def test_what_an_engine_says_is_explained(message: str, username: str | None, meaning: str) -> None:
    explained = registry.explain(message, "r:5000", username)
    assert meaning in explained
    assert message in explained
