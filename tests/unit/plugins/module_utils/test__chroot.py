# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.serverfarm.ltsp.plugins.module_utils import _chroot
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot_command import ChrootError, Result
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import files as _files

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----"


def source(**values):
    defaults = {"name": "extra", "types": ["deb"], "uris": ["https://example.org/deb"], "suites": ["stable"], "components": ["main"]}
    return {**defaults, "architectures": [], "signed_by": None, **values}


def params(**values):
    defaults = {
        "suite": "trixie",
        "mirror": "http://deb.debian.org/debian",
        "components": ["main"],
        "architecture": "amd64",
        "variant": "minbase",
        "keyring": _chroot.DEFAULT_KEYRING,
        "packages": [],
        "install_recommends": False,
        "sources": [],
        "method": "mmdebstrap",
    }
    return {**defaults, **values}


def digest(**values):
    return _chroot.digest(_chroot.parse_inputs(params(**values)).record())


def test_equal_inputs_have_equal_digests(tmp_path):
    (tmp_path / "key.asc").write_text(f"{KEY}\n")
    assert digest(packages=["more", "less", "more"]) == digest(packages=["less", "more"])
    assert digest(mirror="http://deb.debian.org/debian/") == digest()
    assert digest(sources=[source(signed_by=f"\n{KEY}\n\n")]) == digest(sources=[source(signed_by=f"{tmp_path}/key.asc")])
    assert digest(architecture=None) == digest(architecture=_chroot._host_architecture())


def test_every_other_input_has_another_digest(tmp_path):
    keyring = tmp_path / "keyring.gpg"
    changes = [
        {},
        {"suite": "bookworm"},
        {"mirror": "http://example.org/debian"},
        {"components": ["main", "contrib"]},
        {"architecture": "arm64"},
        {"variant": "important"},
        {"keyring": "/usr/share/keyrings/other.gpg"},
        {"keyring": str(keyring)},
        {"packages": ["less"]},
        {"install_recommends": True},
        {"sources": [source()]},
        {"sources": [source(signed_by=KEY)]},
        {"method": "debootstrap"},
    ]
    digests = [digest(**change) for change in changes]
    assert len(set(digests)) == len(digests)
    keyring.write_bytes(b"one")
    one = digest(keyring=str(keyring))
    keyring.write_bytes(b"two")
    assert digest(keyring=str(keyring)) not in (one, *digests)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"suite": "Trixie"}, "suite: 'Trixie' is not"),
        ({"suite": "--help"}, "suite: '--help' is not"),
        ({"suite": "trixie/updates"}, "suite: "),
        ({"mirror": "deb.debian.org"}, "mirror: .* is not an http or https URL"),
        ({"mirror": "file:///srv/mirror"}, "mirror: "),
        ({"mirror": "http://user:word@example.org/"}, "without user name"),
        ({"mirror": "http://example.org/\nSuites: x"}, "mirror: "),
        ({"components": []}, "components: the list is empty"),
        ({"components": ["main contrib"]}, "components: 'main contrib'"),
        ({"architecture": "x86 64"}, "architecture: 'x86 64'"),
        ({"keyring": "keyring.gpg"}, "keyring: 'keyring.gpg' is not an absolute path"),
        ({"packages": ["less,more"]}, "packages: 'less,more'"),
        ({"packages": ["-f"]}, "packages: '-f'"),
        ({"packages": ["less-"]}, "packages: 'less-'"),
        ({"packages": ["?essential"]}, "packages: "),
        ({"packages": [""]}, "packages: ''"),
        ({"sources": [source(name="../x")]}, "sources: '../x'"),
        ({"sources": [source(name="base")]}, "the name 'base' is taken"),
        ({"sources": [source(), source()]}, "the name 'extra' is taken"),
        ({"sources": [source(uris=[])]}, "sources, 'extra': uris is empty"),
        ({"sources": [source(uris=["/srv"])]}, "sources, 'extra': uris: '/srv'"),
        ({"sources": [source(suites=[])]}, "suites is empty"),
        ({"sources": [source(suites=["a b"])]}, "suites: 'a b'"),
        ({"sources": [source(suites=["/"])]}, "has no components"),
        ({"sources": [source(components=[])]}, "needs components"),
        ({"sources": [source(architectures=["*"])]}, "architectures: "),
        ({"sources": [source(signed_by="key.asc")]}, "signed_by is neither"),
    ],
)
def test_wrong_inputs_are_named(values, message):
    with pytest.raises(ChrootError, match=message):
        _chroot.parse_inputs(params(**values))


