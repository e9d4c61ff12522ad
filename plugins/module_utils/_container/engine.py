# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker Engine, by the Docker SDK for Python."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.registry import ContainerError, explain, pushed_digest
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError

try:
    import docker
    import docker.errors
    import docker.tls
    import requests.exceptions
except ImportError:
    HAS_DOCKER = False
else:
    HAS_DOCKER = True

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DEFAULT_HOST = "unix:///var/run/docker.sock"
# An engine sends nothing while it unpacks an image.
_TIMEOUT = 1800

ARGUMENTS: dict[str, t.Any] = {
    "docker_host": {"type": "str", "default": DEFAULT_HOST},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
}
REQUIRED_TOGETHER = [("client_cert", "client_key"), ("username", "password")]


class Engine:
    """Engine, and the account with which it works at a registry."""

    def __init__(self, client: t.Any, host: str, registry: str, username: str | None, password: str | None) -> None:
        self._client = client
        self._host = host
        self._registry = registry
        self._username = username
        self._account = {"username": username, "password": password} if username else None

    def login(self) -> None:
        """Check that the registry accepts the account, before anything large is moved."""
        if self._account:
            with self._registry_errors():
                self._client.api.login(**self._account, registry=self._registry, reauth=True)

    def inspect(self, reference: str) -> dict[str, t.Any] | None:
        """Return the engine's description of an image, None when it does not have the image."""
        with self._engine_errors():
            try:
                inspected: dict[str, t.Any] = self._client.api.inspect_image(reference)
            except docker.errors.NotFound:
                return None
        return inspected

    def registry_digest(self, reference: str) -> str | None:
        """Return the digest of a tag in the registry, None when the registry has no such tag."""
        with self._registry_errors():
            try:
                return str(self._client.api.inspect_distribution(reference, auth_config=self._account)["Descriptor"]["digest"])
            except docker.errors.NotFound:
                return None
            except docker.errors.APIError as error:
                # A registry may refuse access to a repository that the first push creates. login() has checked the account.
                if self._account and error.status_code in (401, 403):
                    return None
                raise

    def load(self, archive: Iterator[bytes], reference: str) -> None:
        """Load an image in the form of `docker save`."""
        with self._engine_errors():
            for line in self._client.api.load_image(archive):
                if "error" in line:
                    raise ContainerError(f"the engine at {self._host} does not take the image {reference}: {str(line['error']).strip()}")
        if self.inspect(reference) is None:
            raise ContainerError(f"the engine at {self._host} took the image {reference}, but does not have it: look into its log (journalctl -u docker)")

    def push(self, reference: str) -> str:
        """Push a tag, and return the digest that it has in the registry."""
        with self._registry_errors():
            return pushed_digest(self._client.api.push(reference, stream=True, decode=True, auth_config=self._account))

    def pull(self, reference: str) -> None:
        """Fetch an image from its registry."""
        with self._registry_errors():
            for line in self._client.api.pull(reference, stream=True, decode=True, auth_config=self._account):
                if "error" in line:
                    raise ContainerError(str(line["error"]).strip())

    @contextlib.contextmanager
    def exported(self, reference: str) -> Iterator[Iterable[bytes]]:
        """Yield all files of an image as one archive, from a container that never runs."""
        with self._engine_errors():
            container = self._client.api.create_container(reference, command=["/"], network_disabled=True)
            try:
                yield self._client.api.export(container)
            finally:
                self._client.api.remove_container(container, force=True)

    @contextlib.contextmanager
    def _engine_errors(self) -> Iterator[None]:
        try:
            yield
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise ContainerError(f"the engine at {self._host} fails: {_message(error)}") from error

    @contextlib.contextmanager
    def _registry_errors(self) -> Iterator[None]:
        try:
            yield
        # An APIError is a RequestException as well: this clause comes first.
        except (docker.errors.DockerException, ContainerError) as error:
            raise ContainerError(explain(_message(error), self._registry, self._username)) from error
        except requests.exceptions.RequestException as error:
            raise ContainerError(f"the engine at {self._host} fails: {error}") from error


@contextlib.contextmanager
def connect(parameters: Mapping[str, t.Any], registry: str) -> Iterator[Engine]:
    """Connect to the engine that the options of a module name."""
    if not HAS_DOCKER:
        raise ContainerError(f"the Docker SDK for Python is missing for {sys.executable}: install the package python3-docker")
    host, ca_cert, client_cert = parameters["docker_host"], parameters["ca_cert"], parameters["client_cert"]
    tls = None
    try:
        if ca_cert or client_cert:
            pair = (client_cert, parameters["client_key"]) if client_cert else None
            tls = docker.tls.TLSConfig(client_cert=pair, ca_cert=ca_cert, verify=True)
        client = docker.DockerClient(base_url=host, version="auto", timeout=_TIMEOUT, tls=tls, use_ssh_client=host.startswith("ssh://"))
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, ValueError) as error:
        raise ContainerError(f"Docker Engine cannot be reached at {host} ({error}): check that it runs, and docker_host") from error
    try:
        yield Engine(client, host, registry, parameters["username"], parameters["password"])
    finally:
        client.close()


def unpack(archive: Iterable[bytes], directory: str) -> None:
    """Unpack with tar, which keeps owners and never leaves the directory."""
    command = ["tar", "--extract", "--numeric-owner", "--same-permissions", "--directory", directory]
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=output) as process:
            stream = t.cast("t.IO[bytes]", process.stdin)
            # The message of tar tells why it ended before its input.
            with contextlib.suppress(BrokenPipeError), stream:
                for chunk in archive:
                    stream.write(chunk)
        if process.returncode:
            output.seek(0)
            raise FilesError(f"the image could not be unpacked in {directory}: {output.read().decode('utf-8', 'replace').strip()[-1000:]}")


def _message(error: Exception) -> str:
    """Return the engine's own message, without the URL of its API."""
    explanation = getattr(error, "explanation", None)
    return str(explanation or error)
