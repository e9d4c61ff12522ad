# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""lts.conf: read it as LTSP 5 does, change it without losing a comment, and tell what one node gets.

The runtime in the image has a reader of its own; tests/unit/lts_conf_cases.json holds both to one meaning.
A reader leaves out what it does not understand. A writer refuses it, and everything else of which LTSP 5's reader
would make something different (check()).
"""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils import _lts_conf_keys, _net

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_BLANK = re.compile(r"[ \t]*(?:#.*)?", re.DOTALL)
_PLAIN = r"""[^\[\]="'# \t](?:[^\[\]="'#]*[^\[\]="'# \t])?"""
_HEADER = re.compile(  # double quotes in a comment behind others would belong to what is quoted, here and below
    rf"""[ \t]*\[[ \t]*(?:"(?P<quoted>[^"]+)"[ \t]*\][ \t]*(?:#[^"]*)?|(?P<plain>{_PLAIN})[ \t]*\][ \t]*(?:#.*)?)""",
    re.DOTALL,
)
_PARAMETER = re.compile(  # a quoted value ends at the last double quote of the line
    rf"""[ \t]*(?P<key>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(?:(?P<raw>"(?P<quoted>.*)")[ \t]*(?:#[^"]*)?|(?P<plain>{_PLAIN})[ \t]*(?:#.*)?)""",
    re.DOTALL,
)
_INCLUDE = re.compile(r"[ \t]*include[ \t]")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ASSIGNMENT = re.compile(r"([ \t#]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*).*", re.DOTALL)
_DASHED_MAC = re.compile(r"[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}", re.IGNORECASE)
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}

LIKE = "LIKE"
MASK = "********"
OWNED = "# Written by Ansible, which owns this file: what you change here is lost.\n"
NO_PARAMETERS = "# No parameters for this node.\n"
_REPORTED = 20
_ORPHAN = "the parameter stands in no section: put it behind a [section]"
_BAD_HEADER = "not a header that LTSP 5 understands: write [name] on a line of its own; a name with any of [ ] = ' # stands in double quotes"


class LtsConfError(ValueError):
    """What was asked for cannot be written; the message names the value, the place and the remedy."""


class Finding(t.NamedTuple):
    """Something about one line; line 0 is one that the task adds."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


class Identity(t.NamedTuple):
    """By what the sections of a node are found; an empty string is unknown and matches nothing."""

    hostname: str = ""
    ip: str = ""
    mac: str = ""


class Value(t.NamedTuple):
    value: str
    section: str


class SectionChange(t.NamedTuple):
    """What a section has to be. A parameter has one value, none when it has to go, LIKE may have several."""

    name: str
    present: bool
    parameters: dict[str, list[str]]


class Line:
    """One line of the file. Only a parameter has a key; it is in upper case."""

    __slots__ = ("end", "key", "number", "text", "understood", "value")

    def __init__(self, text: str, end: str) -> None:
        self.text = text
        self.end = end
        self.number = 0
        self.key = ""
        self.value = ""
        match = None if _INCLUDE.match(text) else _PARAMETER.fullmatch(text)
        if match:
            self.key = match["key"].upper()
            self.value = match["plain"] or match["quoted"] or ""
        self.understood = bool(match or _BLANK.fullmatch(text))

    def assign(self, value: str) -> None:
        """Put another value into a parameter's line; its indentation and its comment stay (behind a quoted value one without double quotes)."""
        match = t.cast("re.Match[str]", _PARAMETER.fullmatch(self.text))
        start, end = match.span("plain" if match["plain"] else "raw")
        comment = self.text[end:].replace('"', "'")
        self.text = f'{self.text[:start]}"{value}"{comment}'
        self.value = value


class Section:
    """A header and the lines up to the next one. Nobody finds a section without a name: its header is not understood."""

    __slots__ = ("header", "lines", "name")

    def __init__(self, header: Line) -> None:
        match = _HEADER.fullmatch(header.text)
        self.header = header
        self.name = (match["plain"] or match["quoted"]) if match else ""
        self.lines: list[Line] = []

    def parameters(self, key: str = "") -> list[Line]:
        return [line for line in self.lines if line.key and (not key or line.key == key)]

    def values(self) -> dict[str, str]:
        """The parameters; of two equal keys the last counts. LIKE is none."""
        return {line.key: line.value for line in self.lines if line.key and line.key != LIKE}

    def set(self, key: str, values: Sequence[str], newline: str) -> None:
        lines = self.parameters(key)
        counting = lines if key == LIKE else lines[-1:]
        for line, value in zip(counting, values):
            if line.value != value:
                line.assign(value)
        surplus = lines if not values else counting[len(values) :]
        self.lines = [line for line in self.lines if line not in surplus]
        for value in values[len(counting) :]:
            parameters = self.parameters()
            position = self.lines.index(parameters[-1]) + 1 if parameters else 0
            before = parameters[-1].text if parameters else ""
            indent = before[: len(before) - len(before.lstrip(" \t"))]
            self.lines.insert(position, Line(f'{indent}{key} = "{value}"', newline))


