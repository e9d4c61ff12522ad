# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build of a tree with mmdebstrap or debootstrap."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import typing as t

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.command import run_confined, run_in_tree
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.inputs import ARMOR, BASE, DEFAULT_KEYRING, DISTRIBUTED_KEYRINGS, Source, read_key
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import remove_tree, write_file

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.inputs import Inputs

_UBUNTU_KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
_KEYRING_PACKAGES = {DEFAULT_KEYRING: "debian-archive-keyring", _UBUNTU_KEYRING: "ubuntu-keyring"}
_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
_TREE_CA_FILE = "/var/lib/ltsp/ca-certificates.crt"
_PID_1 = 'umask 022; hostname localhost; "$@"; exit $?'

# Lines of progress, which explain no error.
_CHATTER = re.compile(
    r"I: |(Get|Hit|Ign):|\(?Reading |Building |Selecting |Preparing |Unpacking |Setting up |Processing triggers |Fetched |done$"
    r"|W: Download is performed unsandboxed"
)
_UNVERIFIED = re.compile(r"NO_PUBKEY|not signed|couldn't be verified|[Mm]issing key|unknown key|no public key|[Ii]nvalid signature")


def build(inputs: Inputs, staged: str, tree: str, environment: Mapping[str, str]) -> None:
    """Build the tree `tree`; `staged` takes files that are needed only for that."""
    os.mkdir(tree, 0o755)
    keys = _stage_keys(inputs, staged)
    if inputs.method == "mmdebstrap":
        _run_mmdebstrap(inputs, staged, tree, keys, environment)
        _write_sources(inputs, tree, keys)
    else:
        _run_debootstrap(inputs, tree, keys, environment)
        _write_sources(inputs, tree, keys)
        _run_apt(inputs, tree, environment)
    _tidy(tree)


def _stage_keys(inputs: Inputs, staged: str) -> dict[str, str]:
    """Copy all keys to a directory that apt's own user can read. Return their paths by the name of the source."""
    directory = os.path.join(staged, "keys")
    os.mkdir(directory, 0o755)
    keys = {}
    for name, key in ((BASE, inputs.keyring), *((source.name, source.signed_by) for source in inputs.sources)):
        if key is None:
            continue
        try:
            data = read_key(key)
        except FileNotFoundError as error:
            package = _KEYRING_PACKAGES.get(key)
            remedy = f"install the package {package}" if package else "copy it to this host"
            raise ChrootError(f"{'keyring' if name == BASE else f'sources, {name!r}: signed_by'}: {key} does not exist: {remedy}") from error
        # apt recognizes the form of a key by the suffix of its file.
        keys[name] = os.path.join(directory, f"{name}.{'asc' if data.startswith(ARMOR.encode()) else 'gpg'}")
        write_file(keys[name], data)
    return keys


def render_sources(inputs: Inputs, signed_by: Mapping[str, str]) -> dict[str, str]:
    """Return the stanza of each source. A source without a key of its own is signed by the keys of the base."""
    base = Source(BASE, ["deb"], [inputs.mirror], [inputs.suite], inputs.components, [], None)
    stanzas = {}
    for source in (base, *inputs.sources):
        fields = {
            "Types": source.types,
            "URIs": source.uris,
            "Suites": source.suites,
            "Components": source.components,
            "Architectures": source.architectures,
            "Signed-By": [signed_by.get(source.name, signed_by[BASE])],
        }
        stanzas[source.name] = "".join(f"{field}: {' '.join(values)}\n" for field, values in fields.items() if values)
    return stanzas


def _run_mmdebstrap(inputs: Inputs, staged: str, tree: str, keys: Mapping[str, str], environment: Mapping[str, str]) -> None:
    sources = os.path.join(staged, "all.sources")
    write_file(sources, "\n".join(render_sources(inputs, keys).values()).encode())
    # Ubuntu's apt is not of priority required, which is all that minbase means to mmdebstrap.
    packages = ",".join(["apt", *inputs.packages])
    options = [f"--variant={inputs.variant}", f"--architectures={inputs.architecture}", f"--include={packages}"]
    if inputs.install_recommends:
        options.append('--aptopt=APT::Install-Recommends "true"')
    _run_tool(["mmdebstrap", "--mode=root", "--format=directory", *options, inputs.suite, tree, sources], inputs, environment)
    # Files that hold for the build only.
    _unlink(tree, "etc/apt/apt.conf.d/99mmdebstrap", "etc/apt/sources.list")
    directory = os.path.join(tree, "etc/apt/sources.list.d")
    _unlink(directory, *(name for name in os.listdir(directory) if name.startswith("0000")))


def _run_debootstrap(inputs: Inputs, tree: str, keys: Mapping[str, str], environment: Mapping[str, str]) -> None:
    if keys[BASE].endswith(".asc"):
        raise ChrootError(f"keyring: debootstrap cannot read the armored {inputs.keyring}: convert it with gpg --dearmor, or use the method mmdebstrap")
    options = [f"--arch={inputs.architecture}", f"--components={','.join(inputs.components)}", f"--keyring={keys[BASE]}"]
    if inputs.variant != "important":
        options.append(f"--variant={inputs.variant}")
    _run_tool(["debootstrap", *options, inputs.suite, tree, inputs.mirror], inputs, environment)
    _unlink(tree, "etc/apt/sources.list")


