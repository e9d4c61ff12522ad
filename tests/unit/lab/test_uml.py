# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of a user-mode Linux. What boots is said by the tests here; e2e boots the real one."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys
import tarfile
import typing as t

import pytest

from ltsp_lab import uml
from ltsp_lab.files import Files
from ltsp_lab.messages import LabError
from ltsp_lab.packages import PackageFile

if t.TYPE_CHECKING:
    from ltsp_lab.settings import Settings

VERSIONS = {"sid": "7.2um1", "trixie": "6.12um1", "bookworm": "6.1um1"}


class Debian:
    """Suites with user-mode Linux, some of which boot."""

    def __init__(self) -> None:
        self.versions = dict(VERSIONS)
        self.booting = {"7.2um1"}
        self.asked: list[str] = []
        self.probed: list[str] = []

    def newest_from_suite(self, settings: Settings, suite: str, names: tuple[str, ...]) -> dict[str, PackageFile]:
        self.asked.append(suite)
        if suite not in self.versions:
            raise LabError(f"apt-get could not download {' '.join(names)} of Debian {suite}")
        return {name: PackageFile(name, self.versions[suite], pathlib.Path(name)) for name in names}

    def unpack(self, package: pathlib.Path, directory: pathlib.Path) -> None:
        (directory / "usr/lib").mkdir(parents=True, exist_ok=True)
        (directory / "usr/lib" / package.name).touch()

    def probe(self, settings: Settings, found: pathlib.Path) -> None:
        self.probed.append(found.name)
        if found.name.removeprefix("uml-") not in self.booting:
            raise LabError("Aborted")


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> Debian:
    debian = Debian()
    monkeypatch.setattr(uml, "newest_from_suite", debian.newest_from_suite)
    monkeypatch.setattr(uml, "unpack", debian.unpack)
    monkeypatch.setattr(uml, "_probe", debian.probe)
    return debian


def test_the_newest_suite_comes_first_and_what_boots_is_kept(debian: Debian, settings: Settings) -> None:
    found = uml.tree(settings)
    assert found == settings.cache / "uml-7.2um1"
    assert {path.name for path in (found / "usr/lib").iterdir()} == set(uml.PACKAGES)
    assert all((found / name).is_dir() for name in ("dev", "mnt", "proc", "tmp"))
    assert (found / "lib").readlink() == pathlib.Path("usr/lib")
    assert uml.tree(settings) == uml.known_tree(settings) == found
    assert (debian.asked, debian.probed) == (["sid"], ["uml-7.2um1"])


def test_a_version_that_does_not_boot_or_cannot_be_had_is_followed_by_the_next(debian: Debian, settings: Settings) -> None:
    del debian.versions["trixie"]
    debian.booting = {"6.1um1"}
    assert uml.tree(settings).name == "uml-6.1um1"
    assert debian.asked == ["sid", "trixie", "bookworm"]
    assert uml.tree(settings).name == "uml-6.1um1"
    assert debian.probed == ["uml-7.2um1", "uml-6.1um1"]


def test_where_none_boots_each_reason_is_said(debian: Debian, settings: Settings) -> None:
    del debian.versions["trixie"]
    debian.booting = set()
    with pytest.raises(uml.UmlError) as error:
        uml.tree(settings)
    assert str(error.value) == (
        "user-mode Linux does not boot here: Debian sid: Aborted; "
        "Debian trixie: apt-get could not download user-mode-linux libc6 libgcc-s1 of Debian trixie; Debian bookworm: Aborted"
    )
    debian.booting = {"7.2um1"}
    assert uml.tree(settings).name == "uml-7.2um1"