class Document:
    """The text of an lts.conf; text() gives it back byte for byte."""

    def __init__(self, text: str = "") -> None:
        self.preamble: list[Line] = []
        self.sections: list[Section] = []
        lines = self.preamble
        for number, line in enumerate(_split(text), 1):
            line.number = number
            if line.text.lstrip(" \t").startswith("["):
                self.sections.append(Section(line))
                lines = self.sections[-1].lines
            else:
                lines.append(line)

    def lines(self) -> Iterator[Line]:
        yield from self.preamble
        for section in self.sections:
            yield section.header
            yield from section.lines

    def text(self) -> str:
        return "".join(line.text + line.end for line in self.lines())

    def named(self) -> dict[str, Section]:
        """The sections that count, by folded name: of two sections of one name the first."""
        found: dict[str, Section] = {}
        for section in self.sections:
            if section.name:
                found.setdefault(fold(section.name), section)
        return found

    def change(self, changes: Sequence[SectionChange]) -> None:
        """Bring the sections into the wanted state; all other lines stay as they are."""
        newline = "\r\n" if any(line.end == "\r\n" for line in self.lines()) else "\n"
        for line in self.lines():
            if not line.end.endswith("\n"):
                line.end = newline
        self._remove({fold(wanted.name) for wanted in changes if not wanted.present})
        named = self.named()
        for wanted in changes:
            if wanted.present:
                section = named.get(fold(wanted.name))
                if section is None:
                    self._end_with_blank_line(newline)
                    section = Section(Line(header(wanted.name), newline))
                    self.sections.append(section)
                for key, values in wanted.parameters.items():
                    section.set(key, values, newline)

    def _last_lines(self) -> list[Line]:
        return self.sections[-1].lines if self.sections else self.preamble

    def _end_with_blank_line(self, newline: str) -> None:
        lines = self._last_lines()
        if lines[-1].text.strip() if lines else self.sections:
            lines.append(Line("", newline))

    def _remove(self, names: set[str]) -> None:
        """Comments behind the last parameter of a section belong to what follows: they stay."""
        sections, self.sections = self.sections, []
        rest: list[Line] = []
        for section in sections:
            if not section.name or fold(section.name) not in names:
                self.sections.append(section)
                continue
            last = max((number for number, line in enumerate(section.lines) if line.key), default=-1)
            rest = section.lines[last + 1 :]
            while rest and not rest[0].text.strip():
                del rest[0]
            self._last_lines().extend(rest)
        if sections and (not self.sections or sections[-1] is not self.sections[-1]) and not rest:
            lines = self._last_lines()
            while lines and not lines[-1].text.strip():
                del lines[-1]


class Reader:
    """What nodes get from a file. Sections are indexed once: exact names are looked up, only globs are searched."""

    def __init__(self, document: Document) -> None:
        self._named = document.named()
        self._globs = [(_glob(section.name)[0], section) for section in document.sections if is_glob(section.name)]

    def sections(self, identity: Identity) -> list[Section]:
        """The sections that count for a node, the strongest first."""
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
        """The first section whose name is a glob that matches the folded name."""
        return next((section for pattern, section in self._globs if pattern.fullmatch(name)), None)

    def following(self, start: Section) -> list[Section]:
        """The section and those that it names with LIKE, in turn, the strongest first."""
        found: dict[int, Section] = {}
        self._follow(start, found)
        return list(found.values())

    def _follow(self, start: Section, found: dict[int, Section]) -> None:
        """Level by level, as LTSP 5 does: what the start names, then what those name."""
        queue = [start]
        for section in queue:
            if id(section) not in found:
                found[id(section)] = section
                queue.extend(self._named[fold(line.value)] for line in section.parameters(LIKE) if fold(line.value) in self._named)

    def parameters(self, identity: Identity) -> dict[str, Value]:
        """The parameters of a node with the section that each comes from, in version order."""
        values: dict[str, Value] = {}
        for section in self.sections(identity):
            for key, value in section.values().items():
                values.setdefault(key, Value(value, section.name))
        return {key: values[key] for key in sorted(values, key=version_key) if fold(values[key].value) != "none"}