def test_packages_of_every_kind_are_taken():
    packages = ["g++", "libc6:i386", "linux-image-amd64/trixie-backports", "kubeadm=1.36.3-1.1", "xz=1:2.0~rc1+b1", "0ad"]
    assert _chroot.parse_inputs(params(packages=packages)).packages == sorted(packages)


def test_render_sources():
    flat = source(name="flat", uris=["https://a.example/deb", "https://b.example/deb"], suites=["/"], components=[], types=["deb", "deb-src"])
    other = source(architectures=["amd64"], signed_by=KEY)
    inputs = _chroot.parse_inputs(params(components=["main", "contrib"], sources=[flat, other]))
    assert _chroot.render_sources(inputs, {"base": "/base.gpg", "extra": "/extra.asc"}) == {
        "base": "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: trixie\nComponents: main contrib\nSigned-By: /base.gpg\n",
        "flat": "Types: deb deb-src\nURIs: https://a.example/deb https://b.example/deb\nSuites: /\nSigned-By: /base.gpg\n",
        "extra": "Types: deb\nURIs: https://example.org/deb\nSuites: stable\nComponents: main\nArchitectures: amd64\nSigned-By: /extra.asc\n",
    }


def test_excerpt_keeps_what_explains():
    output = "I: automatically chosen mode\nGet:1 http://x\nReading database ... 5%\rReading database ... 10%\n\nSetting up a\nE: no space\nE: failed\n"
    assert _chroot.excerpt(output) == "E: no space\nE: failed"
    assert _chroot.excerpt("\n".join(f"line {number}" for number in range(99)), count=2) == "line 97\nline 98"


@pytest.mark.parametrize("path", ["tree", "", "./tree", "/", "//", "/a/../b", "/a/.."])
def test_check_path_refuses(path):
    with pytest.raises(ChrootError, match="path: "):
        _chroot.check_path(path)


def test_check_path_follows_the_parent_only(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert _chroot.check_path(f"{tmp_path}/link/tree/") == f"{tmp_path}/real/tree"
    with pytest.raises(ChrootError, match="is a symbolic link to real"):
        _chroot.check_path(f"{tmp_path}/link")


MARK = {"schema": 1, "inputs": {}, "digest": "d", "id": "i", "created": "c"}


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "no", json.dumps(MARK)[:-1]])
def test_read_mark_refuses_what_others_made(tmp_path, text):
    tree = tmp_path / "tree"
    (tree / "var/lib/ltsp").mkdir(parents=True)
    if text is not None:
        (tree / "var/lib/ltsp/chroot.json").write_text(text)
    with pytest.raises(ChrootError, match="was not made by ltsp_chroot"):
        _chroot.read_mark(str(tree))


def test_read_mark_does_not_leave_the_tree(tmp_path):
    outside = tmp_path / "outside"
    (outside / "lib/ltsp").mkdir(parents=True)
    (outside / "lib/ltsp/chroot.json").write_text(json.dumps(MARK))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/var").symlink_to(outside)
    with pytest.raises(ChrootError, match="was not made by ltsp_chroot"):
        _chroot.read_mark(f"{tmp_path}/tree")
    assert _chroot.read_mark(f"{tmp_path}/missing") is None


@pytest.fixture
def maker(monkeypatch):
    """Make trees without an archive; raise what `errors` holds, after half of the work."""

    class Maker:
        made = 0
        errors = ()

    def make(inputs, staged, tree, environment):
        os.makedirs(f"{tree}/usr")
        for error in Maker.errors:
            raise error
        Maker.made += 1

    monkeypatch.setattr(_chroot, "_make", make)
    return Maker


def present(path, refresh=False, check_mode=False, **values):
    return _chroot.present(str(path), _chroot.parse_inputs(params(**values)), refresh=refresh, check_mode=check_mode, environment={})


