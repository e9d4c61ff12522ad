# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ltsp.conf(5), the file of LTSP 19 and later, from the sections of an lts.conf.

LTSP makes a shell function of each section. It calls [clients], then the first section whose name matches the MAC address, the IP address
and the host name. The last assignment wins. INCLUDE cannot express the order of LIKE, because LTSP runs an included section only once:
each section is written with all parameters of the sections that it names.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf import masking
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import Finding
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import OWNED
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import fold, glob_pattern, is_glob, matches, version_key
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.resolve import Reader

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import Document, Section

# The order in which LTSP looks for sections: the last is the strongest.
_KINDS = ("MAC address", "IP address", "host name")
_MAC, _IP, _HOST = range(3)
_MAC_NAME = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_IP_NAME = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
# LTSP drops other characters from names, and / and | have a meaning of their own.
_NAME = re.compile(r"[-*.:?_0-9a-z]+")
_TAKEN = frozenset("call clients common list server unnamed".split())
_HOSTNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_CRON = re.compile(r"(\s*(?:@\S+|\S+(?:\s+\S+){4})\s+)(\S.*)")
_CRON_VARIABLE = re.compile(r"\s*\w+\s*=.*")
_ABSENT = re.compile(r"/rofs\b|\b(?:IPV4ADDR|LTSP_CLIENT_MAC|LTSP_IMAGE|LTSP_ROOT|LTSP_VERSION)\b")
_TRUE = frozenset("1 on t true y yes".split())

_SAME = frozenset("CUPS_SERVER DNS_SERVER HOSTNAME KEEP_SYSTEM_SERVICES SEARCH_DOMAIN SERVER".split())
_SWITCHES = {"LTSP_NBD_TO_RAM": "IMAGE_TO_RAM", "USE_LOCAL_SWAP": "LOCAL_SWAP"}
_RENAMED = {**_SWITCHES, "RM_SYSTEM_SERVICES": "MASK_SYSTEM_SERVICES"}
_FAMILIES = {"CRONTAB_": "CRONTAB_", "FSTAB_": "FSTAB_", "HOSTS_": "HOSTS_", "PREINIT_": "POST_INIT_"}
_SOURCES = {target: source for source, target in _RENAMED.items()}

# LTSP does not boot when the last POST_INIT_ command fails. A lower-case letter sorts behind all keys.
_GO_ON = "POST_INIT_z"
# LTSP calls the first section that matches these names, which may be a glob of the task.
_GUARDS = "# Empty, so that no section below is taken for one of these:\n[server]\n[common]\n[*/*]\n"


def convert(document: Document, own: Iterable[str] = ()) -> tuple[str, list[Finding]]:
    """Return the text of ltsp.conf, and the findings for which it must not be written."""
    complaints: list[str] = []
    sections = [section for section in document.sections if fold(section.name) != "default"]
    kinds = _kinds(sections, complaints)
    translated = _translated(document, [glob_pattern(name) for name in own], complaints)
    reader = Reader(document)

    def level(section: Section) -> dict[str, str]:
        values: dict[str, str] = {}
        for other in reader.following(section):
            values = {**translated[id(other)], **values}
        return values

    levels = {id(section): level(section) for section in sections}
    complaints += _reversed(sections, kinds, levels)
    complaints += _renamed_hosts(document, reader, kinds, levels)

    default = document.named().get("default")
    clients = dict(translated[id(default)]) if default else {}
    if any(key.startswith(_FAMILIES["PREINIT_"]) for values in translated.values() for key in values):
        clients[_GO_ON] = "true"
    globs = [section for section in sections if is_glob(section.name)]
    exact = [section for section in sections if not is_glob(section.name)]
    parts = [OWNED, _section("clients", clients), *([_GUARDS] if globs else [])]
    # LTSP takes the first section that matches: exact names come before globs.
    for section in [*exact, *globs]:
        glob = None if section in globs else reader.glob(fold(section.name))
        weaker = levels[id(glob)] if glob else {}
        parts.append(_section(fold(section.name), {**weaker, **levels[id(section)]}))
    return "\n".join(parts), [Finding(0, complaint) for complaint in complaints]


def masked(text: str, secret: Sequence[re.Pattern[str]]) -> str:
    """Mask the values of secret parameters, whose names are those of lts.conf."""

    def mask(match: re.Match[str]) -> str:
        return f'{match[1]}="{masking.MASK}"' if matches(_source(match[1]), secret) else match[0]

    return re.sub(r"^(\w+)=.*$", mask, masking.masked(text, secret), flags=re.MULTILINE)


def _source(key: str) -> str:
    target = _FAMILIES["PREINIT_"]
    return "PREINIT_" + key[len(target) :] if key.startswith(target) else _SOURCES.get(key, key)


