# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench on which faulty boots run: servers with faults, and some nodes of the lab at a time."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import itertools
import json
import pathlib
import queue
import re
import subprocess
import sys
import time
import typing as t

import faults
from faults import Fault

from ltsp_lab import consoles
from ltsp_lab.description import Firmware, Machine
from ltsp_lab.files import known
from ltsp_lab.messages import LabError
from ltsp_lab.power import Power
from ltsp_lab.remote import Remote, RemoteError, patiently
from playbooks import playbook

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ltsp_lab.settings import Settings

AT_ONCE = 3
"""Boots at the same time: they wait for their faults more than for the processors."""
SECONDS = 600
IN_QEMU = ("short-answer-http", "wrong-digest-nbd-to-ram", "broken-lts.conf-http")
"""The sample for machines without user-mode Linux."""
_COPY = r"ltsp: [0-9]+ of [0-9]+ MiB"
_READ_ALL = "find /rofs/usr -type f -print0 | xargs -0 cat >/dev/null"
_STORE = "/srv/ltsp/public/images/node/current"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a boot ended."""

    seconds: float
    said: str
    end: str


class Bench:
    """The servers and the nodes, as long as the block lasts."""

    def __init__(self, settings: Settings, work: pathlib.Path) -> None:
        self.power = Power(settings)
        self.work = work
        self.server = Remote(settings.directory, "ltsp-1")
        version = json.loads(self.server.run(f"cat {_STORE}/manifest.json"))["version"]
        self.words = {"good": f"http://{faults.SERVER}/images/node/{version}/root.squashfs", "export": f"nbd://{faults.SERVER}/node-{version}"}
        self._image = settings.directory / "ltsp-1" / _STORE[1:].replace("current", version) / "root.squashfs"
        self._ports = itertools.count(10900)
        self.firmware = next(known(settings.run)).firmware
        """The firmware of all nodes: none, or one of QEMU's where user-mode Linux does not boot."""
        self._nodes: queue.Queue[Machine] = queue.Queue()
        # In QEMU each boot rewrites the boot descriptions of all nodes, so that one boots at a time.
        self._pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE if self.firmware is Firmware.NONE else 1)
        self._boots: dict[str, concurrent.futures.Future[Outcome]] = {}
        self._web: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Bench:
        for machine in known(self.power.settings.run):
            self.power.off(machine)
            self._nodes.put(machine)
        self.serve(faults.FAULTY)
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        # The brackets keep pkill from the shell that runs it.
        self.server.run("pkill -KILL -f '[n]bd-server -C /run/e2e-'; rm -f /run/e2e-*")
        for web in self._web:
            web.kill()
            web.wait()

    def begin(self, wanted: Iterable[Fault]) -> None:
        self._boots = {fault.id: self._pool.submit(self._run, fault) for fault in wanted}

    def outcome(self, fault: Fault) -> Outcome:
        return self._boots[fault.id].result()

    def serve(self, port: int) -> subprocess.Popen[bytes]:
        """A web server with faults on the gateway."""
        program = pathlib.Path(__file__).with_name("fault_server.py")
        arguments = [faults.GATEWAY, str(port), str(self._image), str(self.work)]
        log = (self.work / f"{port}.log").open("wb")
        command = ["nsenter", f"--net={self.power.settings.namespace}", sys.executable, str(program), *arguments]
        web = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._web.append(web)
        return web

    def export(self, port: int, damage: str) -> None:
        """An NBD server of its own, with an image that is damaged if it is to be."""
        image = f"/run/e2e-{port}.image"
        spoil = {
            "": f"ln -s {_STORE}/root.squashfs {image}",
            "flipped": f"cp {_STORE}/root.squashfs {image} && at=$(($(stat -c %s {image}) / 2)) &&"
            f" head -c 4096 /dev/zero | tr '\\0' '\\377' | dd of={image} bs=1 seek=$at conv=notrunc status=none",
            "short": f"head -c 50000000 {_STORE}/root.squashfs >{image}",
        }[damage]
        config = f"[generic]\nlistenaddr = 0.0.0.0\nport = {port}\n[fault]\nexportname = {image}\nreadonly = true\n"
        self.server.run(f"set -e; {spoil}; cat >/run/e2e-{port}.conf; nbd-server -C /run/e2e-{port}.conf -p /run/e2e-{port}.pid", config)

    def signal(self, name: str, port: int) -> None:
        self.server.run(f"pkill -{name} -f '[n]bd-server -C /run/e2e-{port}.conf'")

    def _run(self, fault: Fault) -> Outcome:
        node = self._nodes.get()
        try:
            return _Boot(self, fault, node, next(self._ports)).outcome()
        finally:
            self.power.off(node)
            self.shape(node)
            self._nodes.put(node)

    def shape(self, node: Machine, *shape: str) -> None:
        """Slow the link of a node down, or let it be as it was."""
        words = ["replace", "dev", node.taps[0], "root", *shape] if shape else ["delete", "dev", node.taps[0], "root"]
        tc = ["nsenter", f"--net={self.power.settings.namespace}", "tc", "qdisc", *words]
        subprocess.run(tc, check=bool(shape), capture_output=not shape)