def resolved_text(parameters: Mapping[str, Value]) -> str:
    """The file of one node: read for that node, or for any other, it gives these parameters again."""
    if not parameters:
        return NO_PARAMETERS
    return "[default]\n" + "".join(f'{key}="{value.value}"\n' for key, value in parameters.items())


def resolved_files(document: Document, nodes: Iterable[Mapping[str, t.Any]]) -> dict[str, bytes]:
    """The files of all nodes, name to content: one for each MAC address, because a section may be named by it."""
    reader = Reader(document)
    owners: dict[str, str] = {}
    files = {}
    for node in nodes:
        for address in node["macs"]:
            try:
                mac = _net.normalize_mac(address)
            except ValueError as error:
                raise LtsConfError(f"node {node['hostname']}: {error}") from error
            if mac in owners:
                raise LtsConfError(f"nodes {owners[mac]} and {node['hostname']} have the same MAC address {mac}: correct one of them")
            owners[mac] = node["hostname"]
            parameters = reader.parameters(Identity(node["hostname"], node["ip"] or "", mac))
            files[f"{_net.mac_dashes(mac)}.conf"] = encode(resolved_text(parameters))
    return files


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def section_changes(sections: Iterable[Mapping[str, t.Any]]) -> list[SectionChange]:
    """Check and convert the sections of a task."""
    changes: dict[str, SectionChange] = {}
    for section in sections:
        name = section["name"]
        present = section.get("state") != "absent"
        complaint = name_complaint(name)
        if present and complaint:
            raise LtsConfError(f"section {name!r}: {complaint}")
        if fold(name) in changes:
            raise LtsConfError(f"section [{name}] is given twice, of which a node would see one: put its parameters into one item")
        given = section.get("parameters") or {}
        if given and not present:
            raise LtsConfError(f"section [{name}] is absent and has parameters: remove them, or set state to present")
        parameters: dict[str, list[str]] = {}
        for key, value in given.items():
            place = f"section [{name}], {key}"
            if not _KEY.fullmatch(key):
                raise LtsConfError(f"{place}: the name of a parameter is made of letters, digits and _, and begins with no digit")
            if key.upper() in parameters:
                raise LtsConfError(f"{place} is given twice, names of parameters are case-insensitive: keep one")
            parameters[key.upper()] = _values(place, key.upper(), value)
        changes[fold(name)] = SectionChange(name, present, parameters)
    return list(changes.values())


def _values(place: str, key: str, value: object) -> list[str]:
    if value is None:
        return []
    values = value if isinstance(value, list) and key == LIKE else [value]
    for item in values:
        if not isinstance(item, (str, int, float)):
            raise LtsConfError(f"{place}: a {type(item).__name__} is no value: give a string, a number or a boolean")
        complaint = value_complaint(key, str(item))
        if not str(item):
            complaint = "the value is empty: give null to remove the parameter here, NONE to hide what a weaker section says"
        if complaint:
            raise LtsConfError(f"{place}: {complaint}")
    return [str(item) for item in values]


def check(document: Document) -> list[Finding]:
    """Everything for which the file must not be written, in the order of the lines."""
    findings = [Finding(line.number, explain(line.text) if not line.understood else _ORPHAN) for line in document.preamble if line.key or not line.understood]
    for section in document.sections:
        if not section.name:
            findings.append(Finding(section.header.number, _BAD_HEADER))
            findings.extend(Finding(line.number, _ORPHAN) for line in section.lines if line.key)
        else:
            complaint = name_complaint(section.name)
            if complaint:
                findings.append(Finding(section.header.number, f"[{section.name}]: {complaint}"))
            if not section.parameters() and all(line.understood for line in section.lines):
                message = f"section [{section.name}] is empty, LTSP 5 stops reading there: give it a parameter or remove it (state: absent)"
                findings.append(Finding(section.header.number, message))
        for line in section.lines:
            if not line.understood:
                findings.append(Finding(line.number, explain(line.text)))
            elif line.key:
                complaint = value_complaint(line.key, line.value)
                if complaint:
                    findings.append(Finding(line.number, f"{line.key}: {complaint}"))
    findings.extend(_circles(document))
    return sorted(findings, key=lambda finding: finding.line)


