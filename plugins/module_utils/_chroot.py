# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base trees of Debian and Ubuntu: what is asked for, what stands, and the way from the one to the other."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import typing as t
import uuid

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot_command import ChrootError, claim, resolve, run_confined, run_in_tree
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import (
    exchange,
    lock,
    mounts_below,
    publish,
    remove_leftovers,
    remove_tree,
    staging_directory,
    write_file,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SCHEMA = 1
MARK = "/var/lib/ltsp/chroot.json"
DEFAULT_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_UBUNTU_KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
_DISTRIBUTED_KEYRINGS = "/usr/share/keyrings/"
_KEYRING_PACKAGES = {DEFAULT_KEYRING: "debian-archive-keyring", _UBUNTU_KEYRING: "ubuntu-keyring"}
_BASE = "base"
_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
_TREE_CA_FILE = "/var/lib/ltsp/ca-certificates.crt"
_ARMOR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_PID_1 = 'umask 022; hostname localhost; "$@"; exit $?'

_SUITE = re.compile(r"[a-z0-9][a-z0-9.+~-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_/-]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9][a-z0-9-]*)?([=/][A-Za-z0-9][A-Za-z0-9.+:~_-]*)?")
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SOURCE_SUITE = re.compile(r"/|[A-Za-z0-9.][A-Za-z0-9.+~_/-]*")
_URL = re.compile(r"https?://[A-Za-z0-9\[][^\s@?#]*")

# Lines that say that something went on as it should.
_CHATTER = re.compile(
    r"I: |(Get|Hit|Ign):|\(?Reading |Building |Selecting |Preparing |Unpacking |Setting up |Processing triggers |Fetched |done$"
    r"|W: Download is performed unsandboxed"
)
_UNVERIFIED = re.compile(r"NO_PUBKEY|not signed|couldn't be verified|[Mm]issing key|unknown key|no public key|[Ii]nvalid signature")


class Source(t.NamedTuple):
    """An archive beside the one of the base system, as a stanza of deb822."""

    name: str
    types: list[str]
    uris: list[str]
    suites: list[str]
    components: list[str]
    architectures: list[str]
    signed_by: str | None


class Inputs(t.NamedTuple):
    """All that a tree depends on."""

    suite: str
    mirror: str
    components: list[str]
    architecture: str
    variant: str
    keyring: str
    packages: list[str]
    install_recommends: bool
    sources: list[Source]
    method: str

    def record(self) -> dict[str, t.Any]:
        """Tell the inputs as plain data; a key is told by its digest, unless a package of the distribution keeps it."""
        keyring = self.keyring if self.keyring.startswith(_DISTRIBUTED_KEYRINGS) else _key_digest(self.keyring)
        sources = [{**source._asdict(), "signed_by": source.signed_by and _key_digest(source.signed_by)} for source in self.sources]
        return {**self._asdict(), "keyring": keyring, "sources": sources}


class Mark(t.NamedTuple):
    """What a tree says about itself."""

    inputs: dict[str, t.Any]
    digest: str
    id: str
    created: str


class Outcome(t.NamedTuple):
    """What stood before and what stands now; None is nothing."""

    changed: bool
    before: Mark | None
    after: Mark | None


def parse_inputs(params: Mapping[str, t.Any]) -> Inputs:
    """Check the options of the module and bring them into the form in which they are compared."""
    inputs = Inputs(
        suite=params["suite"],
        mirror=params["mirror"].rstrip("/"),
        components=_unique(params["components"]),
        architecture=params["architecture"] or _host_architecture(),
        variant=params["variant"],
        keyring=params["keyring"],
        packages=sorted(set(params["packages"])),
        install_recommends=params["install_recommends"],
        sources=[_parse_source(source) for source in params["sources"]],
        method=params["method"],
    )
    _check("suite", [inputs.suite], _SUITE, "the code name of a release, as trixie")
    _check("mirror", [inputs.mirror], _URL, "an http or https URL without user name and password (it is written into the tree)")
    _check("components", inputs.components, _COMPONENT, "a component of an archive, as main")
    _check("architecture", [inputs.architecture], _ARCHITECTURE, "an architecture of dpkg, as amd64")
    _check("packages", inputs.packages, _PACKAGE, "the name of a package, with =VERSION or /SUITE if need be")
    if not inputs.components:
        raise ChrootError("components: the list is empty: name at least one, as main")
    if not inputs.keyring.startswith("/"):
        raise ChrootError(f"keyring: {inputs.keyring!r} is not an absolute path")
    names = [_BASE, *(source.name for source in inputs.sources)]
    for name in names:
        if names.count(name) > 1:
            raise ChrootError(f"sources: the name {name!r} is taken ({_BASE!r} is that of mirror and suite): give each source a name of its own")
    return inputs


def _parse_source(params: Mapping[str, t.Any]) -> Source:
    source = Source(
        name=params["name"],
        types=_unique(params["types"]),
        uris=_unique(params["uris"]),
        suites=_unique(params["suites"]),
        components=_unique(params["components"]),
        architectures=_unique(params["architectures"]),
        signed_by=params["signed_by"].strip() if params["signed_by"] else None,
    )
    place = f"sources, {source.name!r}"
    _check("sources", [source.name], _SOURCE_NAME, "a name of letters, digits, dots, dashes and underscores")
    _check(f"{place}: uris", source.uris, _URL, "an http or https URL without user name and password (it is written into the tree)")
    _check(f"{place}: suites", source.suites, _SOURCE_SUITE, "a suite, or a directory that ends in a slash")
    _check(f"{place}: components", source.components, _COMPONENT, "a component of an archive, as main")
    _check(f"{place}: architectures", source.architectures, _ARCHITECTURE, "an architecture of dpkg, as amd64")
    for option, values in (("types", source.types), ("uris", source.uris), ("suites", source.suites)):
        if not values:
            raise ChrootError(f"{place}: {option} is empty")
    for suite in source.suites:
        if suite.endswith("/") and source.components:
            raise ChrootError(f"{place}: the suite {suite!r} is a directory, which has no components: leave them out")
        if not suite.endswith("/") and not source.components:
            raise ChrootError(f"{place}: the suite {suite!r} needs components, as main; a directory without any ends in a slash")
    if source.signed_by and not source.signed_by.startswith(("/", _ARMOR)):
        raise ChrootError(f"{place}: signed_by is neither an absolute path nor a key that begins with {_ARMOR}")
    return source


def _check(option: str, values: Iterable[str], pattern: re.Pattern[str], wanted: str) -> None:
    for value in values:
        if not pattern.fullmatch(value):
            raise ChrootError(f"{option}: {value!r} is not {wanted}")


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _host_architecture() -> str:
    try:
        return subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ChrootError(f"architecture: not given, and this host does not tell its own ({error}): give it, or install the package dpkg") from error


def _key_digest(key: str) -> str | None:
    """Give the SHA-256 of a key, named or in full; None when the file is not there, which is different from every key."""
    try:
        return hashlib.sha256(_read_key(key)).hexdigest()
    except FileNotFoundError:
        return None


def _read_key(key: str) -> bytes:
    if key.startswith(_ARMOR):
        return key.encode() + b"\n"
    with open(key, "rb") as stream:
        return stream.read()


def digest(record: Mapping[str, t.Any]) -> str:
    """Give one number for the inputs, equal when they are."""
    return hashlib.sha256(json.dumps({"schema": SCHEMA, **record}, sort_keys=True).encode()).hexdigest()


def check_path(path: str) -> str:
    """Give the path at which the tree stands or will stand; its parent may be reached by symbolic links, it may not be one."""
    if not path.startswith("/"):
        raise ChrootError(f"path: {path!r} is not an absolute path")
    if ".." in path.split("/"):
        raise ChrootError(f"path: {path!r} leads upwards: give the path without ..")
    parent, name = os.path.split(os.path.normpath(path))
    if not name:
        raise ChrootError(f"path: {path!r} is the root of this host: give the path of a directory below it")
    real = os.path.join(os.path.realpath(parent), name)
    if os.path.islink(real):
        raise ChrootError(f"path: {path!r} is a symbolic link to {os.readlink(real)}: give the path of the tree itself")
    return real


def read_mark(path: str) -> Mark | None:
    """Tell what the tree at `path` was made from, None when nothing is there; anything else there is somebody else's."""
    if not os.path.lexists(path):
        return None
    try:
        with open(resolve(path, MARK), encoding="utf-8") as stream:
            data = json.load(stream)
        return Mark(data["inputs"], data["digest"], data["id"], data["created"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ChrootError(f"{path} was not made by ltsp_chroot (no valid {MARK[1:]} in it): it is not touched, move it away or give another path") from error


def present(path: str, inputs: Inputs, *, refresh: bool, check_mode: bool, environment: Mapping[str, str]) -> Outcome:
    """Let the tree that `inputs` describe stand at `path` (checked by check_path)."""
    record = inputs.record()
    wanted = digest(record)

    def stands(mark: Mark | None) -> bool:
        return mark is not None and mark.digest == wanted and not refresh

    if check_mode:
        before = read_mark(path)
        return Outcome(False, before, before) if stands(before) else Outcome(True, before, Mark(record, wanted, "", ""))
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        raise ChrootError(f"path: the directory {parent} does not exist: create it first")
    with lock(_lock_path(path)):
        remove_leftovers(path)
        before = read_mark(path)
        if stands(before):
            return Outcome(False, before, before)
        if before is not None:
            _refuse_mounts(path)
        with staging_directory(path) as staged:
            tree = os.path.join(staged, "tree")
            _make(inputs, staged, tree, environment)
            after = Mark(record, wanted, uuid.uuid4().hex, datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
            _write(tree, MARK, (json.dumps({"schema": SCHEMA, **after._asdict()}, indent=2, sort_keys=True) + "\n").encode())
            if before is None:
                publish(tree, path)
            else:
                with claim(path):
                    exchange(tree, path)
        return Outcome(True, before, after)


def absent(path: str, *, check_mode: bool) -> Outcome:
    """Let nothing stand at `path` (checked by check_path)."""
    if check_mode or not os.path.isdir(os.path.dirname(path)):
        before = read_mark(path)
        return Outcome(before is not None, before, None)
    with lock(_lock_path(path)):
        remove_leftovers(path)
        before = read_mark(path)
        if before is not None:
            _refuse_mounts(path)
            with claim(path), staging_directory(path) as staged:
                os.rename(path, os.path.join(staged, "tree"))
        return Outcome(before is not None, before, None)


def _lock_path(path: str) -> str:
    parent, name = os.path.split(path)
    return os.path.join(parent, f".{name}.lock")


def _refuse_mounts(path: str) -> None:
    mounts = mounts_below(path)
    if mounts:
        raise ChrootError(f"{path} is not touched, something is mounted at {', '.join(mounts)}: unmount it, then run again")


def _make(inputs: Inputs, staged: str, tree: str, environment: Mapping[str, str]) -> None:
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
    """Copy all keys to where apt's own user can read them; give their paths by the name of the source."""
    directory = os.path.join(staged, "keys")
    os.mkdir(directory, 0o755)
    keys = {}
    for name, key in ((_BASE, inputs.keyring), *((source.name, source.signed_by) for source in inputs.sources)):
        if key is None:
            continue
        try:
            data = _read_key(key)
        except FileNotFoundError as error:
            package = _KEYRING_PACKAGES.get(key)
            remedy = f"install the package {package}" if package else "copy it to this host"
            raise ChrootError(f"{'keyring' if name == _BASE else f'sources, {name!r}: signed_by'}: {key} does not exist: {remedy}") from error
        # apt tells the two forms of a key by its name.
        keys[name] = os.path.join(directory, f"{name}.{'asc' if data.startswith(_ARMOR.encode()) else 'gpg'}")
        write_file(keys[name], data)
    return keys


def render_sources(inputs: Inputs, signed_by: Mapping[str, str]) -> dict[str, str]:
    """Give the stanza of each source; one without a key of its own is signed by the base's."""
    base = Source(_BASE, ["deb"], [inputs.mirror], [inputs.suite], inputs.components, [], None)
    stanzas = {}
    for source in (base, *inputs.sources):
        fields = {
            "Types": source.types,
            "URIs": source.uris,
            "Suites": source.suites,
            "Components": source.components,
            "Architectures": source.architectures,
            "Signed-By": [signed_by.get(source.name, signed_by[_BASE])],
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
    # What was true for the making only.
    _unlink(tree, "etc/apt/apt.conf.d/99mmdebstrap", "etc/apt/sources.list")
    directory = os.path.join(tree, "etc/apt/sources.list.d")
    _unlink(directory, *(name for name in os.listdir(directory) if name.startswith("0000")))


def _run_debootstrap(inputs: Inputs, tree: str, keys: Mapping[str, str], environment: Mapping[str, str]) -> None:
    if keys[_BASE].endswith(".asc"):
        raise ChrootError(f"keyring: debootstrap cannot read the armored {inputs.keyring}: convert it with gpg --dearmor, or use the method mmdebstrap")
    options = [f"--arch={inputs.architecture}", f"--components={','.join(inputs.components)}", f"--keyring={keys[_BASE]}"]
    if inputs.variant != "important":
        options.append(f"--variant={inputs.variant}")
    _run_tool(["debootstrap", *options, inputs.suite, tree, inputs.mirror], inputs, environment)
    _unlink(tree, "etc/apt/sources.list")


def _run_apt(inputs: Inputs, tree: str, environment: Mapping[str, str]) -> None:
    """Bring the packages that debootstrap cannot, with the host's certificates: the tree may have none."""
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
    """Give the last lines of a tool's output that may explain an error."""
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in output.rstrip().split("\n")]
    return "\n".join([line for line in lines if line and not _CHATTER.match(line)][-count:])


def _write_sources(inputs: Inputs, tree: str, keys: Mapping[str, str]) -> None:
    """Let the tree itself know where it came from."""
    os.makedirs(os.path.join(tree, "etc/apt/keyrings"), exist_ok=True)
    signed_by = {}
    for name, staged in keys.items():
        if name == _BASE and inputs.keyring.startswith(_DISTRIBUTED_KEYRINGS) and os.path.exists(os.path.join(tree, inputs.keyring[1:])):
            signed_by[name] = inputs.keyring
            continue
        with open(staged, "rb") as stream:
            signed_by[name] = _write(tree, f"/etc/apt/keyrings/{os.path.basename(staged)}", stream.read())
    for name, stanza in render_sources(inputs, signed_by).items():
        _write(tree, f"/etc/apt/sources.list.d/{name}.sources", stanza.encode())


def _tidy(tree: str) -> None:
    """Take away what comes from this host or from this hour."""
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
    _write(tree, "/etc/machine-id", b"", 0o444)
    if not os.path.islink(os.path.join(tree, "etc/resolv.conf")):
        _write(tree, "/etc/resolv.conf", b"")


def _write(tree: str, path: str, data: bytes, mode: int = 0o644) -> str:
    real = os.path.join(tree, path[1:])
    os.makedirs(os.path.dirname(real), exist_ok=True)
    write_file(real, data, mode)
    return path


def _unlink(directory: str, *names: str) -> None:
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, name))