def _section(name: str, values: Mapping[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{key}={_quoted(values[key])}\n" for key in sorted(values, key=version_key))


def _quoted(value: str) -> str:
    return '"' + re.sub(r'([\\$`"])', r"\\\1", value) + '"'


def _kinds(sections: Iterable[Section], complaints: list[str]) -> dict[int, int]:
    """Return the kind of each section's name, and complain about names that LTSP would confuse."""
    kinds = {}
    functions = {"___": "*/*"}
    for section in sections:
        name = fold(section.name)
        place = f"section [{section.name}]"
        kinds[id(section)] = _HOST
        if not _NAME.fullmatch(name):
            complaints.append(f"{place}: a name in ltsp.conf is made of letters, digits and - . : _ * ?: write a section for each name that is meant")
        elif name in _TAKEN:
            complaints.append(f"{place}: the name has a meaning of its own in ltsp.conf: rename the section")
        elif _kind(name) is None:
            complaints.append(
                f"{place} may mean a host name, an IP address or a MAC address, which ltsp.conf looks for one after the other: "
                "write more of the name, or [default] for all nodes"
            )
        else:
            kinds[id(section)] = t.cast("int", _kind(name))
        # The name of a shell function has an underscore for every character that is no letter or digit.
        function = re.sub("[^0-9a-z]", "_", name)
        if function in functions:
            complaints.append(f"{place} and [{functions[function]}] are the same for ltsp.conf, to which all but letters and digits is alike: rename one")
        functions[function] = section.name
    return kinds


def _kind(name: str) -> t.Optional[int]:
    if not is_glob(name):
        return _MAC if _MAC_NAME.fullmatch(name) else _IP if _IP_NAME.fullmatch(name) else _HOST
    if ":" in name:
        return _MAC
    if re.search("[-_g-z]", name) or (re.search("[a-f]", name) and "." in name):
        return _HOST
    return _IP if re.fullmatch(r"[0-9.?*]*[0-9][0-9.?*]*", name) and "." in name else None


def _translated(document: Document, own: Sequence[re.Pattern[str]], complaints: list[str]) -> dict[int, dict[str, str]]:
    """Return the parameters of each section under their names in ltsp.conf, where an empty value stands for NONE."""
    translated: dict[int, dict[str, str]] = {}
    sources: dict[str, str] = {}
    for section in document.sections:
        values = translated[id(section)] = {}
        for key, value in section.values().items():
            target, text, complaint = _parameter(key, value, own)
            if sources.setdefault(target, key) != key:
                complaint = f"{sources[target]} becomes {target} too: keep one of them"
            if complaint:
                complaints.append(f"section [{section.name}], {key}: {complaint}")
            values[target] = text
    for source, target in _FAMILIES.items():
        keys = sorted((key for key in sources.values() if key.startswith(source)), key=version_key)
        for first, second in zip(keys, keys[1:]):
            if first > second:
                complaints.append(f"{second} comes before {first} in ltsp.conf, which sorts {target}* letter by letter: give the numbers equally many digits")
    return translated


def _parameter(key: str, value: str, own: Sequence[re.Pattern[str]]) -> tuple[str, str, str]:
    """Return name and value in ltsp.conf, and the reason why it has no counterpart, or ""."""
    family = next((name for name in _FAMILIES if key.startswith(name)), "")
    target = _FAMILIES[family] + key[len(family) :] if family else _RENAMED.get(key, key)
    known = bool(family) or key in _SAME or key in _RENAMED
    complaint = ""
    if key.startswith("RCFILE_"):
        complaint = "ltsp.conf has nothing that runs commands once the node is up: make them a systemd service of the image"
    elif not known and not matches(key, own):
        complaint = "ltsp.conf has no such parameter: remove it, or name it in own_parameters to have it written as it is"
    if fold(value) == "none":
        return target, "", complaint
    if key in _SWITCHES:
        value = str(int(fold(value) in _TRUE))
    elif family == "CRONTAB_" and not _CRON_VARIABLE.fullmatch(value):
        match = _CRON.fullmatch(value)
        complaint = "" if match else "a line of a crontab has five fields of time, or @reboot and the like, and a command"
        value = f"{match[1]}root {match[2]}" if match else value
    elif family == "PREINIT_":
        absent = _ABSENT.search(value)
        complaint = f"there is no {absent[0]} on a node of today's LTSP: ask the node itself, as with ip(8)" if absent else ""
    elif key == "HOSTNAME" and not _HOSTNAME.fullmatch(value):
        complaint = "LTSP would evaluate what is no letter, digit, - or .: give a host name"
    return target, value, complaint


def _reversed(sections: Iterable[Section], kinds: Mapping[int, int], levels: Mapping[int, Mapping[str, str]]) -> list[str]:
    """Return the parameters for which another section wins: exact names in lts.conf, host names in ltsp.conf."""
    globs: dict[tuple[int, str], dict[str, str]] = {}
    for section in sections:
        if is_glob(section.name):
            for key, value in levels[id(section)].items():
                for kind in range(kinds[id(section)]):
                    globs.setdefault((kind, key), {}).setdefault(value, section.name)
    complaints = []
    for section in sections:
        if not is_glob(section.name):
            kind = kinds[id(section)]
            for key, value in levels[id(section)].items():
                other = next((name for text, name in globs.get((kind, key), {}).items() if text != value), None)
                if other:
                    complaints.append(
                        f"section [{section.name}], {key}: [{other}] would win in ltsp.conf if it matches the same node: "
                        f"name that node by its host name instead of its {_KINDS[kind]}"
                    )
    return complaints


def _renamed_hosts(document: Document, reader: Reader, kinds: Mapping[int, int], levels: Mapping[int, Mapping[str, str]]) -> list[str]:
    """Return the sections whose HOSTNAME changes the section that LTSP looks up afterwards, by the host name."""
    named = document.named()
    complaints = []
    for section in document.sections:
        name = fold(section.name)
        values = section.values() if name == "default" else levels[id(section)]
        hostname = fold(values.get("HOSTNAME", ""))
        if "HOSTNAME" not in values or kinds.get(id(section)) == _HOST:
            continue
        if name == "default" or not hostname:
            complaints.append(f"section [{section.name}], HOSTNAME: ltsp.conf would lose the node's own section: set HOSTNAME in the sections of single nodes")
        elif hostname in named or reader.glob(hostname):
            complaints.append(f"section [{section.name}], HOSTNAME: in ltsp.conf the node gets the section of that name too: put both into one")
    return complaints
