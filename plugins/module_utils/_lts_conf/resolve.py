# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of one node, resolved from the sections that match it."""

from __future__ import annotations

import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import LIKE, encode
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import LtsConfError, fold, is_glob, parse_glob, version_key
from ansible_collections.serverfarm.ltsp.plugins.module_utils._net import mac_dashes, normalize_mac

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import Document, Section

NO_PARAMETERS = "# No parameters for this node.\n"


class Identity(t.NamedTuple):
    """Names by which the sections of a node are found. An empty one is unknown and matches nothing."""

    hostname: str = ""
    ip: str = ""
    mac: str = ""


class Value(t.NamedTuple):
    """Value of a parameter and the section that it comes from."""

    value: str
    section: str


class Reader:
    """Resolver of one file. Sections are indexed once: exact names are looked up, only globs are searched."""

    def __init__(self, document: Document) -> None:
        self._named = document.named()
        self._globs = [(parse_glob(section.name)[0], section) for section in document.sections if is_glob(section.name)]

    def sections(self, identity: Identity) -> list[Section]:
        """Return the sections that match a node, the strongest first."""
        found: dict[int, Section] = {}
        names = [fold(name) for name in identity if name]
        exact = next((self._named[name] for name in names if name in self._named), None)
        if exact:
            self._follow(exact, found)
        for name in names:
            glob = self.glob(name)
            if glob:
                self._follow(glob, found)
        default = self._named.get("default")
        if default:
            found.setdefault(id(default), default)
        return list(found.values())

    def glob(self, name: str) -> t.Optional[Section]:
        """Return the first section whose name is a glob that matches the folded name."""
        return next((section for pattern, section in self._globs if pattern.fullmatch(name)), None)

    def following(self, start: Section) -> list[Section]:
        """Return the section and those that it names with LIKE, in turn, the strongest first."""
        found: dict[int, Section] = {}
        self._follow(start, found)
        return list(found.values())

    def _follow(self, start: Section, found: dict[int, Section]) -> None:
        """Follow LIKE level by level, as LTSP 5 does: first the sections that `start` names, then those that these name."""
        queue = [start]
        for section in queue:
            if id(section) not in found:
                found[id(section)] = section
                queue.extend(self._named[fold(line.value)] for line in section.parameters(LIKE) if fold(line.value) in self._named)

    def parameters(self, identity: Identity) -> dict[str, Value]:
        """Return the parameters of a node in version order."""
        values: dict[str, Value] = {}
        for section in self.sections(identity):
            for key, value in section.values().items():
                values.setdefault(key, Value(value, section.name))
        return {key: values[key] for key in sorted(values, key=version_key) if fold(values[key].value) != "none"}


def resolved_text(parameters: Mapping[str, Value]) -> str:
    """Return the file of one node: it gives these parameters again, for that node and for every other."""
    if not parameters:
        return NO_PARAMETERS
    return "[default]\n" + "".join(f'{key}="{value.value}"\n' for key, value in parameters.items())


def resolved_files(document: Document, nodes: Iterable[Mapping[str, t.Any]]) -> dict[str, bytes]:
    """Return the files of all nodes by name: one for each MAC address, because it may name a section."""
    reader = Reader(document)
    owners: dict[str, str] = {}
    files = {}
    for node in nodes:
        for address in node["macs"]:
            try:
                mac = normalize_mac(address)
            except ValueError as error:
                raise LtsConfError(f"node {node['hostname']}: {error}") from error
            if mac in owners:
                raise LtsConfError(f"nodes {owners[mac]} and {node['hostname']} have the same MAC address {mac}: correct one of them")
            owners[mac] = node["hostname"]
            parameters = reader.parameters(Identity(node["hostname"], node["ip"] or "", mac))
            files[f"{mac_dashes(mac)}.conf"] = encode(resolved_text(parameters))
    return files