def advise(document: Document, own: Iterable[str] = ()) -> list[Finding]:
    """What is right for every reader and yet hardly meant; `own` are the operator's own parameters (globs)."""
    named = document.named()
    seen = set()
    advice = []
    own_keys = [glob_pattern(name) for name in own]
    for section in document.sections:
        first = named.get(fold(section.name))
        if first and first is not section:
            advice.append(Finding(section.header.number, f"section [{section.name}] counts nowhere: line {first.header.number} begins one of this name"))
        if _DASHED_MAC.fullmatch(section.name):
            advice.append(Finding(section.header.number, f"no node has the name [{section.name}]: write a MAC address as 52:54:00:77:00:01"))
        for line in section.parameters():
            if line.key == LIKE:
                if fold(section.name) == "default":
                    advice.append(Finding(line.number, "LIKE in [default] is followed only from sections that name default: give the parameters themselves"))
                if fold(line.value) not in named:
                    advice.append(Finding(line.number, f"section [{section.name}], LIKE: there is no section [{line.value}]"))
            elif line.key not in seen:
                seen.add(line.key)
                if not _lts_conf_keys.is_known(line.key) and not any(pattern.fullmatch(fold(line.key)) for pattern in own_keys):
                    near = _lts_conf_keys.nearest(line.key)
                    advice.append(Finding(line.number, f"{line.key} is not a known parameter" + (f", is {near} meant?" if near else "")))
    return sorted(advice, key=lambda finding: finding.line)


def masked(text: str, secret: Sequence[re.Pattern[str]]) -> str:
    """The text without the values of secret parameters, also where they are commented out or not understood."""
    if not secret:
        return text
    lines = _split(text)
    for line in lines:
        match = _ASSIGNMENT.fullmatch(line.text)
        if match and is_secret(match[2], secret):
            line.text = f'{match[1]}"{MASK}"'
    return "".join(line.text + line.end for line in lines)


def masked_sections(sections: Iterable[Mapping[str, t.Any]], secret: Sequence[re.Pattern[str]]) -> list[dict[str, t.Any]]:
    """The sections of a task without the secret values."""
    return [
        {**section, "parameters": {key: MASK if is_secret(key, secret) else value for key, value in (section["parameters"] or {}).items()}}
        for section in sections
    ]


def is_secret(key: str, secret: Sequence[re.Pattern[str]]) -> bool:
    return any(pattern.fullmatch(fold(key)) for pattern in secret)


def report(subject: str, findings: Sequence[Finding]) -> str:
    lines = [str(finding) for finding in findings[:_REPORTED]]
    if len(findings) > _REPORTED:
        lines.append(f"and {len(findings) - _REPORTED} more")
    return "\n".join([f"{subject}:", *lines])


def fold(name: str) -> str:
    """Compare as strcasecmp() does in the C locale: only ASCII has cases."""
    return name.translate(_LOWER)


def header(name: str) -> str:
    return f"[{name}]" if re.fullmatch(_PLAIN, name) else f'["{name}"]'


def is_glob(name: str) -> bool:
    return any(character in name for character in "*?[")


def glob_pattern(name: str) -> re.Pattern[str]:
    """Compile what sh's `case`, fnmatch(3) and this collection understand alike; it is matched with folded names."""
    pattern, complaint = _glob(name)
    if complaint:
        raise LtsConfError(f"{name!r}: {complaint}")
    return pattern


def _glob(name: str) -> tuple[re.Pattern[str], str]:
    """What a glob means to the runtime, and why it must not be written, or nothing."""
    text = fold(name)
    complaints = ["a backslash in a name is read differently by different readers: use [...] or ?"] if "\\" in text else []
    parts = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "[":
            negated = text[position : position + 1] in ("!", "^")
            end = text.find("]", position + negated + 1)
            if end < 0:
                complaints.append("the [ has no ]: close it, or use ? for one character")
                parts.append(r"\[")
            else:
                parts.append(_character_set(text[position:end], negated, complaints))
                position = end + 1
        elif character == "\\" and position < len(text):
            parts.append(re.escape(text[position]))
            position += 1
        else:
            parts.append({"*": ".*", "?": "."}.get(character, re.escape(character)))
    return re.compile("".join(parts), re.DOTALL), next(iter(complaints), "")


def _character_set(content: str, negated: bool, complaints: list[str]) -> str:
    if content.startswith("^"):
        complaints.append("[^...] is read differently by different readers: write [!...]")
    if re.search(r"\[[:.=]", content):
        complaints.append("character classes such as [:digit:] are read differently by different readers: write [0-9]")
    members = ""
    for first, last, single in re.findall(r"(.)-(.)|(.)", content[negated:], re.DOTALL):
        if first > last:
            complaints.append(f"the range {first}-{last} is empty: turn it round")
        else:
            members += f"{re.escape(first)}-{re.escape(last)}" if first else re.escape(single)
    return f"[{'^' if negated else ''}{members}]" if members else "." if negated else "(?!)"


