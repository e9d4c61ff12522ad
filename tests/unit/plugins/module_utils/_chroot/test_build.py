# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from chroot_samples import KEY, params, source

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot import build
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.command import Result
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.inputs import DEFAULT_KEYRING, parse_inputs
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError


def test_render_sources():
    flat = source(name="flat", uris=["https://a.example/deb", "https://b.example/deb"], suites=["/"], components=[], types=["deb", "deb-src"])
    other = source(architectures=["amd64"], signed_by=KEY)
    inputs = parse_inputs(params(components=["main", "contrib"], sources=[flat, other]))
    assert build.render_sources(inputs, {"base": "/base.gpg", "extra": "/extra.asc"}) == {
        "base": "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: trixie\nComponents: main contrib\nSigned-By: /base.gpg\n",
        "flat": "Types: deb deb-src\nURIs: https://a.example/deb https://b.example/deb\nSuites: /\nSigned-By: /base.gpg\n",
        "extra": "Types: deb\nURIs: https://example.org/deb\nSuites: stable\nComponents: main\nArchitectures: amd64\nSigned-By: /extra.asc\n",
    }


def test_excerpt_keeps_what_explains():
    output = "I: automatically chosen mode\nGet:1 http://x\nReading database ... 5%\rReading database ... 10%\n\nSetting up a\nE: no space\nE: failed\n"
    assert build.excerpt(output) == "E: no space\nE: failed"
    assert build.excerpt("\n".join(f"line {number}" for number in range(99)), count=2) == "line 97\nline 98"


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

    monkeypatch.setattr(build, "run_confined", run_confined)
    monkeypatch.setattr(build, "run_in_tree", run_in_tree)
    monkeypatch.setattr(build.shutil, "which", lambda name, path: name)
    return calls


def make(tmp_path, **values):
    inputs = parse_inputs(params(**values))
    build.build(inputs, str(tmp_path), f"{tmp_path}/tree", {"http_proxy": "http://proxy"})
    return tmp_path / "tree"


@pytest.fixture
def keyring(tmp_path, monkeypatch):
    """A keyring that stands for the distribution's, whether this host has that or not."""
    read = build.read_key
    monkeypatch.setattr(build, "read_key", lambda key: b"binary" if key == DEFAULT_KEYRING else read(key))


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
    monkeypatch.setitem(build._KEYRING_PACKAGES, f"{tmp_path}/archive-keyring.gpg", "archive-keyring")
    with pytest.raises(ChrootError, match=r"archive-keyring\.gpg does not exist: install the package archive-keyring"):
        make(tmp_path / "1", keyring=f"{tmp_path}/archive-keyring.gpg")
    monkeypatch.setattr(build, "read_key", lambda key: b"binary")
    monkeypatch.setattr(build.shutil, "which", lambda name, path: None)
    for method in ("mmdebstrap", "debootstrap"):
        (tmp_path / method).mkdir()
        with pytest.raises(ChrootError, match=f"{method} is missing on this host: install the package {method}"):
            make(tmp_path / method, method=method)


def test_a_failure_carries_what_the_tool_said(tmp_path, keyring, monkeypatch):
    output = b"I: fine\nErr:1 http://x noble InRelease\n  NO_PUBKEY 871920D1991BC93C\nE: failed\n"
    monkeypatch.setattr(build.shutil, "which", lambda name, path: name)
    monkeypatch.setattr(build, "run_confined", lambda *arguments, **keywords: Result(25, output, b""))
    with pytest.raises(ChrootError) as caught:
        make(tmp_path, suite="noble")
    message = str(caught.value)
    assert message.startswith("mmdebstrap failed with return code 25 for noble of http://deb.debian.org/debian; a signature could not be verified")
    assert "ubuntu-keyring" in message
    assert message.endswith("Err:1 http://x noble InRelease\n  NO_PUBKEY 871920D1991BC93C\nE: failed")
