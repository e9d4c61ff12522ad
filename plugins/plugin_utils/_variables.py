# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of one host, each checked when it is read. Errors name host, variable, value and remedy."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Mapping

from ansible.errors import AnsibleError
from ansible.release import __version__ as ansible_version
from jinja2 import UndefinedError

# ansible-core 2.18 hands over a value with an undefined variable as its own source; later ones raise an error.
_UNDEFINED_STAYS = tuple(int(part) for part in ansible_version.split(".")[:2]) < (2, 19)

_EVALUATION = (AnsibleError, UndefinedError)

_T = t.TypeVar("_T")


class InventoryError(Exception):
    """The inventory is wrong; the message names host, variable, value and remedy."""


class HostVariables:
    """The variables of one host, read with a check each; an empty value counts as none."""

    def __init__(self, host: str, values: Mapping[str, t.Any]) -> None:
        self._host = host
        self._values = values

    def required(self, name: str, check: Callable[[t.Any], _T]) -> _T:
        value = self._value(name)
        if value is None:
            raise InventoryError(f"{self._host}: {name} is not set: set it for this host")
        return self._check(name, value, check)

    def optional(self, name: str, default: _T, check: Callable[[t.Any], _T]) -> _T:
        value = self._value(name)
        return default if value is None else self._check(name, value, check)

    def first(self, name: str, fallback: str, check: Callable[[t.Any], _T]) -> _T:
        for candidate in (name, fallback):
            value = self._value(candidate)
            if value is not None:
                try:
                    return self._check(candidate, value, check)
                except InventoryError as error:
                    raise error if candidate == name else InventoryError(f"{error}, or set {name}") from error
        raise InventoryError(f"{self._host}: neither {name} nor {fallback} is set: set {name} to the IPv4 address of this host")

    def _value(self, name: str) -> t.Any:
        try:
            value = self._values.get(name)
            if _UNDEFINED_STAYS and value:
                _refuse_templates(value)
        except (*_EVALUATION, ValueError) as error:
            raise InventoryError(f"{self._host}: {name} cannot be evaluated: {error}") from error
        return None if isinstance(value, str) and not value.strip() else value

    def _check(self, name: str, value: t.Any, check: Callable[[t.Any], _T]) -> _T:
        try:
            return check(value)
        except _EVALUATION as error:
            raise InventoryError(f"{self._host}: {name} cannot be evaluated: {error}") from error
        except ValueError as error:
            raise InventoryError(f"{self._host}: {name}: {error}") from error


def _refuse_templates(value: t.Any) -> None:
    if isinstance(value, Mapping):
        value = value.values()
    if isinstance(value, str):
        if ("{{" in value or "{%" in value) and not getattr(value, "__UNSAFE__", False):
            raise ValueError(f"{value!r} has an undefined variable: define it (text that is no template is marked with !unsafe)")
    elif isinstance(value, Iterable):
        for item in value:
            _refuse_templates(item)
