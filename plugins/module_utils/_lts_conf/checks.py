# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of an lts.conf: refusals and warnings."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf import keys
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import INCLUDE, LIKE, SectionChange
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import LtsConfError, fold, glob_pattern, is_glob, matches, parse_glob

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import Document, Line

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DASHED_MAC = re.compile(r"[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}", re.IGNORECASE)
_REPORTED = 20
_ORPHAN = "the parameter stands in no section: put it behind a [section]"
_BAD_HEADER = "not a header that LTSP 5 understands: write [name] on a line of its own; a name with any of [ ] = ' # stands in double quotes"


class Finding(t.NamedTuple):
    """Finding about one line. A line that the task adds has the number 0."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


def section_changes(sections: Iterable[Mapping[str, t.Any]]) -> list[SectionChange]:
    """Return the sections of a task after a check of their names and values."""
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
    """Return the findings for which the file must not be written, in the order of the lines.

    A reader leaves out a line that it does not understand. A writer refuses it, and every line that LTSP 5 reads differently.
    """
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
    """Return the findings about lines that are valid and probably mistaken. `own` are globs of the operator's own parameters."""
    named = document.named()
    seen = set()
    advice = []
    own_patterns = [glob_pattern(name) for name in own]
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
                if not keys.is_known(line.key) and not matches(line.key, own_patterns):
                    near = keys.nearest(line.key)
                    advice.append(Finding(line.number, f"{line.key} is not a known parameter" + (f", is {near} meant?" if near else "")))
    return sorted(advice, key=lambda finding: finding.line)


def report(subject: str, findings: Sequence[Finding]) -> str:
    lines = [str(finding) for finding in findings[:_REPORTED]]
    if len(findings) > _REPORTED:
        lines.append(f"and {len(findings) - _REPORTED} more")
    return "\n".join([f"{subject}:", *lines])


def name_complaint(name: str) -> str:
    """Return the reason why a section cannot have this name, or ""."""
    if not name or name != name.strip():
        return "a section needs a name without blanks at its ends"
    if '"' in name or _CONTROL.search(name):
        return "a section's name cannot hold a double quote or a control character: rename it"
    return parse_glob(name)[1] if is_glob(name) else ""


def value_complaint(key: str, value: str) -> str:
    """Return the reason why a parameter cannot have this value, or "". It never quotes the value, which may be secret."""
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
    """Return the fault of a line of fstab(5), or ""."""
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
    """Return the reason why a reader leaves out this line, and the remedy."""
    key, equals, value = (part.strip(" \t") for part in text.partition("="))
    if INCLUDE.match(text):
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
    """Return the circles of LIKE, in which LTSP 5 runs for ever, each at the first of its lines."""
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