def test_present_makes_keeps_and_replaces(tmp_path, maker):
    path = tmp_path / "tree"
    first = present(path)
    assert (first.changed, first.before) == (True, None)
    assert _chroot.read_mark(str(path)) == first.after
    assert present(path) == (False, first.after, first.after)
    assert maker.made == 1
    other = present(path, packages=["less"])
    assert (other.changed, other.before, other.after.digest) == (True, first.after, digest(packages=["less"]))
    again = present(path, packages=["less"], refresh=True)
    assert again.after.digest == other.after.digest
    assert again.after.id != other.after.id
    assert sorted(os.listdir(tmp_path)) == [".tree.lock", "tree"]


def test_present_in_check_mode_touches_nothing(tmp_path, maker):
    path = tmp_path / "tree"
    assert present(path, check_mode=True).changed
    assert present(tmp_path / "missing" / "tree", check_mode=True).changed
    assert os.listdir(tmp_path) == []
    present(path)
    assert not present(path, check_mode=True).changed
    assert present(path, check_mode=True, refresh=True).changed
    assert present(path, check_mode=True, suite="noble").changed
    assert maker.made == 1


@pytest.mark.parametrize("error", [ChrootError("no"), SystemExit(143), KeyboardInterrupt()])
def test_present_leaves_what_stood_when_it_fails(tmp_path, maker, error):
    maker.errors = (error,)
    with pytest.raises(type(error)):
        present(tmp_path / "tree")
    assert os.listdir(tmp_path) == [".tree.lock"]
    maker.errors = ()
    stood = present(tmp_path / "tree")
    maker.errors = (error,)
    with pytest.raises(type(error)):
        present(tmp_path / "tree", suite="noble")
    assert _chroot.read_mark(f"{tmp_path}/tree") == stood.after
    assert sorted(os.listdir(tmp_path)) == [".tree.lock", "tree"]


def test_present_removes_what_a_killed_run_left(tmp_path, maker):
    (tmp_path / ".tree.a1b2c3d4.tmp/tree/usr").mkdir(parents=True)
    present(tmp_path / "tree")
    assert sorted(os.listdir(tmp_path)) == [".tree.lock", "tree"]


def test_present_needs_the_parent(tmp_path, maker):
    with pytest.raises(ChrootError, match=f"the directory {tmp_path}/missing does not exist"):
        present(tmp_path / "missing" / "tree")


@pytest.mark.parametrize("check_mode", [True, False])
def test_directories_of_others_are_refused(tmp_path, maker, check_mode):
    (tmp_path / "home").mkdir()
    (tmp_path / "file").touch()
    for name in ("home", "file"):
        with pytest.raises(ChrootError, match="was not made by ltsp_chroot"):
            present(tmp_path / name, check_mode=check_mode)
        with pytest.raises(ChrootError, match="was not made by ltsp_chroot"):
            _chroot.absent(str(tmp_path / name), check_mode=check_mode)
    assert (tmp_path / "home").is_dir()
    assert maker.made == 0


def test_trees_with_mounts_are_refused_before_anything_is_made(tmp_path, maker, monkeypatch):
    path = tmp_path / "tree"
    stood = present(path).after
    monkeypatch.setattr(_files, "_mount_points", lambda: [f"{path}/usr"])
    with pytest.raises(ChrootError, match=f"something is mounted at {path}/usr"):
        present(path, suite="noble")
    with pytest.raises(ChrootError, match="unmount it"):
        _chroot.absent(str(path), check_mode=False)
    assert maker.made == 1
    assert _chroot.read_mark(str(path)) == stood


def test_trees_in_which_a_command_runs_are_refused(tmp_path, maker):
    from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot_command import _in_use

    path = tmp_path / "tree"
    stood = present(path).after
    with _in_use(str(path), []):
        for attempt in (lambda: present(path, suite="noble"), lambda: _chroot.absent(str(path), check_mode=False)):
            with pytest.raises(ChrootError, match="a command runs in"):
                attempt()
    assert _chroot.read_mark(str(path)) == stood
    assert sorted(os.listdir(tmp_path)) == [".tree.lock", "tree"]


