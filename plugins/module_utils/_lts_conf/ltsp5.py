# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""lts.conf, the file of LTSP 5: its text is read as LTSP 5 reads it, and changed without the loss of a comment."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import fold

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLANK = re.compile(r"[ \t]*(?:#.*)?", re.DOTALL)
_PLAIN = r"""[^\[\]="'# \t](?:[^\[\]="'#]*[^\[\]="'# \t])?"""
# A quoted name or value ends at the last double quote of its line: the comment behind it has none.
_HEADER = re.compile(
    rf"""[ \t]*\[[ \t]*(?:"(?P<quoted>[^"]+)"[ \t]*\][ \t]*(?:#[^"]*)?|(?P<plain>{_PLAIN})[ \t]*\][ \t]*(?:#.*)?)""",
    re.DOTALL,
)
_PARAMETER = re.compile(
    rf"""[ \t]*(?P<key>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(?:(?P<raw>"(?P<quoted>.*)")[ \t]*(?:#[^"]*)?|(?P<plain>{_PLAIN})[ \t]*(?:#.*)?)""",
    re.DOTALL,
)
INCLUDE = re.compile(r"[ \t]*include[ \t]")
LIKE = "LIKE"
# First line of a file in which the module keeps nothing.
OWNED = "# Written by Ansible, which owns this file: what you change here is lost.\n"


class SectionChange(t.NamedTuple):
    """Wanted state of a section. A parameter has one value, or none when it is removed; LIKE may have several."""

    name: str
    present: bool
    parameters: dict[str, list[str]]


class Line:
    """Line of the file. Only a parameter has a key, in upper case."""

    __slots__ = ("end", "key", "number", "text", "understood", "value")

    def __init__(self, text: str, end: str) -> None:
        self.text = text
        self.end = end
        self.number = 0
        self.key = ""
        self.value = ""
        match = None if INCLUDE.match(text) else _PARAMETER.fullmatch(text)
        if match:
            self.key = match["key"].upper()
            self.value = match["plain"] or match["quoted"] or ""
        self.understood = bool(match or _BLANK.fullmatch(text))

    def assign(self, value: str) -> None:
        """Replace the value of a parameter. Indentation and comment stay; double quotes in the comment become single quotes."""
        match = t.cast("re.Match[str]", _PARAMETER.fullmatch(self.text))
        start, end = match.span("plain" if match["plain"] else "raw")
        comment = self.text[end:].replace('"', "'")
        self.text = f'{self.text[:start]}"{value}"{comment}'
        self.value = value


class Section:
    """Header and lines up to the next header. A header that LTSP 5 does not understand has the name ""."""

    __slots__ = ("header", "lines", "name")

    def __init__(self, header: Line) -> None:
        match = _HEADER.fullmatch(header.text)
        self.header = header
        self.name = (match["plain"] or match["quoted"]) if match else ""
        self.lines: list[Line] = []

    def parameters(self, key: str = "") -> list[Line]:
        return [line for line in self.lines if line.key and (not key or line.key == key)]

    def values(self) -> dict[str, str]:
        """Return the parameters without LIKE. The last of equal keys wins."""
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
    """Text of an lts.conf, which text() returns byte for byte."""

    def __init__(self, text: str = "") -> None:
        self.preamble: list[Line] = []
        self.sections: list[Section] = []
        lines = self.preamble
        for number, line in enumerate(split_lines(text), 1):
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
        """Return the sections by folded name. The first of equal names wins."""
        found: dict[str, Section] = {}
        for section in self.sections:
            if section.name:
                found.setdefault(fold(section.name), section)
        return found

    def change(self, changes: Sequence[SectionChange]) -> None:
        """Bring the sections into the wanted state. All other lines stay as they are."""
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
        """Remove sections. Comments behind the last parameter of a section belong to the next one and stay."""
        sections, self.sections = self.sections, []
        comments: list[Line] = []
        for section in sections:
            if not section.name or fold(section.name) not in names:
                self.sections.append(section)
                continue
            last = max((number for number, line in enumerate(section.lines) if line.key), default=-1)
            comments = section.lines[last + 1 :]
            while comments and not comments[0].text.strip():
                del comments[0]
            self._last_lines().extend(comments)
        if sections and (not self.sections or sections[-1] is not self.sections[-1]) and not comments:
            lines = self._last_lines()
            while lines and not lines[-1].text.strip():
                del lines[-1]


def header(name: str) -> str:
    return f"[{name}]" if re.fullmatch(_PLAIN, name) else f'["{name}"]'


def split_lines(text: str) -> list[Line]:
    lines = []
    for part in text.split("\n"):
        body = part.removesuffix("\r")
        lines.append(Line(body, part[len(body) :] + "\n"))
    lines[-1].end = lines[-1].end[:-1]
    return lines if lines[-1].text or lines[-1].end else lines[:-1]


def decode(data: bytes) -> str:
    """Return the text of a file; bytes that are not UTF-8 survive until encode()."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
