# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs of a tree: the options of the module after a check, and the digest that tells trees apart."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = 1
DEFAULT_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DISTRIBUTED_KEYRINGS = "/usr/share/keyrings/"
BASE = "base"
ARMOR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_SUITE = re.compile(r"[a-z0-9][a-z0-9.+~-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_/-]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9][a-z0-9-]*)?([=/][A-Za-z0-9][A-Za-z0-9.+:~_-]*)?")
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SOURCE_SUITE = re.compile(r"/|[A-Za-z0-9.][A-Za-z0-9.+~_/-]*")
_URL = re.compile(r"https?://[A-Za-z0-9\[][^\s@?#]*")


class Source(t.NamedTuple):
    """Archive beside the one of the base system, as a stanza of deb822."""

    name: str
    types: list[str]
    uris: list[str]
    suites: list[str]
    components: list[str]
    architectures: list[str]
    signed_by: str | None


class Inputs(t.NamedTuple):
    """Options and host settings on which a tree depends."""

    suite: str
    mirror: str
    components: list[str]
    architecture: str
    variant: str
    keyring: str
    packages: list[str]
    install_recommends: bool
    sources: list[Source]
    method: str

    def record(self) -> dict[str, t.Any]:
        """Return the inputs as plain data. A key is its digest, unless a package of the distribution brings it."""
        keyring = self.keyring if self.keyring.startswith(DISTRIBUTED_KEYRINGS) else _key_digest(self.keyring)
        sources = [{**source._asdict(), "signed_by": source.signed_by and _key_digest(source.signed_by)} for source in self.sources]
        return {**self._asdict(), "keyring": keyring, "sources": sources}


def parse_inputs(params: Mapping[str, t.Any]) -> Inputs:
    """Return the options of the module, checked and in the form in which they are compared."""
    inputs = Inputs(
        suite=params["suite"],
        mirror=params["mirror"].rstrip("/"),
        components=_unique(params["components"]),
        architecture=params["architecture"] or _host_architecture(),
        variant=params["variant"],
        keyring=params["keyring"],
        packages=sorted(set(params["packages"])),
        install_recommends=params["install_recommends"],
        sources=[_parse_source(source) for source in params["sources"]],
        method=params["method"],
    )
    _check("suite", [inputs.suite], _SUITE, "the code name of a release, as trixie")
    _check("mirror", [inputs.mirror], _URL, "an http or https URL without user name and password (it is written into the tree)")
    _check("components", inputs.components, _COMPONENT, "a component of an archive, as main")
    _check("architecture", [inputs.architecture], _ARCHITECTURE, "an architecture of dpkg, as amd64")
    _check("packages", inputs.packages, _PACKAGE, "the name of a package, with =VERSION or /SUITE if need be")
    if not inputs.components:
        raise ChrootError("components: the list is empty: name at least one, as main")
    if not inputs.keyring.startswith("/"):
        raise ChrootError(f"keyring: {inputs.keyring!r} is not an absolute path")
    names = [BASE, *(source.name for source in inputs.sources)]
    for name in names:
        if names.count(name) > 1:
            raise ChrootError(f"sources: the name {name!r} is taken ({BASE!r} is that of mirror and suite): give each source a name of its own")
    return inputs


def _parse_source(params: Mapping[str, t.Any]) -> Source:
    source = Source(
        name=params["name"],
        types=_unique(params["types"]),
        uris=_unique(params["uris"]),
        suites=_unique(params["suites"]),
        components=_unique(params["components"]),
        architectures=_unique(params["architectures"]),
        signed_by=params["signed_by"].strip() if params["signed_by"] else None,
    )
    place = f"sources, {source.name!r}"
    _check("sources", [source.name], _SOURCE_NAME, "a name of letters, digits, dots, dashes and underscores")
    _check(f"{place}: uris", source.uris, _URL, "an http or https URL without user name and password (it is written into the tree)")
    _check(f"{place}: suites", source.suites, _SOURCE_SUITE, "a suite, or a directory that ends in a slash")
    _check(f"{place}: components", source.components, _COMPONENT, "a component of an archive, as main")
    _check(f"{place}: architectures", source.architectures, _ARCHITECTURE, "an architecture of dpkg, as amd64")
    for option, values in (("types", source.types), ("uris", source.uris), ("suites", source.suites)):
        if not values:
            raise ChrootError(f"{place}: {option} is empty")
    for suite in source.suites:
        if suite.endswith("/") and source.components:
            raise ChrootError(f"{place}: the suite {suite!r} is a directory, which has no components: leave them out")
        if not suite.endswith("/") and not source.components:
            raise ChrootError(f"{place}: the suite {suite!r} needs components, as main; a directory without any ends in a slash")
    if source.signed_by and not source.signed_by.startswith(("/", ARMOR)):
        raise ChrootError(f"{place}: signed_by is neither an absolute path nor a key that begins with {ARMOR}")
    return source


def _check(option: str, values: Iterable[str], pattern: re.Pattern[str], wanted: str) -> None:
    for value in values:
        if not pattern.fullmatch(value):
            raise ChrootError(f"{option}: {value!r} is not {wanted}")


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _host_architecture() -> str:
    try:
        return subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ChrootError(f"architecture: not given, and this host does not tell its own ({error}): give it, or install the package dpkg") from error


def _key_digest(key: str) -> str | None:
    """Return the SHA-256 of a key, given in full or as a path. None stands for a missing file and differs from every key."""
    try:
        return hashlib.sha256(read_key(key)).hexdigest()
    except FileNotFoundError:
        return None


def read_key(key: str) -> bytes:
    if key.startswith(ARMOR):
        return key.encode() + b"\n"
    with open(key, "rb") as stream:
        return stream.read()


def digest(record: Mapping[str, t.Any]) -> str:
    """Return the SHA-256 of the inputs."""
    return hashlib.sha256(json.dumps({"schema": SCHEMA, **record}, sort_keys=True).encode()).hexdigest()