class _Boot:
    """One boot with a fault."""

    def __init__(self, bench: Bench, fault: Fault, node: Machine, port: int) -> None:
        self.bench = bench
        self.fault = fault
        self.port = port
        words = {**bench.words, "port": str(port), "name": fault.id}
        self.arguments = tuple(argument.format(**words) for argument in fault.arguments)
        fast = node.firmware is Firmware.NONE
        self.machine = dataclasses.replace(node, kernel_args=self.arguments if fast else (), memory=fault.memory if fault.memory and fast else node.memory)
        self.remote = Remote(bench.power.settings.directory, node.name)
        self.web: subprocess.Popen[bytes] | None = None

    def outcome(self) -> Outcome:
        begin = time.monotonic()
        self._prepare()
        self.bench.power.on(self.machine)
        if self.fault.trouble in ("kill", "stop") and self.fault.ends == "boots":
            # A link that is slow enough for trouble in the middle of a copy.
            self.bench.shape(self.machine, *"tbf rate 60mbit burst 64kb latency 300ms".split())
            self._until(_COPY)
            self.bench.signal({"kill": "KILL", "stop": "STOP"}[self.fault.trouble], self.port)
        said = self._until(self.fault.says)
        end = self._end()
        return Outcome(time.monotonic() - begin, said, end)

    def _prepare(self) -> None:
        (self.bench.work / f"{self.fault.id}.conf").write_text(self.fault.conf, encoding="utf-8")
        if f":{self.port}/" in " ".join(self.arguments):
            if self.fault.transport == faults.HTTP:
                self.web = self.bench.serve(self.port)
            else:
                self.bench.export(self.port, self.fault.damage)
        if self.machine.firmware is not Firmware.NONE:
            path = self.bench.work / f"{self.fault.id}.yml"
            arguments = ["console=ttyS0,115200n8", *self.arguments]
            path.write_text(json.dumps({"ltsp_nodes": {"hosts": {self.machine.name: {"ltsp_node_kernel_args": arguments}}}}), encoding="utf-8")
            playbook(self.bench.power.settings.directory, ["server"], [str(path)])

    def _console(self) -> str:
        return self.remote.console()

    def _until(self, pattern: str, seconds: float = SECONDS) -> str:
        """The line of the console that has the pattern, once it is there."""

        def found() -> str:
            console = self._console()
            match = re.search(f".*(?:{pattern}).*", console)
            words = f"the console does not say {pattern!r}:\n{consoles.last_lines(console, 30)}"
            if not match and self.fault.ends != "panics" and "Kernel panic" in console:
                raise LabError(words)
            assert match, words
            return match[0].strip()

        return patiently(found, seconds, every=0.5)

    def _answers(self) -> str:
        """Where the node has its root from, once it answers. A boot that says that it has stopped is not waited for."""
        limit = time.monotonic() + SECONDS
        while True:
            try:
                return self.remote.run(". /run/ltsp/env && echo $LTSP_ROOT", seconds=60)
            except (RemoteError, subprocess.TimeoutExpired):
                stop = consoles.stop(self._console()) if self.fault.ends == "boots" else None
                assert not stop, f"{stop}\n{consoles.last_lines(self._console(), 30)}"
                assert time.monotonic() < limit, f"no answer after {SECONDS} s:\n{consoles.last_lines(self._console(), 30)}"
                time.sleep(1)

    def _end(self) -> str:
        ends = {"boots": self._boots, "retries": self._retries, "runs on": self._runs_on, "loses its root": self._loses_its_root, "panics": self._panics}
        return ends[self.fault.ends]()

    def _boots(self) -> str:
        root = self._answers()
        assert root.startswith(f"{self.fault.root}://"), root
        self.remote.run(self.fault.proof)
        return f"boots from {root}"

    def _retries(self) -> str:
        self._until("THIS NODE CANNOT BOOT")
        if self.fault.trouble != "repair":
            self._until(r"THIS NODE CANNOT BOOT \(attempt 2\)")
            return "tries again"
        self.bench.serve(faults.LATE)
        return self._boots().replace("boots", "tries again, and boots")

    def _runs_on(self) -> str:
        end = self._boots()
        self._kill()
        self.remote.run(f"echo 3 >/proc/sys/vm/drop_caches; {_READ_ALL}")
        return f"{end}, and runs on without it"

    def _kill(self) -> None:
        if self.web:
            self.web.kill()
        else:
            self.bench.signal("KILL", self.port)

    def _loses_its_root(self) -> str:
        self._boots()
        self._kill()
        self._read_all()
        return self._until("SQUASHFS error|I/O error")

    def _panics(self) -> str:
        """At the latest when the whole image is read; a block that the boot needs is read before."""

        def panic() -> str:
            if "Kernel panic" not in self._console():
                self._read_all()
            return self._until("Kernel panic", 1)

        said = patiently(panic, SECONDS)
        self._until(r"ltsp: \S+ boots(.|\n)*ltsp: \S+ boots")
        return f"{said}, and starts again"

    def _read_all(self) -> None:
        """Read the whole image, which may be the end of the node."""
        with contextlib.suppress(RemoteError, subprocess.TimeoutExpired):
            self.remote.run(f"echo 3 >/proc/sys/vm/drop_caches; {_READ_ALL}", seconds=60)