def _run_apt(inputs: Inputs, tree: str, environment: Mapping[str, str]) -> None:
    """Install the packages that debootstrap cannot, with the host's certificates, because the tree may have none."""
    options = ["--yes", "-o", f"APT::Install-Recommends={str(inputs.install_recommends).lower()}", "-o", "APT::Update::Error-Mode=any"]
    ca_file = os.path.join(tree, _TREE_CA_FILE[1:])
    if os.path.exists(_CA_FILE):
        os.makedirs(os.path.dirname(ca_file), exist_ok=True)
        shutil.copyfile(_CA_FILE, ca_file)
        options += ["-o", f"Acquire::https::CAInfo={_TREE_CA_FILE}"]
    for command in (["update"], ["dist-upgrade"], ["install", *inputs.packages]):
        result = run_in_tree(tree, ["apt-get", *options, *command], environment=environment)
        if result.rc != 0:
            _fail(f"apt-get {command[0]}", result.rc, result.stdout + result.stderr, inputs)
    _unlink(tree, _TREE_CA_FILE[1:])


def _run_tool(argv: Sequence[str], inputs: Inputs, environment: Mapping[str, str]) -> None:
    if not shutil.which(argv[0], path="/usr/sbin:/usr/bin:/sbin:/bin"):
        raise ChrootError(f"{argv[0]} is missing on this host: install the package {argv[0]}")
    result = run_confined(
        ["sh", "-c", _PID_1, argv[0], *argv],
        namespaces=["--mount-proc", "--ipc", "--uts"],
        environment={"DEBIAN_FRONTEND": "noninteractive", "HOME": "/root", **environment},
        merge=True,
    )
    if result.rc != 0:
        _fail(argv[0], result.rc, result.stdout, inputs)


def _fail(tool: str, rc: int, output: bytes, inputs: Inputs) -> t.NoReturn:
    text = output.decode("utf-8", "replace")
    message = f"{tool} failed with return code {rc} for {inputs.suite} of {inputs.mirror}"
    if _UNVERIFIED.search(text):
        message += (
            f"; a signature could not be verified with the keyring {inputs.keyring} or the signed_by of a source: give the keys of that archive"
            f" (Ubuntu's are in {_UBUNTU_KEYRING} of the package {_KEYRING_PACKAGES[_UBUNTU_KEYRING]})"
        )
    raise ChrootError(f"{message}. It said last:\n{excerpt(text)}")


def excerpt(output: str, count: int = 15) -> str:
    """Return the last lines of a tool's output that may explain an error."""
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in output.rstrip().split("\n")]
    return "\n".join([line for line in lines if line and not _CHATTER.match(line)][-count:])


def _write_sources(inputs: Inputs, tree: str, keys: Mapping[str, str]) -> None:
    """Write the sources of the tree, and their keys, into the tree."""
    os.makedirs(os.path.join(tree, "etc/apt/keyrings"), exist_ok=True)
    signed_by = {}
    for name, staged in keys.items():
        if name == BASE and inputs.keyring.startswith(DISTRIBUTED_KEYRINGS) and os.path.exists(os.path.join(tree, inputs.keyring[1:])):
            signed_by[name] = inputs.keyring
            continue
        with open(staged, "rb") as stream:
            signed_by[name] = write_inside(tree, f"/etc/apt/keyrings/{os.path.basename(staged)}", stream.read())
    for name, stanza in render_sources(inputs, signed_by).items():
        write_inside(tree, f"/etc/apt/sources.list.d/{name}.sources", stanza.encode())


def _tidy(tree: str) -> None:
    """Remove files that come from this host or from the time of the build."""
    for directory in ("dev", "run", "tmp"):
        for entry in os.scandir(os.path.join(tree, directory)):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(entry.path)
            else:
                os.unlink(entry.path)
    for directory in ("var/lib/apt/lists", "var/cache/apt", "var/cache/apt/archives", "var/log/apt"):
        with contextlib.suppress(FileNotFoundError):
            _unlink(tree, *(os.path.relpath(entry.path, tree) for entry in os.scandir(os.path.join(tree, directory)) if entry.is_file(follow_symlinks=False)))
    logs = ("alternatives.log", "bootstrap.log", "dpkg.log")
    _unlink(tree, "etc/hostname", "var/lib/dbus/machine-id", "var/cache/ldconfig/aux-cache", *(f"var/log/{log}" for log in logs))
    write_inside(tree, "/etc/machine-id", b"", 0o444)
    if not os.path.islink(os.path.join(tree, "etc/resolv.conf")):
        write_inside(tree, "/etc/resolv.conf", b"")


def write_inside(tree: str, path: str, data: bytes, mode: int = 0o644) -> str:
    real = os.path.join(tree, path[1:])
    os.makedirs(os.path.dirname(real), exist_ok=True)
    write_file(real, data, mode)
    return path


def _unlink(directory: str, *names: str) -> None:
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, name))
