# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command scripts/test: legs that are real processes, but small ones."""

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

import pytest

from ltsp_lab.locks import sole_lock
from ltsp_lab.messages import LabError
from ltsp_lab.settings import Settings
from ltsp_tests import arguments, integration, report, sanity
from ltsp_tests.checkout import copy_checkout
from ltsp_tests.leg import LEGS
from ltsp_tests.machines import NO_TEST, both, why_no_machines
from ltsp_tests.processes import Processes, module
from ltsp_tests.runner import Leg, Run

ROOT = pathlib.Path(__file__).parents[2]


def wait_for(condition: t.Callable[[], object]) -> None:
    for _attempt in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen")


def script(directory: pathlib.Path, name: str, text: str) -> None:
    """Put a stand-in for a program into a directory of the PATH."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


# --- arguments


@pytest.mark.parametrize(
    ("words", "legs", "name"),
    [
        ("", ("unit", "sanity", "integration", "e2e"), ""),
        ("e2e unit", ("unit", "e2e"), ""),
        ("boots", ("boots",), ""),
        ("unit -k kube", ("unit",), "kube"),
        ("-kkube e2e boots", ("e2e", "boots"), "kube"),
        ("integration -k lts_conf", ("integration",), "lts_conf"),
    ],
)
def test_legs_and_names(words: str, legs: tuple[str, ...], name: str) -> None:
    assert arguments.parse(words.split()) == arguments.Choice(legs, name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["smoke"], "there is no leg smoke: take unit, sanity, integration, e2e, boots"),
        (["--fast"], "option --fast not recognized"),
        (["-k"], "option -k requires argument"),
        (["unit", "-k", ""], "-k is empty"),
        (["-k", "kube"], "-k kube: sanity has no tests to choose; name the legs"),
        (["unit", "sanity", "-k", "kube"], "-k kube: sanity has no tests"),
    ],
)
def test_wrong_arguments_are_named(words: list[str], message: str) -> None:
    with pytest.raises(LabError, match=re.escape(message)) as caught:
        arguments.parse(words)
    assert caught.value.status == 2


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(module("ltsp_tests", *words), capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=60)


def test_help_names_each_leg_and_the_cache(tmp_path: pathlib.Path) -> None:
    done = command("--help", LTSP_LAB_CACHE=f"{tmp_path}/cache")
    assert done.returncode == 0
    for leg in arguments.LEGS:
        assert f"\n  {leg} " in done.stdout
    assert f"{tmp_path}/cache" in done.stdout
    assert not (tmp_path / "cache").exists()


def test_a_mistake_is_shown_with_the_usage() -> None:
    done = command("smoke")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("test: there is no leg smoke")
    assert "Usage: scripts/test" in done.stderr


def test_one_run_at_a_time_for_a_cache(tmp_path: pathlib.Path) -> None:
    with sole_lock(tmp_path / "test.lock", "it is free"):
        done = command("unit", LTSP_LAB_CACHE=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, f"test: another scripts/test is at work in {tmp_path}; wait for it\n")


def test_each_leg_has_a_process() -> None:
    assert set(arguments.LEGS) <= set(LEGS)


# --- why a leg cannot run here


@pytest.mark.parametrize(
    ("statuses", "status"), [((0, 0), 0), ((1, 0), 1), ((0, 1), 1), ((NO_TEST, 0), 0), ((0, NO_TEST), 0), ((NO_TEST, 1), 1), ((NO_TEST, NO_TEST), NO_TEST)]
)
def test_choosing_no_test_is_an_error_unless_another_run_has_some(statuses: tuple[int, int], status: int) -> None:
    assert both(*statuses) == status


def test_machines_need_root() -> None:
    assert why_no_machines(1000) == "needs root"


def test_machines_need_namespaces_and_a_network_device(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script(tmp_path, "unshare", "exit 1")
    assert why_no_machines(0) == "needs namespaces, which this machine does not give"
    script(tmp_path, "unshare", "exit 0")
    assert why_no_machines(0, tmp_path / "tun") == f"needs {tmp_path}/tun"
    assert why_no_machines(0, pathlib.Path("/dev/null")) == ""


# --- legs


@pytest.fixture
def processes() -> t.Iterator[Processes]:
    # Tests in the background ignore SIGINT, and so would their child processes.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with Processes() as running:
        yield running
    signal.signal(signal.SIGINT, before)


def leg(name: str, text: str, **options: t.Any) -> Leg:
    return Leg(name, ["sh", "-c", text], **options)


def test_legs_run_one_after_the_other_and_what_they_say_is_shown_and_kept(
    tmp_path: pathlib.Path, processes: Processes, capfd: pytest.CaptureFixture[str]
) -> None:
    legs = [leg("a", "echo of a; echo wrong >&2; sleep 0.3"), leg("b", "echo of b; exit 3"), leg("c", "echo of c", reason="needs root")]
    outcomes = Run(legs, tmp_path, processes).outcomes()
    assert [(outcome.leg, outcome.result, outcome.reason) for outcome in outcomes] == [
        ("a", "passed", ""),
        ("b", "FAILED", ""),
        ("c", "SKIPPED", "needs root"),
    ]
    assert capfd.readouterr().out == "=== a\nof a\nwrong\n=== b\nof b\n*** c SKIPPED: needs root ***\n"
    assert (tmp_path / "a.log").read_text(encoding="utf-8") == "of a\nwrong\n"
    assert 0.3 <= outcomes[0].seconds < 10
    assert not (tmp_path / "c.log").exists()


def test_what_a_leg_says_is_shown_while_it_runs(tmp_path: pathlib.Path) -> None:
    """The leg ends only after its output has been seen."""
    text = f"echo begun; until [ -e {tmp_path}/seen ]; do sleep 0.05; done"
    with runner(tmp_path, [("a", text)]) as process:
        read_until(process, "begun\n")
        (tmp_path / "seen").touch()
        assert process.wait(timeout=30) == 0


def test_a_leg_beside_another_is_shown_after_it(tmp_path: pathlib.Path, processes: Processes, capfd: pytest.CaptureFixture[str]) -> None:
    # Each leg waits for the other, so that they end only when they run at the same time.
    meets = "touch {0}; until [ -e {1} ]; do sleep 0.02; done; echo of {2}".format
    first, second = tmp_path / "1", tmp_path / "2"
    legs = [leg("sanity", meets(first, second, "sanity"), beside="integration"), leg("integration", meets(second, first, "integration"))]
    outcomes = Run(legs, tmp_path, processes).outcomes()
    assert [(outcome.leg, outcome.result) for outcome in outcomes] == [("sanity", "passed"), ("integration", "passed")]
    said = capfd.readouterr().out
    assert said.index("of integration") < said.index("of sanity")


def test_a_leg_whose_neighbour_does_not_run_is_run_alone(tmp_path: pathlib.Path, processes: Processes, capfd: pytest.CaptureFixture[str]) -> None:
    legs = [leg("sanity", "echo of sanity", beside="integration"), leg("integration", "", reason="needs root")]
    assert [outcome.result for outcome in Run(legs, tmp_path, processes).outcomes()] == ["passed", "SKIPPED"]
    assert capfd.readouterr().out.startswith("=== sanity\nof sanity\n***")


# --- the end of what was started

RUNNER = """
import pathlib, sys
from ltsp_tests.processes import Processes, guarded
from ltsp_tests.runner import Leg, Run

