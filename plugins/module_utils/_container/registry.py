# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images, and the answers of registries."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._errors import LtspError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?P<host>{_HOST})/{_COMPONENT}(/{_COMPONENT})*")
_IMAGE = re.compile(rf"((?P<host>{_HOST})/)?{_COMPONENT}(/{_COMPONENT})*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{{64}})?")
_HUB = "docker.io"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_UNTRUSTED = re.compile(r"x509:|certificate|tls: ", re.IGNORECASE)
_REFUSED = re.compile(
    r"unauthorized|authentication required|access.* denied|denied:|no basic auth|incorrect username or password|status: 401|forbidden", re.IGNORECASE
)
_PLAIN = re.compile(r"server gave HTTP response to HTTPS client", re.IGNORECASE)
_UNREACHABLE = re.compile(r"dial tcp|no such host|connection refused|timeout|no route to host|network is unreachable|connection reset|\bEOF\b", re.IGNORECASE)


class ContainerError(LtspError):
    """A container image that cannot be made, or cannot be brought to its registry."""


def check_name(name: str) -> str:
    """Return the registry of an image name, as HOST or HOST:PORT."""
    match = _NAME.fullmatch(name)
    if not match or not _is_host(match["host"]):
        raise ContainerError(f"name: {name!r} is not REGISTRY/REPOSITORY: write it as in registry.example.org/farm/ltsp or 10.9.0.2:5000/ltsp, without a tag")
    return match["host"]


def check_image(name: str) -> str:
    """Return the registry of an image whose name may have a tag or a digest."""
    match = _IMAGE.fullmatch(name)
    if not match:
        raise ContainerError(f"name: {name!r} is no name of an image: write it as in registry.example.org/base/debian:13")
    return match["host"] if match["host"] and _is_host(match["host"]) else _HUB


def check_tag(tag: str) -> str:
    if not _TAG.fullmatch(tag):
        raise ContainerError(f"tag: {tag!r} is not a tag: use letters, digits and _ . -, at most 128")
    return tag


def pushed_digest(lines: Iterable[Mapping[str, t.Any]]) -> str:
    """Return the digest from the engine's report of a push. An error has the message of the engine."""
    digest = ""
    for line in lines:
        if "error" in line:
            raise ContainerError(str(line["error"]).strip())
        digest = (line.get("aux") or {}).get("Digest", digest)
    if not _DIGEST.fullmatch(digest):
        raise ContainerError("the engine did not say which digest it pushed: use Docker Engine 20.10 or newer")
    return digest


def explain(message: str, registry: str, username: str | None) -> str:
    """Return the meaning of an engine's message about a registry, the remedy, and the message itself."""
    message = " ".join(message.split())
    if _PLAIN.search(message):
        meaning = f"registry {registry} has no TLS: give it a certificate, or name it in insecure-registries of /etc/docker/daemon.json on the engine's host"
    elif _UNTRUSTED.search(message):
        meaning = (
            f"registry {registry} has a certificate that the engine does not trust: put the certificate of its authority"
            f" into /etc/docker/certs.d/{registry}/ca.crt on the engine's host"
        )
    elif _REFUSED.search(message):
        meaning = f"registry {registry} asks for a user: give username and password"
        if username:
            meaning = f"registry {registry} refuses the user {username}: correct username or password, or let this user push there"
    elif _UNREACHABLE.search(message):
        meaning = f"registry {registry} cannot be reached from the engine's host: check its name, its port and that it runs"
    else:
        meaning = f"registry {registry}"
    return f"{meaning} (the engine says: {message})"


def _is_host(word: str) -> bool:
    """Tell whether Docker takes the first word of a name for a registry."""
    return "." in word or ":" in word or word == "localhost"