def test_absent_removes(tmp_path, maker):
    path = str(tmp_path / "tree")
    stood = present(path).after
    assert _chroot.absent(path, check_mode=True) == (True, stood, None)
    assert os.path.isdir(path)
    assert _chroot.absent(path, check_mode=False) == (True, stood, None)
    assert os.listdir(tmp_path) == [".tree.lock"]
    assert _chroot.absent(path, check_mode=False) == (False, None, None)
    assert _chroot.absent(f"{tmp_path}/missing/tree", check_mode=False) == (False, None, None)


@pytest.fixture
def tools(monkeypatch):
    """Stand in for the tools: record what they are asked, leave what they leave."""
    calls = []

    def run_confined(argv, *, namespaces, environment, data=None, merge=False):
        command = argv[4:]
        tree = next(argument for argument in command if argument.endswith("/tree"))
        for directory in ("etc/apt/sources.list.d", "etc/apt/apt.conf.d", "dev/pts", "run/lock", "tmp", "usr/share/keyrings", "var/lib/apt/lists/partial"):
            os.makedirs(f"{tree}/{directory}")
        for name in (
            "etc/apt/sources.list",
            "etc/apt/sources.list.d/vendor.sources",
            "etc/hostname",
            "etc/machine-id",
            "etc/resolv.conf",
            "dev/null",
            "tmp/x",
            "usr/share/keyrings/debian-archive-keyring.gpg",
            "var/lib/apt/lists/x_Packages",
        ):
            with open(f"{tree}/{name}", "w", encoding="utf-8") as stream:
                stream.write("of the host\n")
        if command[0] == "mmdebstrap":
            for name in ("apt.conf.d/99mmdebstrap", "sources.list.d/0000all.sources"):
                os.close(os.open(f"{tree}/etc/apt/{name}", os.O_CREAT))
            with open(command[-1], encoding="utf-8") as stream:
                command = [*command[:-1], stream.read()]
        calls.append((command, environment))
        return Result(0, b"", b"")

    def run_in_tree(root, argv, *, chdir="/", environment=None, data=None):
        calls.append((argv, environment))
        return Result(0, b"", b"")

    monkeypatch.setattr(_chroot, "run_confined", run_confined)
    monkeypatch.setattr(_chroot, "run_in_tree", run_in_tree)
    monkeypatch.setattr(_chroot.shutil, "which", lambda name, path: name)
    return calls


def make(tmp_path, **values):
    inputs = _chroot.parse_inputs(params(**values))
    _chroot._make(inputs, str(tmp_path), f"{tmp_path}/tree", {"http_proxy": "http://proxy"})
    return tmp_path / "tree"


@pytest.fixture
def keyring(tmp_path, monkeypatch):
    """A keyring that stands for the distribution's, whether this host has that or not."""
    read = _chroot._read_key
    monkeypatch.setattr(_chroot, "_read_key", lambda key: b"binary" if key == _chroot.DEFAULT_KEYRING else read(key))


def test_mmdebstrap_gets_all_and_the_tree_is_its_own(tmp_path, tools, keyring):
    tree = make(tmp_path, packages=["less"], install_recommends=True, sources=[source(signed_by=KEY)])
    ((command, environment),) = tools
    assert command[:3] == ["mmdebstrap", "--mode=root", "--format=directory"]
    assert {"--variant=minbase", "--architectures=amd64", "--include=apt,less", '--aptopt=APT::Install-Recommends "true"'} <= set(command)
    assert command[-3:-1] == ["trixie", str(tree)]
    assert f"Signed-By: {tmp_path}/keys/base.gpg\n\nTypes: deb\nURIs: https://example.org/deb\n" in command[-1]
    assert environment["http_proxy"] == "http://proxy"
    assert sorted(os.listdir(tree / "etc/apt/sources.list.d")) == ["base.sources", "extra.sources", "vendor.sources"]
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n" in (tree / "etc/apt/sources.list.d/base.sources").read_text()
    assert "Signed-By: /etc/apt/keyrings/extra.asc\n" in (tree / "etc/apt/sources.list.d/extra.sources").read_text()
    assert (tree / "etc/apt/keyrings/extra.asc").read_text() == f"{KEY}\n"
    assert os.listdir(tree / "etc/apt/apt.conf.d") == []
    assert not (tree / "etc/apt/sources.list").exists()


