# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as a whole: up, down, and a look at a console."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import sys
import time
import typing as t

from ltsp_lab import files, uml
from ltsp_lab.ansible import Ansible
from ltsp_lab.cluster import Cluster
from ltsp_lab.description import BUILDER, CONTROL_PLANE, NETWORK, Firmware, Lab, describe
from ltsp_lab.files import Files
from ltsp_lab.images import container_images
from ltsp_lab.locks import sole_lock
from ltsp_lab.messages import LabError, say
from ltsp_lab.power import Power
from ltsp_lab.programs import kubernetes_programs
from ltsp_lab.remote import Remote, RemoteError
from ltsp_lab.watch import LIMIT, Watch

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsp_lab.description import Machine
    from ltsp_lab.settings import Settings


class Farm:
    """The lab of these settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.power = Power(settings)

    def remote(self, name: str) -> Remote:
        return Remote(self.settings.directory, name)

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[Ansible]:
        """Ansible for this lab, under a lock against other commands."""
        if os.geteuid() != 0:
            raise LabError("needs root, because it makes a network namespace and a container: run it with sudo")
        lock = self.settings.cache / f"lab-{self.settings.name}.lock"
        with sole_lock(lock, f"another scripts/lab is at work on {self.settings.name}; wait for it"):
            yield Ansible.prepare(self.settings)

    def up(self, describe_it: t.Callable[[], Lab], options: Sequence[str]) -> None:
        """Bring the lab up as it is described; `options` are more options for the ansible-playbook that runs site.yml."""
        with self._at_work() as ansible:
            lab = describe_it()
            variables = self._variables(lab)
            self._stop_others(lab, variables)
            self._note.write_text(json.dumps(variables, indent=2), encoding="utf-8")
            self._role(ansible, "lab")
            if lab.kubernetes:
                self._cluster(ansible, lab)
            ansible.playbook(*self._inventories(lab), *options, "serverfarm.ltsp.site")
            self._boot(lab)
            self._show(lab)

    def down(self) -> None:
        """Stop everything, and remove everything but the cache."""
        with self._at_work() as ansible:
            for machine in self._known():
                self.power.remove(machine)
            self._note.parent.mkdir(parents=True, exist_ok=True)
            self._note.write_text(json.dumps({**self._places(), "ltsp_lab_state": "absent"}), encoding="utf-8")
            self._role(ansible, "lab")
            say(f"The lab {self.settings.name} is gone. The cache stays: {self.settings.cache}")

    def console(self, name: str) -> None:
        """Attach to the console of a machine; the process becomes socat's, or tail's for user-mode Linux, whose console is to be read only."""
        if os.geteuid() != 0:
            raise LabError("needs root: run it with sudo")
        machine = next((found for found in self._known() if found.name == name and self.power.is_on(found)), None)
        if machine is None:
            raise LabError(f"no node {name} is running in the lab {self.settings.name}")
        own = self.power.files(machine)
        if machine.firmware is Firmware.NONE:
            say(f"[Ctrl-C leaves the console of {name}, which is to be read only]")
            os.execvp("tail", ["tail", "--lines=20", "--follow", str(own.console_log)])
        say("\n".join(self.remote(name).console().splitlines()[-20:]))
        terminal = "STDIO,raw,echo=0,escape=0x1d" if sys.stdin.isatty() else "STDIO"
        if sys.stdin.isatty():
            say(f"[Ctrl-] leaves the console of {name}]")
        os.execvp("socat", ["socat", terminal, f"UNIX-CONNECT:{own.console}"])

    def _known(self) -> list[Machine]:
        return list(files.known(self.settings.run))

    def _places(self) -> dict[str, t.Any]:
        return {"ltsp_lab_name": self.settings.name, "ltsp_lab_directory": str(self.settings.directory), "ltsp_lab_cache": str(self.settings.cache)}

    def _variables(self, lab: Lab) -> dict[str, t.Any]:
        """The lab as its role takes it; gets Kubernetes when it is wanted."""
        self.settings.directory.mkdir(parents=True, exist_ok=True)
        variables = {**self._places(), **lab.variables}
        if lab.kubernetes:
            variables["ltsp_lab_kubernetes_version"] = self.settings.kubernetes
            variables["ltsp_lab_kubernetes_programs"] = str(kubernetes_programs(self.settings))
            variables["ltsp_lab_kubernetes_images"] = str(container_images(self.settings))
        if lab.on_kubernetes:
            variables["ltsp_lab_api_port"] = self._api_port()
            variables["ltsp_lab_ports"] = [{"port": variables["ltsp_lab_api_port"], "to": f"{NETWORK}.2:6443"}]
        return variables

    def _api_port(self) -> int:
        """The port of this machine that leads to the API: any that is free, and the same as long as it is open."""
        note = self.settings.directory / "api.port"
        with contextlib.suppress(FileNotFoundError):
            port = int(note.read_text(encoding="utf-8"))
            if (self.settings.run / f"port-{port}.pid").exists():
                return port
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        note.write_text(str(port), encoding="utf-8")
        return int(port)

    @property
    def _note(self) -> pathlib.Path:
        """The file with the lab as its role takes it."""
        return self.settings.directory / "variables.json"

    def _role(self, ansible: Ansible, playbook: str, *inventories: str) -> None:
        ansible.playbook(*(inventories or ("--inventory=localhost,",)), f"--extra-vars=@{self._note}", f"serverfarm.ltsp.{playbook}")

    def _inventories(self, lab: Lab) -> list[str]:
        names = ["inventory.yml", *(["kubernetes.yml"] if lab.kubernetes else []), *(["kubernetes-server.yml"] if lab.on_kubernetes else [])]
        return [f"--inventory={self.settings.directory}/{name}" for name in names]

    def _stop_others(self, lab: Lab, variables: dict[str, t.Any]) -> None:
        """Remove unwanted machines. Switch nodes off when the kind of boot server changed: they have the wrong image or the wrong server."""
        same = all(self._former().get(key) == variables.get(key) for key in ("ltsp_lab_kubernetes_version", "ltsp_lab_registry"))
        for machine in self._known():
            if machine.name not in [wanted.name for wanted in (*lab.machines, *lab.nodes)]:
                self.power.remove(machine)
            elif not same and machine.name in [node.name for node in lab.nodes]:
                self.power.off(machine)

    def _former(self) -> dict[str, t.Any]:
        """The lab as it was brought up last, empty when it was not."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return dict(json.loads(self._note.read_text(encoding="utf-8")))
        return {}

    def _cluster(self, ansible: Ansible, lab: Lab) -> None:
        """The control plane, and the machines of the cluster that stay."""
        for machine in lab.machines:
            self.power.on(machine)
        self._role(ansible, "lab_cluster", *self._inventories(lab))
        if lab.machines:
            say("Waiting for the machines")
            Watch(self.power).until_they_answer(lab.machines)
            self._role(ansible, "lab_kubernetes_machine", *self._inventories(lab))
            self._until_ready([machine.name for machine in lab.machines])

    def _boot(self, lab: Lab) -> None:
        """Start the nodes that do not run as they are described; one that has found nothing to boot gets another chance."""
        for node in lab.nodes:
            if not (self.power.is_as(node) and Files(self.settings.run, node.name).answer.exists()):
                self.power.off(node)
                self.power.on(node)
        say(f"Waiting for the nodes (at most {LIMIT:.0f} s)")
        Watch(self.power).until_they_answer(lab.nodes)
        if lab.kubernetes:
            say(f"Waiting until they are Ready (at most {LIMIT:.0f} s)")
            self._until_ready([node.name for node in lab.nodes])

    def _until_ready(self, names: Sequence[str]) -> None:
        cluster = Cluster(self.remote(CONTROL_PLANE))
        limit = time.monotonic() + LIMIT
        for name in names:
            try:
                cluster.ready(self.remote(name), limit - time.monotonic())
            except RemoteError as error:
                raise LabError(f"{error}\nThe last that it said of joining:\n{self._last_words(name)}") from error
            since = Files(self.settings.run, name).record.stat().st_mtime
            say(f"  {name:<8} {time.time() - since:4.0f} s  Ready")

    def _last_words(self, name: str) -> str:
        try:
            return self.remote(name).run("journalctl --unit=kubernetes-join --unit=kubelet --lines=15 --no-pager --output=cat")
        except RemoteError as error:
            return str(error)

    def _show(self, lab: Lab) -> None:
        """Show the table of the nodes, and commands to use them."""
        row = "{:<8} {:<9} {:<10} {:<7} {:<44} {}"
        say("\n" + row.format("NODE", "FIRMWARE", "TRANSPORT", "ROOT", "IMAGE", "SECONDS TO SSH"))
        for node in lab.nodes:
            found = self.remote(node.name).answer()
            firmware = "none" if node.firmware is Firmware.NONE else found["firmware"]
            say(row.format(node.name, firmware, found["transport"], found["root"], f"{found['image']}/{found['version']}", found["seconds"]))
            current = self.remote(BUILDER).run(f"readlink /srv/ltsp/public/images/{found['image']}/current")
            if current != found["version"]:
                say(f"         The store has {current}; the next boot takes it: ssh -F {self.settings.directory}/ssh_config {node.name} reboot")
        if lab.kubernetes:
            say("\n" + Cluster(self.remote(CONTROL_PLANE)).kubectl("get nodes"))
        if lab.on_kubernetes:
            say("\n" + Cluster(self.remote(CONTROL_PLANE)).kubectl("--namespace=ltsp-server get pods --output=wide"))
        self._say_what_next(lab)

    def _say_what_next(self, lab: Lab) -> None:
        config = self.settings.directory / "ssh_config"
        inventories = " ".join(option.replace("--inventory=", "-i ") for option in self._inventories(lab))
        say(f"\nLog in:             ssh -F {config} node1        (or {BUILDER}, the boot server)")
        if lab.kubernetes:
            say(f"Use Kubernetes:     ssh -F {config} {CONTROL_PLANE} kubectl get nodes")
        say("Watch the console:  scripts/lab --console node1")
        say(f"Run a playbook:     ansible-playbook {inventories} ...")
        say("Take it down:       scripts/lab --down")


def fast_lab(settings: Settings, nodes: int) -> Lab:
    """A lab of nodes without firmware, or with it where user-mode Linux does not boot, which is said loudly."""
    try:
        say(f"User-mode Linux: {uml.tree(settings).name} (nodes without firmware, boot loader and the image's kernel)")
    except uml.UmlError as error:
        say(f"*** {error}. The nodes are QEMU's, with firmware. ***")
        return describe(nodes)
    return describe(nodes, fast=True)
