# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages: which ones are installed, and those that are not to be installed, out of a mirror on this machine."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing as t

import pytest

from ltsp_lab.messages import LabError
from ltsp_lab.packages import need_packages, newest_from_suite, unpack, unpacked_package

if t.TYPE_CHECKING:
    from conftest import Commands, Mirror

    from ltsp_lab.settings import Settings

pytestmark = pytest.mark.skipif(not pathlib.Path("/usr/bin/apt-get").exists(), reason="needs apt-get")
ALL_BUT_OVMF = 'shift 2; for package; do [ "$package" = ovmf ] || echo "$package installed"; done'


@pytest.fixture
def is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_packages_that_are_there_are_not_installed(commands: Commands, packages_are_there: None, settings: Settings) -> None:
    commands.add("apt-get", "exit 1")
    need_packages(settings, "socat", "ovmf")
    assert commands.calls("apt-get") == []
    assert len(commands.calls("dpkg-query")) == 1


def test_the_real_dpkg_is_understood(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    need_packages(settings, "dpkg", "apt")
    with pytest.raises(LabError, match=r"apt-get install no-such-package$"):
        need_packages(settings, "dpkg", "no-such-package", "apt")


def test_only_missing_packages_are_installed(commands: Commands, is_root: None, settings: Settings) -> None:
    commands.add("dpkg-query", ALL_BUT_OVMF)
    commands.add("apt-get", "")
    need_packages(settings, "socat", "ovmf")
    update, install = commands.calls("apt-get")
    assert update.startswith("apt-get update")
    assert install.startswith("apt-get install")
    assert install.endswith(" ovmf")
    assert "socat" not in install


def test_missing_packages_are_named_to_who_cannot_install_them(commands: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    commands.add("dpkg-query", "exit 1")
    commands.add("apt-get", "")
    with pytest.raises(LabError, match="install them as root: apt-get install socat ovmf"):
        need_packages(settings, "socat", "ovmf")
    assert commands.calls("apt-get") == []


def test_a_machine_without_apt_is_told_what_is_missing(tmp_path: pathlib.Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="this is not Debian: socat ovmf"):
        need_packages(settings, "socat", "ovmf")


@pytest.mark.parametrize(
    ("failing", "message"),
    [("update", "apt-get update failed, so ovmf cannot be installed: E: no network"), ("install", "apt-get could not install ovmf")],
)
def test_an_apt_that_fails_is_reported(commands: Commands, is_root: None, settings: Settings, failing: str, message: str) -> None:
    commands.add("dpkg-query", ALL_BUT_OVMF)
    commands.add("apt-get", f'[ "$1" != {failing} ] || {{ echo "E: no network" >&2; exit 100; }}')
    with pytest.raises(LabError, match=message):
        need_packages(settings, "ovmf")


def test_the_package_lists_may_be_locked_for_a_while(commands: Commands, is_root: None, settings: Settings, tmp_path: pathlib.Path) -> None:
    commands.add("dpkg-query", ALL_BUT_OVMF)
    locked = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"
    commands.add("apt-get", f'[ "$1" != update ] || [ -e {tmp_path}/asked ] || {{ touch {tmp_path}/asked; echo "{locked}" >&2; exit 100; }}')
    need_packages(settings, "ovmf")
    assert [call.split()[1] for call in commands.calls("apt-get")] == ["update", "update", "install"]


def test_a_package_is_unpacked_once_and_not_installed(mirror: Mirror, settings: Settings) -> None:
    mirror.publish("stable", "hello", "1:2.0-1", {"usr/bin/hello": b"hello"})
    directory = unpacked_package(settings, "hello")
    assert directory == settings.cache / "unpacked-hello-1%3a2.0-1"
    assert (directory / "usr/bin/hello").read_bytes() == b"hello"
    requests = list(mirror.site.requests)
    assert unpacked_package(settings, "hello") == directory
    assert mirror.site.requests == requests
    assert [path.name for path in settings.cache.iterdir() if path.is_dir()] == [directory.name]


def test_outdated_package_lists_are_updated(mirror: Mirror, settings: Settings) -> None:
    mirror.publish("stable", "hello", "1", {"old": b""})
    (unpacked_package(settings, "hello")).rename(settings.cache / "elsewhere")
    mirror.publish("stable", "hello", "2", {"new": b""})
    assert (unpacked_package(settings, "hello") / "new").exists()


def test_a_package_that_does_not_exist_is_named(mirror: Mirror, settings: Settings) -> None:
    mirror.publish("stable", "hello", "1", {})
    with pytest.raises(LabError, match=r"could not download nonesuch; .*Unable to locate package nonesuch"):
        unpacked_package(settings, "nonesuch")


def test_the_newest_of_another_suite_leaves_the_lists_of_the_machine_alone(
    mirror: Mirror, packages_are_there: None, settings: Settings, tmp_path: pathlib.Path
) -> None:
    settings = dataclasses.replace(settings, mirror=f"{mirror.site.url}/debian")
    mirror.publish("stable", "hello", "1", {})
    for version in ("2.0-1", "1:1.9~rc1-1"):
        mirror.publish("sid", "hello", version, {version: b""})
        found = newest_from_suite(settings, "sid", ["hello"])["hello"]
        assert (found.name, found.version) == ("hello", version)
        unpack(found.path, tmp_path / "unpacked")
    assert {path.name for path in (tmp_path / "unpacked").iterdir()} == {"2.0-1", "1:1.9~rc1-1"}
    assert not [path for path in (tmp_path / "apt/lists").iterdir() if path.is_file()]


def test_files_of_another_suite_are_downloaded_once(mirror: Mirror, packages_are_there: None, settings: Settings) -> None:
    settings = dataclasses.replace(settings, mirror=f"{mirror.site.url}/debian")
    mirror.publish("sid", "hello", "1", {})
    assert newest_from_suite(settings, "sid", ["hello"]) == newest_from_suite(settings, "sid", ["hello"])
    assert len([path for path in mirror.site.requests if path.endswith(".deb")]) == 1


def test_a_machine_without_a_mirror_is_told_so(mirror: Mirror, packages_are_there: None, settings: Settings) -> None:
    settings = dataclasses.replace(settings, mirror="http://127.0.0.1:1/debian")
    with pytest.raises(LabError, match=r"the Debian mirror http://127.0.0.1:1/debian does not give hello of sid; set LTSP_LAB_MIRROR .*refused"):
        newest_from_suite(settings, "sid", ["hello"])


def test_a_file_that_is_no_package_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.deb").write_text("no package", encoding="utf-8")
    with pytest.raises(LabError, match=r"dpkg-deb could not unpack .*/x.deb"):
        unpack(tmp_path / "x.deb", tmp_path / "unpacked")