def name_complaint(name: str) -> str:
    """Why a section cannot have this name, or nothing."""
    if not name or name != name.strip():
        return "a section needs a name without blanks at its ends"
    if '"' in name or _CONTROL.search(name):
        return "a section's name cannot hold a double quote or a control character: rename it"
    return _glob(name)[1] if is_glob(name) else ""


def value_complaint(key: str, value: str) -> str:
    """Why a parameter cannot have this value, or nothing. Values are not part of the answer: they may be secret."""
    if "\n" in value:
        return "a value is one line: join commands with ; or put them into a file of the image"
    if _CONTROL.search(value):
        return "the value holds a control character: remove it"
    if '"' in value:
        return "a double quote within a value is lost in LTSP 5: use single quotes, or put the command into a file of the image"
    if key.startswith("FSTAB_") and fold(value) != "none":
        return fstab_complaint(value)
    return ""


def fstab_complaint(value: str) -> str:
    """Which field of a line of fstab(5) is wrong, or nothing."""
    fields = value.split()
    names = ("device", "mount point", "type", "options", "dump", "pass")
    if len(fields) < 4:
        return f"field {len(fields) + 1} ({names[len(fields)]}) is missing: a line of /etc/fstab has device, mount point, type, options, dump, pass"
    if len(fields) > 6:
        return f"{len(fields)} fields are too many: a line of /etc/fstab has {', '.join(names)}; write a blank in a path as \\040"
    rules = (
        (r"[^#].*", "a device, UUID=... or HOST:/PATH"),
        (r"/.*|none", "an absolute path, or none for swap"),
        (r"[A-Za-z0-9][A-Za-z0-9._,-]*", "a file system's name, such as ext4"),
        (r"[^,]+(?:,[^,]+)*", "mount options with commas between them, such as nofail,noatime"),
        (r"[01]", "0 or 1"),
        (r"[0-2]", "0, 1 or 2"),
    )
    for number, (field, name, (rule, hint)) in enumerate(zip(fields, names, rules), 1):
        if not re.fullmatch(rule, field):
            return f"field {number} ({name}) is wrong: it has to be {hint}"
    return ""


def explain(text: str) -> str:
    """Why a reader leaves out this line, and what to do."""
    key, equals, value = (part.strip(" \t") for part in text.partition("="))
    if _INCLUDE.match(text):
        return "include: LTSP 5 loses what stands in the file behind it: put the sections into this file"
    if not equals:
        return 'neither [section] nor KEY = "value": LTSP 5 stops reading there: remove the line, or begin it with #'
    if not _KEY.fullmatch(key):
        return "the name of a parameter is made of letters, digits and _, and begins with no digit: rename it"
    if not value or value.startswith("#"):
        return f"{key} has no value, LTSP 5 stops reading there: remove the line, or write NONE to hide what a weaker section says"
    if value.startswith('"'):
        return f"{key}: the value ends at the line's last double quote, behind which only a # comment may stand: quote the whole value"
    return f'{key}: an unquoted value cannot hold any of " \' = [ ]: write {key} = "value"'


def _circles(document: Document) -> list[Finding]:
    """Circles of LIKE, in which LTSP 5 runs for ever; each at the first of its lines."""
    named = document.named()
    findings = []
    finished: set[str] = set()
    for start in named:
        path: list[tuple[str, Line]] = []
        pending: list[t.Optional[tuple[str, Line]]] = [(start, named[start].header)]
        while pending:
            step = pending.pop()
            if step is None:
                finished.add(path.pop()[0])
                continue
            names = [name for name, _line in path]
            if step[0] in names:
                circle = [*path[names.index(step[0]) + 1 :], step]
                line = min(line.number for _name, line in circle)
                chain = " -> ".join(named[name].name for name in [step[0], *(name for name, _line in circle)])
                findings.append(Finding(line, f"LIKE goes round in a circle, LTSP 5 never ends: {chain}: remove one"))
            elif step[0] not in finished:
                path.append(step)
                pending.append(None)
                pending.extend((fold(line.value), line) for line in named[step[0]].parameters(LIKE) if fold(line.value) in named)
    return findings


@functools.cache
def version_key(key: str) -> tuple[object, ...]:
    """Sort as `sort -V` does: numbers by value, letters before other characters."""
    parts = re.findall(r"(\D*)(\d*)", key)
    return tuple((tuple(ord(c) if c.isalpha() else ord(c) + 256 for c in text), int(digits or 0)) for text, digits in parts), key


def _split(text: str) -> list[Line]:
    lines = []
    for part in text.split("\n"):
        body = part.removesuffix("\r")
        lines.append(Line(body, part[len(body) :] + "\n"))
    lines[-1].end = lines[-1].end[:-1]
    return lines if lines[-1].text or lines[-1].end else lines[:-1]
