# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of one machine, beside each other in the directory `run` of its lab."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import typing as t

from ltsp_lab.description import Machine

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_GIB = 1 << 30
_SUFFIXES = ("pid", "log", "console", "console.log", "qmp", "json", "answer", "vars", "initrd")


class Files:
    """Where a machine has its console, its disks and its process id."""

    def __init__(self, run: pathlib.Path, name: str) -> None:
        self.run = run
        self.name = name

    def _file(self, suffix: str) -> pathlib.Path:
        return self.run / f"{self.name}.{suffix}"

    @property
    def pid(self) -> pathlib.Path:
        return self._file("pid")

    @property
    def log(self) -> pathlib.Path:
        """The log of its process."""
        return self._file("log")

    @property
    def console(self) -> pathlib.Path:
        """The socket of the serial console."""
        return self._file("console")

    @property
    def console_log(self) -> pathlib.Path:
        """The output of its console since it was switched on."""
        return self._file("console.log")

    @property
    def qmp(self) -> pathlib.Path:
        return self._file("qmp")

    @property
    def record(self) -> pathlib.Path:
        """The description with which the machine was switched on."""
        return self._file("json")

    @property
    def answer(self) -> pathlib.Path:
        """Its first answer since it was switched on, and the seconds until then, as JSON. Missing before that answer."""
        return self._file("answer")

    @property
    def variables(self) -> pathlib.Path:
        """The variables of a UEFI firmware."""
        return self._file("vars")

    @property
    def initrd(self) -> pathlib.Path:
        """The initrd of user-mode Linux."""
        return self._file("initrd")

    def disks(self, count: int) -> list[pathlib.Path]:
        return [self._file("disk" if index == 1 else f"disk{index}") for index in range(1, count + 1)]

    def make_disks(self, sizes: Iterable[int]) -> list[pathlib.Path]:
        """The disks, blank where they are new; one that is there keeps its content and its size."""
        sizes = list(sizes)
        paths = self.disks(len(sizes))
        for path, size in zip(paths, sizes):
            with contextlib.suppress(FileExistsError), path.open("xb") as disk:
                os.truncate(disk.fileno(), size * _GIB)
        return paths

    def write_record(self, machine: Machine, **more: t.Any) -> None:
        self.record.write_text(json.dumps({"machine": machine.record, **more}), encoding="utf-8")

    def read_record(self) -> dict[str, t.Any]:
        """The record, empty when the machine has none."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return dict(json.loads(self.record.read_text(encoding="utf-8")))
        return {}

    def remove(self) -> None:
        for path in [*map(self._file, _SUFFIXES), *self.run.glob(f"{self.name}.disk*")]:
            path.unlink(missing_ok=True)


def known(run: pathlib.Path) -> Iterator[Machine]:
    """The machines that were switched on in this lab and not removed since."""
    for path in sorted(run.glob("*.json")):
        record = Files(run, path.stem).read_record()
        if record:
            yield Machine.restore(record["machine"])
