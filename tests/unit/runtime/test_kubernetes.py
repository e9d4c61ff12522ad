# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest

RUNTIME = pathlib.Path(__file__).parents[3] / "roles" / "kubernetes_node" / "files" / "runtime"
LIBRARY = RUNTIME / "usr" / "lib" / "ltsp" / "kubernetes.sh"
URL = "https://10.0.0.1:10808/v1/join"
TOKEN = "abcdef.0123456789abcdef"
CREDENTIAL = f"kind: JoinConfiguration\ndiscovery: {{bootstrapToken: {{token: {TOKEN}}}}}\n"

# The n-th answer is in answers/n, the last one counts from then on: a status, the headers, an empty line and the body.
CURL = r"""
echo "curl $*" >>"$LTSP_PREFIX/calls"
head='' get=''
while [ $# -gt 0 ]; do
    case $1 in
    --output) output=$2 ;;
    --dump-header) head=$2 ;;
    --write-out) get=1 ;;
    esac
    last=$1
    shift
done
case $last in
*/join.url) [ -e "$LTSP_PREFIX/join.url" ] && cp "$LTSP_PREFIX/join.url" "$output" && exit
    echo "curl: (7) Failed to connect to 10.0.0.1 port 80 after $$ ms: Could not connect to server" >&2; exit 7 ;;
*/join.crt) echo certificate >"$output"; exit ;;
*/leases/* | */status) exit ;;
esac
number=$(cat "$LTSP_PREFIX/number" 2>/dev/null || echo 0)
number=$((number + 1))
[ ! -e "$LTSP_PREFIX/answers/$number" ] || echo "$number" >"$LTSP_PREFIX/number"
answer=$LTSP_PREFIX/answers/$(cat "$LTSP_PREFIX/number")
read -r status <"$answer"
case $status in
curl*) echo "$status" >&2; printf 000; exit "$(echo "$status" | tr -dc 0-9)" ;;
esac
sed -n '2,/^$/p' "$answer" >"$head"
sed '1,/^$/d' "$answer" >"$output"
printf %s "$status"
"""

# The stand-in records its arguments and the mode of its file, and then does what the n-th line of the file kubeadm says.
KUBEADM = r"""
[ "$1" != version ] || { echo v1.36.3; exit; }
echo "kubeadm $*" >>"$LTSP_PREFIX/calls"
stat -c %a "$3" >>"$LTSP_PREFIX/modes"
cat "$3" >"$LTSP_PREFIX/given"
mkdir -p "$LTSP_PREFIX/etc/kubernetes/pki" "$LTSP_PREFIX/var/lib/kubelet/pki"
touch "$LTSP_PREFIX/etc/kubernetes/bootstrap-kubelet.conf" "$LTSP_PREFIX/etc/kubernetes/pki/ca.crt" \
    "$LTSP_PREFIX/var/lib/kubelet/config.yaml" "$LTSP_PREFIX/var/lib/kubelet/pki/kubelet-client-current.pem"
. "$LTSP_PREFIX/kubeadm"
"""
JOINS = 'mv "$LTSP_PREFIX/etc/kubernetes/bootstrap-kubelet.conf" "$LTSP_PREFIX/etc/kubernetes/kubelet.conf"'
FAILS = r"""
printf '\t[WARNING Hostname]: hostname "node1" could not be reached\n[preflight] Some fatal errors occurred:\n' >&2
printf '\t[ERROR CRI]: the engine does not run\n\t[ERROR Swap]: swap is on\nerror: error execution phase preflight: preflight checks failed\n' >&2
printf 'To see the stack trace of this error execute with --v=5 or higher\n' >&2
exit 1
"""


def answer(node: t.Any, number: int, status: int | str, body: str = "", **headers: str) -> None:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    node.write(f"answers/{number}", f"{status}\n{lines}\n{body}")