def test_nothing_of_the_host_stays_in_the_tree(tmp_path, tools, keyring):
    tree = make(tmp_path)
    assert [os.listdir(tree / name) for name in ("dev", "run", "tmp", "var/lib/apt/lists")] == [[], [], [], ["partial"]]
    assert [(tree / f"etc/{name}").read_bytes() for name in ("machine-id", "resolv.conf")] == [b"", b""]
    assert not (tree / "etc/hostname").exists()


def test_a_keyring_of_the_operator_goes_along(tmp_path, tools):
    (tmp_path / "own.gpg").write_bytes(b"own")
    tree = make(tmp_path, keyring=f"{tmp_path}/own.gpg")
    assert (tree / "etc/apt/keyrings/base.gpg").read_bytes() == b"own"
    assert "Signed-By: /etc/apt/keyrings/base.gpg\n" in (tree / "etc/apt/sources.list.d/base.sources").read_text()


def test_debootstrap_leaves_the_rest_to_apt(tmp_path, tools, keyring):
    tree = make(tmp_path, method="debootstrap", packages=["less"], components=["main", "contrib"], variant="important", sources=[source(signed_by=KEY)])
    commands = [command for command, environment in tools]
    options = ["--arch=amd64", "--components=main,contrib", f"--keyring={tmp_path}/keys/base.gpg"]
    assert commands[0] == ["debootstrap", *options, "trixie", str(tree), "http://deb.debian.org/debian"]
    assert [command[0] for command in commands[1:]] == ["apt-get"] * 3
    assert [command[-1] for command in commands[1:3]] == ["update", "dist-upgrade"]
    assert commands[3][-2:] == ["install", "less"]
    assert all("APT::Install-Recommends=false" in command for command in commands[1:])
    assert all(environment["http_proxy"] == "http://proxy" for command, environment in tools)
    assert sorted(os.listdir(tree / "etc/apt/sources.list.d")) == ["base.sources", "extra.sources", "vendor.sources"]
    assert not (tree / "var/lib/ltsp/ca-certificates.crt").exists()


def test_debootstrap_cannot_read_armored_keyrings(tmp_path, tools):
    (tmp_path / "own.asc").write_text(KEY)
    with pytest.raises(ChrootError, match="gpg --dearmor"):
        make(tmp_path, keyring=f"{tmp_path}/own.asc", method="debootstrap")


def test_what_is_missing_on_the_host_is_named_with_its_package(tmp_path, tools, monkeypatch):
    (tmp_path / "1").mkdir()
    monkeypatch.setitem(_chroot._KEYRING_PACKAGES, f"{tmp_path}/archive-keyring.gpg", "archive-keyring")
    with pytest.raises(ChrootError, match=r"archive-keyring\.gpg does not exist: install the package archive-keyring"):
        make(tmp_path / "1", keyring=f"{tmp_path}/archive-keyring.gpg")
    monkeypatch.setattr(_chroot, "_read_key", lambda key: b"binary")
    monkeypatch.setattr(_chroot.shutil, "which", lambda name, path: None)
    for method in ("mmdebstrap", "debootstrap"):
        (tmp_path / method).mkdir()
        with pytest.raises(ChrootError, match=f"{method} is missing on this host: install the package {method}"):
            make(tmp_path / method, method=method)


def test_a_failure_carries_what_the_tool_said(tmp_path, keyring, monkeypatch):
    output = b"I: fine\nErr:1 http://x noble InRelease\n  NO_PUBKEY 871920D1991BC93C\nE: failed\n"
    monkeypatch.setattr(_chroot.shutil, "which", lambda name, path: name)
    monkeypatch.setattr(_chroot, "run_confined", lambda *arguments, **keywords: Result(25, output, b""))
    with pytest.raises(ChrootError) as caught:
        make(tmp_path, suite="noble")
    message = str(caught.value)
    assert message.startswith("mmdebstrap failed with return code 25 for noble of http://deb.debian.org/debian; a signature could not be verified")
    assert "ubuntu-keyring" in message
    assert message.endswith("Err:1 http://x noble InRelease\n  NO_PUBKEY 871920D1991BC93C\nE: failed")
