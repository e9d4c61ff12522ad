# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible for the lab: its versions, its virtual environment, its collections and its playbooks."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import typing as t
import zipfile

import pytest

from ltsp_lab import ansible
from ltsp_lab.ansible import Ansible, link_collection, make_venv, need_collections, oldest_ansible, supported_ansible
from ltsp_lab.messages import LabError

if t.TYPE_CHECKING:
    from conftest import Commands

    from ltsp_lab.settings import Settings

ROOT = pathlib.Path(__file__).resolve().parents[3]
GALAXY = 'for option; do case $option in --collections-path=*) mkdir "${option#*=}/x"; : >"${option#*=}/x/from-galaxy" ;; esac; done'
COMMAND = """
import pathlib, sys
from ltsp_lab.ansible import Ansible
from ltsp_lab.settings import Settings
from ltsp_lab import processes

processes.GRACE = 1
work = pathlib.Path(sys.argv[1])
Ansible(Settings("test", work, work), work / "venv", work, work).playbook("site.yml")
"""


def test_the_ansible_to_install_is_what_the_collection_supports() -> None:
    requires = re.search(r'requires_ansible: "(.*)"', (ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    assert requires
    assert supported_ansible(ROOT) == f"ansible-core{requires[1]}"
    oldest = re.match(r">=(\d+\.\d+)", requires[1])
    assert oldest
    assert oldest_ansible(ROOT) == f"ansible-core=={oldest[1]}.*"


def test_a_collection_without_versions_of_ansible_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/runtime.yml").write_text("---\n", encoding="utf-8")
    with pytest.raises(LabError, match=r"meta/runtime\.yml has no requires_ansible"):
        supported_ansible(tmp_path)


@pytest.fixture
def python(commands: Commands, packages_are_there: None, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A Python whose virtual environments have nothing but a pip, which asks no index."""
    pip = commands.add("pip", '[ -z "$BROKEN" ]')
    program = commands.add("python", f'case $1 in -VV) echo "$HAVE" ;; *) mkdir -p "$3/bin" && cp {pip} "$3/bin/pip" ;; esac')
    monkeypatch.setattr(ansible, "PYTHON", str(program))
    monkeypatch.setenv("HAVE", "Python 3.11")
    return commands


def test_an_environment_is_made_once(python: Commands, settings: Settings) -> None:
    venv = make_venv(settings, "x", "y", "scripts/ltsp_lab/requirements.txt")
    assert (venv / "requirements.txt").read_text(encoding="utf-8") == f"y\n{(ROOT / 'scripts/ltsp_lab/requirements.txt').read_text(encoding='utf-8')}"
    assert make_venv(settings, "x", "y", "scripts/ltsp_lab/requirements.txt") == venv
    assert len(python.calls("python -m venv")) == len(python.calls("pip install")) == 1


def test_an_environment_that_was_not_finished_is_made_again(python: Commands, settings: Settings) -> None:
    venv = make_venv(settings, "x", "y")
    (venv / "complete").unlink()
    (venv / "half").touch()
    for _time in range(2):
        assert make_venv(settings, "x", "y") == venv
    assert not (venv / "half").exists()
    assert (venv / "complete").exists()
    assert len(python.calls("python -m venv")) == 2


def test_another_python_another_requirement_and_another_file_make_another_environment(
    python: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {make_venv(settings, "x", "y"), make_venv(settings, "x", "z"), make_venv(settings, "x", "y", "meta/runtime.yml")}
    monkeypatch.setenv("HAVE", "Python 3.12")
    assert len(made | {make_venv(settings, "x", "y")}) == 4


def test_an_environment_that_cannot_be_made_is_named(python: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "yes")
    with pytest.raises(LabError, match=r"could not make the virtual environment .*/venv-x-[0-9a-f]{12}, see above"):
        make_venv(settings, "x", "y")
    assert not list(settings.cache.glob("*/complete"))


@pytest.fixture
def venv(commands: Commands, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An environment whose pip is real, and finds nothing but a package with two collections."""
    packages = tmp_path / "packages"
    packages.mkdir()
    name, _equal, version = ansible.KUBERNETES_CORE_PACKAGE.partition("==")
    with zipfile.ZipFile(packages / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for collection in ("kubernetes/core", "community/general"):
            wheel.writestr(f"ansible_collections/{collection}/MANIFEST.json", "{}")
        about = f"{name}-{version}.dist-info"
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(packages))
    commands.add("venv/bin/pip", f'exec {sys.executable} -m pip "$@"')
    return commands.directory / "venv"


def files_in(directory: pathlib.Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()]


def test_the_collection_of_others_comes_from_galaxy_once(commands: Commands, venv: pathlib.Path, settings: Settings) -> None:
    commands.add("venv/bin/ansible-galaxy", GALAXY)
    others = need_collections(settings, venv)
    assert need_collections(settings, venv) == others
    assert files_in(others) == ["x/from-galaxy"]
    (call,) = commands.calls()
    assert call.endswith(f" kubernetes.core:{ansible.KUBERNETES_CORE}")


def test_where_galaxy_cannot_be_reached_it_comes_out_of_a_package(
    commands: Commands, venv: pathlib.Path, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    commands.add("venv/bin/ansible-galaxy", "echo no route to galaxy; exit 1")
    others = need_collections(settings, venv)
    assert files_in(others) == ["ansible_collections/kubernetes/core/MANIFEST.json"]
    log = settings.cache / f"{others.name}.log"
    assert f"Ansible Galaxy does not give it: see {log}" in capfd.readouterr().out
    assert log.read_text(encoding="utf-8") == "no route to galaxy\n"


def test_a_collection_that_cannot_be_had_leaves_nothing_that_looks_like_it(
    commands: Commands, venv: pathlib.Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.add("venv/bin/ansible-galaxy", "exit 1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(venv))
    with pytest.raises(LabError, match=r"could not get the collection kubernetes\.core"):
        need_collections(settings, venv)
    assert not [path for path in settings.cache.iterdir() if re.search("core-[0-9.]*[0-9]$", path.name)]


def test_ansible_finds_the_checkout_as_a_collection(settings: Settings) -> None:
    for _time in range(2):
        link = link_collection(settings) / "ansible_collections/serverfarm/ltsp"
        assert link.is_symlink()
        assert link.resolve() == ROOT


@pytest.fixture
def real(settings: Settings, tmp_path: pathlib.Path) -> Ansible:
    """The Ansible that these tests run with."""
    if not (pathlib.Path(sys.prefix) / "bin/ansible-playbook").exists():
        pytest.skip("needs ansible-core")
    return Ansible(settings, pathlib.Path(sys.prefix), link_collection(settings), tmp_path / "others")


def test_a_playbook_runs_with_the_collections_and_the_configuration_of_the_lab(
    real: Ansible, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    playbook = tmp_path / "play.yml"
    words = "{{ lookup('env', 'ANSIBLE_COLLECTIONS_PATH') }} {{ said }}"
    tasks = f'[{{hosts: localhost, gather_facts: false, tasks: [{{debug: {{msg: "{words}"}}}}, {{debug: {{}}, when: false, name: unseen}}]}}]'
    playbook.write_text(tasks, encoding="utf-8")
    real.playbook("--inventory=localhost,", "--extra-vars", '{"said": "two words"}', str(playbook))
    out = capfd.readouterr().out
    assert out.startswith(f'+ ansible-playbook --inventory=localhost, --extra-vars \'{{"said": "two words"}}\' {playbook}\n')
    assert f"{real.collections}:{real.others}" in out
    assert "two words" in out
    # ansible.cfg hides skipped tasks.
    assert "unseen" not in out


def test_a_playbook_starts_after_an_interrupted_ssh(real: Ansible, tmp_path: pathlib.Path) -> None:
    playbook = tmp_path / "play.yml"
    playbook.write_text("[{hosts: localhost, gather_facts: false, tasks: []}]", encoding="utf-8")
    reading, writing = os.pipe()
    saved = os.dup(1)
    try:
        os.dup2(writing, 1)
        os.set_blocking(1, False)
        real.playbook("--inventory=localhost,", str(playbook))
    finally:
        os.dup2(saved, 1)
        for descriptor in (saved, reading, writing):
            os.close(descriptor)


def test_a_playbook_that_fails_is_named_with_its_status(real: Ansible, tmp_path: pathlib.Path) -> None:
    playbook = tmp_path / "play.yml"
    playbook.write_text("[{hosts: localhost, gather_facts: false, tasks: [{fail: {}}]}]", encoding="utf-8")
    with pytest.raises(LabError, match=rf"the playbook {playbook} failed with status 2, see above") as caught:
        real.playbook("--inventory=localhost,", str(playbook))
    assert caught.value.status == 2


def test_an_inventory_that_is_not_there_is_an_error(real: Ansible, tmp_path: pathlib.Path) -> None:
    playbook = tmp_path / "play.yml"
    playbook.write_text("[{hosts: localhost, gather_facts: false, tasks: []}]", encoding="utf-8")
    with pytest.raises(LabError, match="failed with status"):
        real.playbook("--inventory=localhost,", "--inventory=mistyped.yml", str(playbook))


def test_a_playbook_of_the_collection_is_named_among_its_options(commands: Commands, settings: Settings) -> None:
    commands.add("venv/bin/ansible-playbook", "exit 4")
    with pytest.raises(LabError, match=r"the playbook serverfarm\.ltsp\.lab failed with status 4"):
        Ansible(settings, commands.directory / "venv", settings.cache, settings.cache).playbook("-i", "localhost,", "serverfarm.ltsp.lab", "-e", "x=y")


@pytest.mark.parametrize("whom", ["the command and its children, as a terminal does", "the command alone"])
def test_an_interrupted_playbook_ends_before_the_command(commands: Commands, whom: str) -> None:
    work = commands.directory
    commands.add("venv/bin/ansible-playbook", f"trap 'sleep 0.3; : >{work}/tidy; exit 99' INT; : >{work}/started; while :; do sleep 0.1; done")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    command = [sys.executable, "-B", "-c", COMMAND, str(work)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (work / "started").exists():
        assert process.poll() is None
        time.sleep(0.05)
    send = os.killpg if "children" in whom else os.kill
    send(process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
    assert (work / "tidy").exists()


def test_a_program_of_the_environment_comes_first(commands: Commands, settings: Settings) -> None:
    own = Ansible(settings, commands.directory / "venv", settings.cache, settings.cache)
    commands.add("venv/bin/ansible", "")
    assert shutil.which("ansible", path=own.environment()["PATH"]) == str(commands.directory / "venv/bin/ansible")