@pytest.fixture
def booted(node: t.Any) -> t.Any:
    """A node whose boot server has a credential for it, and whose kubeadm joins."""
    node.write("run/ltsp/env", "HOSTNAME='node1'\nLTSP_CONF='http://10.0.0.1:8080/config/nodes/node1/lts.conf'\n")
    node.write("proc/uptime", "20.5 1\n")
    node.write("join.url", URL + "\n")
    node.write("kubeadm", JOINS)
    (node.root / "run/kubernetes").mkdir(mode=0o700)
    answer(node, 1, 200, CREDENTIAL)
    node.command("curl", CURL)
    node.command("kubeadm", KUBEADM)
    node.command("timeout", 'while [ "${1#-}" != "$1" ]; do shift 2; done; shift; exec "$@"')
    node.command("systemctl", 'echo "systemctl $*" >>"$LTSP_PREFIX/calls"; [ "$1" = stop ]')
    node.command("nft", 'echo "nft $*" >>"$LTSP_PREFIX/calls"; cat >"$LTSP_PREFIX/table"')
    node.command("uname", "echo Node1")
    # The stand-in lets the time pass, and ends an endless loop at its 16th call.
    node.command(
        "sleep",
        """echo "$1" >>"$LTSP_PREFIX/slept"
[ "$(wc -l <"$LTSP_PREFIX/slept")" -lt 16 ] || kill -TERM $PPID
read -r uptime rest <"$LTSP_PREFIX/proc/uptime"; echo "$((${uptime%.*} + $1)).5 1" >"$LTSP_PREFIX/proc/uptime" """,
    )
    return node


def run(node: t.Any, script: str = "ltsp_join", **environment: str) -> t.Any:
    settings = {"KUBERNETES_ENGINE": "containerd", "KUBERNETES_CRI_SOCKET": "unix:///run/containerd/containerd.sock", "http_proxy": "http://proxy"}
    return node.run(f". {LIBRARY}\n{script}", check=False, **{**settings, **environment})


def calls(node: t.Any, command: str) -> list[str]:
    return [call for call in node.read("calls").splitlines() if call.startswith(command + " ")]


def slept(node: t.Any) -> list[int]:
    return [int(line) for line in node.read("slept").splitlines()]


def left(node: t.Any) -> set[str]:
    return {str(file.relative_to(node.root)) for name in ("run/kubernetes", "etc/kubernetes", "var/lib/kubelet") for file in (node.root / name).rglob("*")}


def test_a_node_joins(booted: t.Any) -> None:
    result = run(booted)
    assert (result.returncode, result.stdout) == (0, "<5>this node has joined its cluster in 0 s, at attempt 1, 20 s after its kernel started\n")
    assert booted.read("given") == CREDENTIAL
    assert booted.read("modes") == "600\n"
    assert calls(booted, "kubeadm") == [
        f"kubeadm join --config {booted.root}/run/kubernetes/join.yaml --ignore-preflight-errors=DirAvailable--etc-kubernetes-manifests"
    ]
    url, certificate, post = calls(booted, "curl")
    assert url.endswith(" http://10.0.0.1:8080/config/join.url")
    assert certificate.endswith(" http://10.0.0.1:8080/config/join.crt")
    for option in (
        f"--cacert {booted.root}/run/kubernetes/join.crt",
        "--local-port 512-1023",
        "--request POST --get --data-urlencode kubeadm=v1.36.3 --data-urlencode cri_socket=unix:///run/containerd/containerd.sock",
        "--noproxy *",
    ):
        assert f" {option} " in post
    assert post.endswith(" " + URL)
    assert not [file for file in left(booted) if file.startswith("run/")]
    assert "etc/kubernetes/kubelet.conf" in left(booted)


def test_pods_are_kept_from_asking_before_the_node_asks(booted: t.Any) -> None:
    run(booted)
    assert "hook forward" in booted.read("table")
    assert "tcp dport 10808 drop" in booted.read("table")
    order = [call.split()[0] + call.split()[-1] for call in booted.read("calls").splitlines()]
    assert order.index("nft-") < order.index(f"curl{URL}")


def test_a_node_that_cannot_keep_pods_from_asking_does_not_ask(booted: t.Any) -> None:
    booted.command("nft", "cat >/dev/null; echo 'netlink: Error: cache initialization failed: Operation not supported' >&2; exit 1")
    assert "nft cannot keep pods from TCP port 10808: netlink: Error: cache init" in run(booted).stdout
    assert URL not in booted.read("calls")