def test_another_processor_is_another_question(debian: Debian, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    found = uml.tree(settings)
    monkeypatch.setattr(uml, "_processor", lambda: "another")
    assert uml.tree(settings) == found
    assert debian.probed == ["uml-7.2um1"] * 2
    debian.booting = set()
    monkeypatch.setattr(uml, "_processor", lambda: "a third")
    with pytest.raises(uml.UmlError):
        uml.tree(settings)


def test_a_tree_that_was_not_finished_is_made_again(debian: Debian, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(package: pathlib.Path, directory: pathlib.Path) -> None:
        (directory / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(uml, "unpack", interrupted)
        uml.tree(settings)
    assert [path.name for path in settings.cache.glob("uml-*")] == ["uml-7.2um1.new"]
    assert not (uml.tree(settings) / "half").exists()
    assert [path.name for path in settings.cache.glob("uml-*")] == ["uml-7.2um1"]


def test_a_package_that_cannot_be_unpacked_is_a_reason(debian: Debian, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(package: pathlib.Path, directory: pathlib.Path) -> None:
        raise subprocess.CalledProcessError(2, ["dpkg-deb", "--extract"])

    monkeypatch.setattr(uml, "unpack", broken)
    with pytest.raises(uml.UmlError, match=r"Debian sid: Command .*dpkg-deb.* non-zero exit status 2"):
        uml.tree(settings)


@pytest.fixture
def archive(tmp_path: pathlib.Path) -> pathlib.Path:
    content = tmp_path / "content"
    for name in ("bin/linux.uml", "modules/9.9/kernel.ko"):
        (content / name).parent.mkdir(parents=True)
        (content / name).write_text(name, encoding="utf-8")
    path = tmp_path / "mine.tar.xz"
    with tarfile.open(path, "w:xz") as packed:
        for name in ("bin", "modules"):
            packed.add(content / name, name)
    return path


def test_an_archive_is_for_where_debian_has_none_that_boots(debian: Debian, settings: Settings, archive: pathlib.Path) -> None:
    debian.booting = {"archive-mine"}
    settings = dataclasses.replace(settings, uml=str(archive))
    found = uml.tree(settings)
    assert (found / "usr/bin/linux.uml").read_text(encoding="utf-8") == "bin/linux.uml"
    assert (found / "usr/lib/uml/modules/9.9/kernel.ko").exists()
    assert {path.name for path in (found / "usr/lib").iterdir()} == {"libc6", "libgcc-s1", "uml"}
    assert uml.tree(settings) == uml.known_tree(settings) == found
    assert debian.probed == ["uml-7.2um1", "uml-6.12um1", "uml-6.1um1", "uml-archive-mine"]


def test_an_archive_named_as_a_version_of_debian_is_not_taken_for_it(debian: Debian, settings: Settings, archive: pathlib.Path) -> None:
    debian.booting = {"archive-uml-7.2um1"}
    named = archive.rename(archive.with_name("uml-7.2um1.tar.xz"))
    found = uml.tree(dataclasses.replace(settings, uml=str(named)))
    assert (found / "usr/bin/linux.uml").read_text(encoding="utf-8") == "bin/linux.uml"


def test_an_archive_that_is_none_is_named(debian: Debian, settings: Settings, tmp_path: pathlib.Path) -> None:
    debian.versions = {"sid": "7.2um1"}
    debian.booting = set()
    path = tmp_path / "uml.tar"
    settings = dataclasses.replace(settings, uml=str(path))
    with pytest.raises(uml.UmlError, match=f"; {path}: no such file$"):
        uml.tree(settings)
    path.write_bytes(b"no archive")
    with pytest.raises(uml.UmlError, match=f"; {path}: file could not be opened successfully"):
        uml.tree(settings)
    with tarfile.open(path, "w"):
        pass
    with pytest.raises(uml.UmlError, match=rf"; {path}: .*No such file or directory: .*bin/linux\.uml"):
        uml.tree(settings)


def test_a_machine_is_run_by_the_loader_with_the_tree_that_boots(debian: Debian, settings: Settings) -> None:
    found = uml.tree(settings)
    files = Files(settings.run, "node1")
    command = uml.command(settings, files)
    assert command[-5:] == ["-B", "-m", "ltsp_lab.uml_loader", str(found), str(files.record)]
    # The loader is found from everywhere.
    done = subprocess.run([*command[:2], sys.executable, "-B", "-c", "import ltsp_lab.uml_loader"], cwd="/", check=False)
    assert done.returncode == 0


@pytest.fixture
def probe(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The tree of a user-mode Linux that is a shell script, run without a root directory of its own."""
    busybox = settings.cache / "busybox"
    settings.cache.mkdir()
    busybox.write_bytes(b"busybox")
    monkeypatch.setattr(uml, "busybox", lambda settings: busybox)
    monkeypatch.setattr(uml, "enter", lambda root, work: ["env", f"WORK={work}", "sh"])
    monkeypatch.setattr(uml, "PROGRAM", str(settings.cache / "linux"))
    found = settings.cache / "uml-1"
    found.mkdir()
    return found


def linux(settings: Settings, script: str) -> None:
    (settings.cache / "linux").write_text(script, encoding="utf-8")


def test_a_version_that_says_the_words_of_the_probe_boots(probe: pathlib.Path, settings: Settings) -> None:
    linux(settings, 'echo "Linux version 7"; grep -a -o "user-mode Linux runs programs here" "$WORK/initrd"')
    uml._probe(settings, probe)
    assert not (settings.cache / "uml-1-probe").exists()


@pytest.mark.parametrize(("script", "words"), [("echo a; echo Aborted; exit 1", "Aborted"), ("", "it says nothing"), ("exec sleep 9", "nothing after 0.1 s")])
def test_the_last_words_are_the_reason_of_one_that_does_not_boot(
    probe: pathlib.Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    monkeypatch.setattr(uml, "_PROBE_SECONDS", 0.1 if "sleep" in script else 10)
    linux(settings, script)
    with pytest.raises(LabError, match=f"^{words}$"):
        uml._probe(settings, probe)
    assert not (settings.cache / "uml-1-probe").exists()


def test_what_runs_within_a_tree_has_its_root_directory_and_its_files(tmp_path: pathlib.Path) -> None:
    command = uml.enter(tmp_path / "root", tmp_path / "work")
    assert command[:4] == ["setpriv", "--pdeathsig=KILL", "unshare", "--mount"]
    # Stand-ins for commands of root show the order of the shell's commands.
    for name in ("mount", "chroot"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*"\n', encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([*command[4:], "linux", "a b"], env=environment, capture_output=True, text=True, check=True)
    root = tmp_path / "root"
    assert done.stdout.splitlines() == [
        f"mount --rbind /dev {root}/dev",
        f"mount --rbind /proc {root}/proc",
        f"mount --bind {tmp_path}/work {root}/mnt",
        f"chroot {root} linux a b",
    ]