def action():
    legs = [Leg(name, ["sh", "-c", text], beside=beside) for name, text, beside in zip(*[iter(sys.argv[2:])] * 3)]
    with Processes() as processes:
        return int(any(outcome.result == "FAILED" for outcome in Run(legs, pathlib.Path(sys.argv[1]), processes).outcomes()))

sys.exit(guarded(action))
"""
# The leg cleans up, and leaves a background process that ignores the interruption, as background processes of a shell do.
LASTING = "trap 'echo {name} cleans up; sleep 0.3; touch {directory}/{name}.clean; exit 1' INT; sleep 60 & echo $! >{directory}/{name}.pid; echo ready; wait"


def runner(cache: pathlib.Path, legs: t.Iterable[tuple[str, str]], beside: str = "") -> subprocess.Popen[bytes]:
    words = [word for name, text in legs for word in (name, text, "" if name == beside else beside)]
    return subprocess.Popen(
        [sys.executable, "-B", "-c", RUNNER, str(cache), *words], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": f"{ROOT}/scripts:{ROOT}/tests"}
    )


def read_until(process: subprocess.Popen[bytes], text: str) -> str:
    assert process.stdout
    said = ""
    while text not in said:
        data = os.read(process.stdout.fileno(), 4096)
        assert data, said
        said += data.decode()
    return said


def gone(pid: int) -> bool:
    status = pathlib.Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_that_was_started_after_it_has_cleaned_up(tmp_path: pathlib.Path, number: signal.Signals) -> None:
    names = ("aside", "main")
    with runner(tmp_path, [(name, LASTING.format(name=name, directory=tmp_path)) for name in names], beside="main") as process:
        read_until(process, "ready\n")
        wait_for(lambda: all((tmp_path / f"{name}.pid").exists() for name in names))
        process.send_signal(number)
        said = read_until(process, "main cleans up\n")
        # Once more changes nothing.
        process.send_signal(number)
        assert process.wait(timeout=30) == 130
    assert "=== interrupted" in said
    for name in names:
        assert (tmp_path / f"{name}.clean").exists()
        assert gone(int((tmp_path / f"{name}.pid").read_text(encoding="utf-8")))


def test_what_runs_beside_is_ended_when_the_others_have_failed(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LabError), Processes() as running:
        running.start(["sleep", "60"], tmp_path / "log")
        raise LabError("no")
    # The process was killed: otherwise this test would take 60 s.


def test_it_is_interrupted_once_only(tmp_path: pathlib.Path, processes: Processes) -> None:
    """A second interruption would keep pytest from taking labs down."""
    count = f"trap 'echo x >>{tmp_path}/count; sleep 0.5; exit 0' INT; touch {tmp_path}/ready; while :; do sleep 0.1; done"
    process = processes.start(["sh", "-c", count], tmp_path / "log")
    wait_for((tmp_path / "ready").exists)
    for _time in range(3):
        processes.interrupt()
    processes.end()
    assert process.wait() == 0
    assert (tmp_path / "count").read_text(encoding="utf-8") == "x\n"


# --- the summary


def test_failures_of_pytest_are_found(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "tests" / "unit"
    directory.mkdir(parents=True)
    (directory / "test_it.py").write_text(
        "def test_a():\n    assert 1 == 2\n\n\ndef test_b(nothing):\n    pass\n\n\ndef test_c():\n    pass\n", encoding="utf-8"
    )
    pytest_itself = [sys.executable, "-B", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "tests/unit"]
    log = subprocess.run(pytest_itself, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert {line.partition(" - ")[0] for line in report.failures(log)} == {"  FAILED tests/unit/test_it.py::test_a", "  ERROR tests/unit/test_it.py::test_b"}


def test_failures_of_ansible_test_and_of_these_commands_are_found() -> None:
    log = """\