def test_a_refusal_is_shown_and_its_retry_after_counts(booted: t.Any) -> None:
    answer(booted, 1, 409, "node1 is not booting: its Lease is alive\nsecond line\n", Retry_After="37")
    answer(booted, 2, 503, "the API is away", retry_after="08")
    answer(booted, 3, 503, "the API is away", Retry_After="Sat, 21 Nov 2026 07:28:00 GMT")
    answer(booted, 4, 403, "\x1b[2Jno\x07 node has the address 10.0.0.9\n", Retry_After="9999999999")
    answer(booted, 5, 200, CREDENTIAL)
    result = run(booted)
    assert result.returncode == 0
    said = result.stdout.splitlines()
    assert said[0] == f"<3>this node has not joined its cluster: {URL} answers 409: node1 is not booting: its Lease is alive; attempt 1, the next in 37 s"
    assert said[1].startswith(f"<3>this node has not joined its cluster: {URL} answers 503: the API is away; attempt 2, the next in ")
    assert said[2].startswith(f"<3>this node has not joined its cluster: {URL} answers 403: [2Jno node has the address 10.0.0.9; attempt 4, ")
    assert said[3].startswith("<5>this node has joined its cluster in ")
    assert len(said) == 4
    first, second, third, fourth = slept(booted)
    assert first == 37
    assert 8 <= second <= 10
    assert 10 <= third <= 20
    assert 20 <= fourth <= 40


@pytest.mark.parametrize(
    ("random", "expected"), [(0, [2, 5, 10, 20, 40, 80, 150, 150]), (50, [5, 10, 20, 40, 80, 160, 300, 300]), (65535, [2, 5, 10, 20, 40, 80, 150])]
)
def test_backoff(booted: t.Any, random: int, expected: list[int]) -> None:
    (booted.root / "join.url").unlink()
    booted.command("od", f"echo ' {random}'")
    run(booted)
    assert slept(booted)[: len(expected)] == expected
    assert len(slept(booted)) == 16


def test_the_waiting_times_of_nodes_differ(booted: t.Any) -> None:
    (booted.root / "join.url").unlink()
    run(booted)
    later = slept(booted)[8:]
    assert all(150 <= seconds <= 300 for seconds in later)
    assert len(set(later)) > 3


def test_the_console_hears_the_same_every_five_minutes_and_the_journal_each_time(booted: t.Any) -> None:
    (booted.root / "join.url").unlink()
    booted.command("od", "echo 50")
    result = run(booted)
    pattern = r"attempt (\d+), the next in"
    console = [int(number) for number in re.findall(pattern, result.stdout)]
    # 5, 10, 20, 40, 80 and 160 s are 315 s.
    assert console == [1, *range(7, 17)]
    assert [int(number) for number in re.findall(pattern, result.stderr)] == [2, 3, 4, 5, 6]
    assert "http://10.0.0.1:8080/config/join.url: Failed to connect to 10.0.0.1 port 80 after" in result.stdout


def test_what_kubeadm_says_is_shown_and_what_it_left_is_removed(booted: t.Any) -> None:
    booted.write("kubeadm", f'[ -e "$LTSP_PREFIX/slept" ] || {{ {FAILS}\n}}\n{JOINS}')
    booted.command(
        "sleep",
        'touch "$LTSP_PREFIX/slept"; cd "$LTSP_PREFIX"; find run/kubernetes etc/kubernetes var/lib/kubelet -type f >left',
    )
    result = run(booted)
    assert "kubeadm join: CRI: the engine does not run (and 1 more: journalctl -u kubernetes-join); attempt 1," in result.stdout
    assert "[WARNING Hostname]" in result.stderr
    assert booted.read("left") == ""
    assert "at attempt 2" in result.stdout
    assert result.stdout.count("\n") == 2


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (
            "error: error execution phase preflight: couldn't validate the identity of the API Server: cluster CA is invalid\nTo see the stack trace ...",
            "preflight: couldn't validate the identity of the API Server: cluster CA is invalid",
        ),
        ("error execution phase kubelet-start: a Node exists\nTo see the stack trace ...", "kubelet-start: a Node exists"),
        ("[preflight] Running pre-flight checks\n", "[preflight] Running pre-flight checks"),
        ("", ""),
    ],
)
def test_kubeadm_errors(booted: t.Any, lines: str, shown: str) -> None:
    file = booted.write("output", lines)
    assert run(booted, f"ltsp_kubeadm_error {file}").stdout == shown + "\n"


def test_kubeadm_that_does_not_end_is_ended(booted: t.Any) -> None:
    booted.write("kubeadm", "echo '[kubelet-start] Waiting for the kubelet'; exit 124")
    assert "kubeadm join did not end within 600 s: [kubelet-start] Waiting for the kubelet;" in run(booted).stdout
    booted.write("kubeadm", "kill -KILL $$")
    assert "kubeadm join was killed: " in run(booted).stdout
    booted.command("timeout", 'echo "timeout $*" >>"$LTSP_PREFIX/calls"; exit 124')
    run(booted)
    assert calls(booted, "timeout")[0].startswith("timeout -k 10 600 kubeadm join ")


def test_the_credential_is_in_no_log(booted: t.Any) -> None:
    booted.write("kubeadm", f"echo 'could not construct token string for token: {TOKEN}' >&2; exit 1")
    result = run(booted)
    assert "for token: abcdef.***" in result.stderr
    assert TOKEN not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("curl: (60) SSL certificate problem: certificate is not yet valid", "certificate is not yet valid (the clock of this node says 20"),
        (
            "curl: (28) Operation timed out after 60001 milliseconds",
            f"{URL}: Operation timed out after 60001 milliseconds;",
        ),
    ],
)
def test_a_server_that_is_not_the_right_one(booted: t.Any, line: str, shown: str) -> None:
    answer(booted, 1, line)
    result = run(booted)
    assert shown in result.stdout
    assert not (booted.root / "given").exists()


@pytest.mark.parametrize("url", ["", "http://10.0.0.1:80/v1/join", "https://10.0.0.1/v1/join", "https://10.0.0.1:1;reboot/v1/join", "<html>", "-o x"])
def test_a_wrong_join_url(booted: t.Any, url: str) -> None:
    booted.write("join.url", url + "\n")
    result = run(booted)
    assert f"http://10.0.0.1:8080/config/join.url has '{url}' and not https://SERVER:PORT/v1/join" in result.stdout
    assert not calls(booted, "nft")


@pytest.mark.parametrize("conf", ["", "tftp://10.0.0.1/config/lts.conf"])
def test_a_node_without_a_boot_server(booted: t.Any, conf: str) -> None:
    booted.write("run/ltsp/env", f"LTSP_CONF='{conf}'\n" if conf else "")
    result = run(booted, LTSP_CONF="http://10.0.0.1/config/lts.conf")
    assert result.stdout.startswith(
        f"<3>this node has not joined its cluster: no boot server to ask: ltsp.conf on the kernel command line is '{conf}' and not http://"
    )


STALE = [
    "etc/kubernetes/kubelet.conf",
    "etc/kubernetes/bootstrap-kubelet.conf",
    "etc/kubernetes/pki/ca.crt",
    "var/lib/kubelet/pki/kubelet-client-current.pem",
    "var/lib/kubelet/config.yaml",
    "var/lib/kubelet/cpu_manager_state",
]
KEPT = ["etc/kubernetes/manifests/proxy.yaml", "etc/kubernetes/pki/other.crt", "var/lib/kubelet/pods/uid/volumes/data"]


def test_what_a_disk_has_of_a_former_boot(booted: t.Any) -> None:
    for file in STALE + KEPT:
        booted.write(file, "old")
    booted.write("var/lib/kubelet/kubeadm-flags.env", 'KUBELET_KUBEADM_ARGS="--a=b --hostname-override=node-7 --c=d"\n')
    booted.write("kubeadm", 'cat "$LTSP_PREFIX"/var/lib/kubelet/pki/* "$LTSP_PREFIX"/etc/kubernetes/*.conf; ' + JOINS)
    result = run(booted)
    assert result.returncode == 0
    assert "old" not in result.stderr
    assert {file for file in STALE if file in left(booted) and booted.read(file) == "old"} == set()
    assert set(KEPT) <= left(booted)
    first, second = booted.read("calls").splitlines()[:2]
    assert first == "systemctl stop kubelet.service"
    assert second.endswith("/kube-node-lease/leases/node-7")


def test_a_node_that_has_joined_is_left_alone(booted: t.Any) -> None:
    booted.write("etc/kubernetes/kubelet.conf", "")
    booted.command("systemctl", 'echo "systemctl $*" >>"$LTSP_PREFIX/calls"')
    result = run(booted)
    assert (result.returncode, result.stdout) == (0, "")
    assert booted.read("calls") == "systemctl --quiet is-active kubelet.service\n"


def test_who_joins_the_node_by_hand_meanwhile_keeps_it(booted: t.Any) -> None:
    (booted.root / "join.url").unlink()
    booted.command("systemctl", "")
    booted.command("sleep", 'mkdir -p "$LTSP_PREFIX/etc/kubernetes"; touch "$LTSP_PREFIX/etc/kubernetes/kubelet.conf"')
    result = run(booted)
    assert result.returncode == 0
    assert "at attempt 2" in result.stdout
    assert "etc/kubernetes/kubelet.conf" in left(booted)