ERROR: plugins/modules/x.py:3:0: not-this: it begins like one
TASK [x : y] ***
FATAL: The 2 sanity test(s) listed below (out of 30) failed. See error output above for details.
import --python 3.9
validate-modules
  ansible-test         FAILED  118 s
test: sanity: ansible-test
ERROR: The 1 integration test(s) listed below (out of 9) failed. See error output above for details:
lts_conf
More
"""
    assert report.failures(log) == [
        "  ERROR: plugins/modules/x.py:3:0: not-this: it begins like one",
        "  FATAL: The 2 sanity test(s) listed below (out of 30) failed. See error output above for details.",
        "    import --python 3.9",
        "    validate-modules",
        "  test: sanity: ansible-test",
        "  ERROR: The 1 integration test(s) listed below (out of 9) failed. See error output above for details:",
        "    lts_conf",
    ]


def test_many_failures_are_cut() -> None:
    assert report.failures("".join(f"FAILED tests/{number}{'x' * 300}\n" for number in range(50)))[0][:16] == "  FAILED tests/3"
    assert {len(line) for line in report.failures(f"FAILED tests/{'x' * 300}\n")} == {202}


def test_the_summary_has_failures_then_minutes_and_ends_with_what_must_not_be_missed(tmp_path: pathlib.Path) -> None:
    logs = {name: tmp_path / f"{name}.log" for name in ("unit", "e2e")}
    logs["unit"].write_text("FAILED tests/unit/test_x.py::test_y - no\n", encoding="utf-8")
    logs["e2e"].write_text("*** node3 ran in QEMU, because user-mode Linux did not boot\n" * 2 + "FAILED tests/not/shown\n", encoding="utf-8")
    outcomes = [
        report.Outcome("unit", report.FAILED, 66, logs["unit"]),
        report.Outcome("integration", report.SKIPPED, reason="needs root"),
        report.Outcome("e2e", report.PASSED, 1830, logs["e2e"]),
    ]
    assert report.summary(outcomes).splitlines() == [
        "",
        f"unit FAILED, see {tmp_path}/unit.log",
        "  FAILED tests/unit/test_x.py::test_y - no",
        "",
        "leg          result   minutes",
        "unit         FAILED       1.1",
        "integration  SKIPPED",
        "e2e          passed      30.5",
        "",
        "*** integration SKIPPED: needs root ***",
        "*** node3 ran in QEMU, because user-mode Linux did not boot",
    ]


def test_the_summary_of_a_good_run_is_the_table_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "log").touch()
    assert report.summary([report.Outcome("unit", report.PASSED, 60, tmp_path / "log")]).splitlines()[2:] == ["unit         passed       1.0"]


# --- single legs


def targets(batches: t.Iterable[integration.Batch]) -> list[str]:
    return [target for batch in batches for target in batch.targets]


def test_every_integration_target_runs_with_the_newest_and_some_with_the_oldest() -> None:
    own, beside = integration.batches(ROOT, "")
    everything = {path.name for path in (ROOT / "tests/integration/targets").iterdir()}
    newest = own[0].requirement
    assert sorted(targets(batch for batch in own + beside if batch.requirement == newest)) == sorted(everything)
    assert tuple(targets(batch for batch in beside if batch.requirement != newest)) == integration.WITH_OLDEST
    assert len({batch.container for batch in own + beside}) == len(own + beside)
    assert set(integration.APART) <= everything


@pytest.mark.parametrize(
    ("name", "own", "beside"),
    [
        ("role_isc", ["role_isc_dhcp"], []),
        ("role_ltsp_image", [], ["role_ltsp_image"]),
        ("lts_conf", ["lts_conf"], ["lts_conf"]),
    ],
)
def test_integration_targets_are_chosen_by_a_part_of_their_name(name: str, own: list[str], beside: list[str]) -> None:
    first, second = integration.batches(ROOT, name)
    assert (targets(first), targets(second)) == (own, beside)


def test_choosing_no_integration_target_is_an_error() -> None:
    with pytest.raises(LabError, match="no integration target has nothing in its name: there are lts_conf, ") as caught:
        integration.batches(ROOT, "nothing")
    assert caught.value.status == 2


def test_a_check_speaks_when_it_fails_only(tmp_path: pathlib.Path, processes: Processes, capfd: pytest.CaptureFixture[str]) -> None:
    for text, passes in (("echo long; pwd", True), ('echo wrong >&2; echo "$HELLO"; exit 1', False)):
        assert sanity.check(processes, "it", ["sh", "-c", text], tmp_path, tmp_path, {**os.environ, "HELLO": "hello"}) is passes
    assert re.fullmatch(r"  it {18} ok {8}\d s\nwrong\nhello\n  it {18} FAILED {4}\d s\n", capfd.readouterr().out)


def test_every_check_has_a_log_of_its_own() -> None:
    settings = Settings.read({"LTSP_LAB_CACHE": "/cache"})
    assert not set(sanity.checks(settings.cache)) & {*arguments.LEGS, "kubernetes", "integration-beside"}


def test_the_copy_has_the_files_that_git_knows_or_would_add(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "root"
    (root / "directory").mkdir(parents=True)
    for name in ("known", "directory/new", "removed", "ignored"):
        (root / name).write_text(name, encoding="utf-8")
    (root / "program").write_text("", encoding="utf-8")
    (root / "program").chmod(0o755)
    (root / "link").symlink_to("nowhere")
    (root / ".gitignore").write_text("ignored\n", encoding="utf-8")
    for words in (["init", "--quiet"], ["add", "known", "removed"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    (root / "removed").unlink()
    copy = copy_checkout(root, tmp_path / "parent")
    (copy / "old").touch()
    assert copy_checkout(root, tmp_path / "parent") == copy
    found = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_symlink() or path.is_file()}
    assert found == {".gitignore", "known", "directory/new", "program", "link"}
    assert os.access(copy / "program", os.X_OK)
    assert os.readlink(copy / "link") == "nowhere"


# --- no test is skipped silently


def test_where_all_is_installed_a_skipped_test_is_a_failure(tmp_path: pathlib.Path) -> None:
    shutil.copy(ROOT / "tests/unit/conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text("import pytest\n\n\ndef test_a():\n    pytest.skip('dhcpd is not installed')\n", encoding="utf-8")
    pytest_itself = [sys.executable, "-B", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "LTSP_TESTS_COMPLETE"}
    alone = subprocess.run(pytest_itself, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert alone.returncode == 0
    assert "*** 1 tests were skipped" in alone.stdout
    complete = subprocess.run(pytest_itself, cwd=tmp_path, capture_output=True, text=True, check=False, env={**environment, "LTSP_TESTS_COMPLETE": "1"})
    assert complete.returncode == 1
    assert "dhcpd is not installed, and with LTSP_TESTS_COMPLETE=1 no test may be skipped" in complete.stdout


# --- what finds Python


@pytest.fixture(params=[["dash"], ["busybox", "sh"]], ids=["dash", "busybox"])
def shell(request: pytest.FixtureRequest) -> list[str]:
    if not shutil.which(request.param[0]):
        pytest.skip(f"{request.param[0]} is not installed")
    return request.param


def start(shell: list[str], directory: pathlib.Path, python: str) -> subprocess.CompletedProcess[str]:
    text = f'. "{ROOT}/scripts/ltsp_lab/start.sh"; python={python}; start /a:/b module one "two words"'
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
    return subprocess.run([*shell, "-euc", text, "scripts/test"], capture_output=True, text=True, check=False, env=environment)


def test_a_command_is_a_module_of_the_distributions_python(tmp_path: pathlib.Path, shell: list[str]) -> None:
    script(tmp_path, "python", 'echo "$PYTHONPATH"; printf "<%s>" "$@"')
    assert start(shell, tmp_path, f"{tmp_path}/python").stdout == "/a:/b\n<-B><-m><module><one><two words>"


def test_a_python_that_is_missing_is_installed_or_the_remedy_named(tmp_path: pathlib.Path, shell: list[str]) -> None:
    script(tmp_path, "id", "echo 1000")
    script(
        tmp_path,
        "apt-get",
        f'echo "$*" >>{tmp_path}/calls; case $* in *python3) printf "#!/bin/sh\\necho runs" >{tmp_path}/new; chmod +x {tmp_path}/new;; esac',
    )
    done = start(shell, tmp_path, f"{tmp_path}/new")
    assert (done.returncode, done.stderr) == (1, f"test: {tmp_path}/new is missing, install it as root: apt-get install python3\n")
    assert not (tmp_path / "calls").exists()
    script(tmp_path, "id", "echo 0")
    assert start(shell, tmp_path, f"{tmp_path}/new").stdout == "Installing python3\nruns\n"
    (tmp_path / "new").unlink()
    script(tmp_path, "apt-get", "echo 'E: no network' >&2; exit 100")
    done = start(shell, tmp_path, f"{tmp_path}/new")
    assert (done.returncode, done.stderr) == (1, "E: no network\ntest: apt-get could not install python3, see above\n")