def test_a_try_that_did_not_end_is_begun_again(booted: t.Any) -> None:
    booted.write("etc/kubernetes/kubelet.conf", "")
    booted.write("etc/kubernetes/bootstrap-kubelet.conf", "")
    booted.command("systemctl", 'echo "systemctl $*" >>"$LTSP_PREFIX/calls"')
    assert "has joined its cluster in" in run(booted).stdout


def test_stopped_in_the_middle_of_a_try(booted: t.Any) -> None:
    """systemd signals every process of the unit."""
    booted.write("kubeadm", f'{JOINS}\nkill -TERM "$(cat "$LTSP_PREFIX/shell")" $$; exec /bin/sleep 5')
    result = run(booted, 'echo $$ >"$LTSP_PREFIX/shell"; ltsp_join')
    assert (result.returncode, result.stdout) == (0, "")
    assert not {file for file in left(booted) if (booted.root / file).is_file()}
    assert calls(booted, "systemctl")[-1] == "systemctl stop kubelet.service"


def leave(node: t.Any) -> t.Any:
    return run(node, "ltsp_leave")


KUBELET_CONF = "clusters:\n- cluster:\n    certificate-authority-data: LS0t\n    server: https://10.0.0.20:6443\n  name: default-cluster\n"


def test_leave(booted: t.Any) -> None:
    booted.write("etc/kubernetes/kubelet.conf", KUBELET_CONF)
    booted.command("curl", 'echo "curl $*" >>"$LTSP_PREFIX/calls"')
    result = leave(booted)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
    lease, status = booted.read("calls").splitlines()
    key = f"--cacert {booted.root}/etc/kubernetes/pki/ca.crt --cert {booted.root}/var/lib/kubelet/pki/kubelet-client-current.pem"
    assert f"--max-time 2 --output /dev/null {key} --request DELETE https://10.0.0.20:6443/apis/coordination.k8s.io/v1" in lease
    assert lease.endswith("/namespaces/kube-node-lease/leases/node1")
    assert f"{key} --request PATCH --header Content-Type: application/strategic-merge-patch+json --data " in status
    data = json.loads(re.search(r"--data (.*) https://10.0.0.20:6443/api/v1/nodes/node1/status$", status)[1])  # type: ignore[index]
    assert [(item["type"], item["status"]) for item in data["status"]["conditions"]] == [("Ready", "Unknown")]


def test_leave_without_an_api_is_no_failure(booted: t.Any) -> None:
    booted.write("etc/kubernetes/kubelet.conf", KUBELET_CONF)
    booted.command("curl", """echo >>"$LTSP_PREFIX/calls"; echo 'curl: (28) Connection timed out' >&2; exit 28""")
    result = leave(booted)
    assert result.returncode == 0
    assert result.stderr == "curl: (28) Connection timed out\n<4>the cluster takes node1 for alive until its Lease has run out\n"
    assert len(booted.read("calls").splitlines()) == 1


def test_leave_of_a_node_that_did_not_join(booted: t.Any) -> None:
    result = leave(booted)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
    assert not (booted.root / "calls").exists()


@pytest.mark.parametrize(
    ("engine", "command"),
    [("containerd", "ctr --address /run/containerd/containerd.sock --namespace k8s.io images import"), ("docker", "docker load --quiet --input")],
)
def test_images_are_imported(booted: t.Any, engine: str, command: str) -> None:
    for name in ("ctr", "docker"):
        booted.command(name, f'echo "{name} $*" >>"$LTSP_PREFIX/calls"; case $* in *bad.tar) echo some; echo "no space left on device" >&2; exit 1 ;; esac')
    files = [booted.write(f"usr/share/ltsp/container-images/{name}.tar", "") for name in ("bad", "with blank")]
    result = run(booted, "ltsp_import_images", KUBERNETES_ENGINE=engine)
    assert (result.returncode, result.stdout) == (1, f"<3>{files[0]} was not imported: no space left on device\n")
    assert booted.read("calls").splitlines() == [f"{command} {file}" for file in files]
    files[0].unlink()
    assert run(booted, "ltsp_import_images", KUBERNETES_ENGINE=engine).returncode == 0
