# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.serverfarm.ltsp.plugins.module_utils import _lts_conf, _lts_conf_keys
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf import Document, Identity, LtsConfError, Reader

RUNTIME_READER = pathlib.Path(__file__).parents[4] / "roles/ltsp_image/files/runtime/usr/lib/ltsp/lts-conf.awk"
CASES = json.loads((pathlib.Path(__file__).parents[2] / "lts_conf_cases.json").read_text(encoding="utf-8"))
NODE1 = Identity("node1", "10.0.0.11", "52:54:00:aa:bb:01")

FILE = """\
# Our farm

[default]
  A = "1"   # first
  B=2

# racks
[rack*]
\tC = 3

[node1]   # the old one
LIKE = rack*
# A is not set
D = "4"
"""


def parameters(text, identity=NODE1):
    return {key: value.value for key, value in Reader(Document(text)).parameters(identity).items()}


def change(text, *sections):
    document = Document(text)
    document.change(_lts_conf.section_changes(sections))
    return document.text()


def present(name, **values):
    return {"name": name, "state": "present", "parameters": values}


def absent(name):
    return {"name": name, "state": "absent", "parameters": {}}


def lines_refused(text):
    return sorted({finding.line for finding in _lts_conf.check(Document(text))})


# --- what a file means


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case):
    identity = Identity(**case["node"])
    assert parameters(case["file"], identity) == case["parameters"]
    assert lines_refused(case["file"]) == case.get("problems", [])
    resolved = _lts_conf.resolved_text(Reader(Document(case["file"])).parameters(identity))
    for reader in (identity, Identity()):
        assert parameters(resolved, reader) == case["parameters"]


def test_names_of_cases_are_unique():
    assert len({case["name"] for case in CASES}) == len(CASES)


def test_values_know_their_section():
    values = Reader(Document(FILE)).parameters(NODE1)
    assert {key: value.section for key, value in values.items()} == {"A": "default", "B": "default", "C": "rack*", "D": "node1"}


def test_sections_of_a_node_are_in_order():
    assert [section.name for section in Reader(Document(FILE)).sections(NODE1)] == ["node1", "rack*", "default"]


def test_a_long_chain_of_like_is_followed():
    text = "".join(f"[s{number}]\nLIKE = s{number + 1}\n" for number in range(3000)) + "[s3000]\nA = 1\n[node1]\nLIKE = s0\n"
    assert parameters(text) == {"A": "1"}
    assert not lines_refused(text)


# --- changes


def test_nothing_to_change_keeps_every_byte():
    sections = present("DEFAULT", a="1", B=2), present("rack*", C="3"), present("Node1", LIKE="rack*", X=None), absent("gone")
    for text in (FILE, FILE.replace("\n", "\r\n")):
        assert change(text, *sections) == text


def test_another_value_keeps_indentation_and_comment():
    assert change(FILE, present("default", A="x y", B=True)) == FILE.replace('  A = "1"   # first\n  B=2', '  A = "x y"   # first\n  B="True"')


def test_a_comment_never_becomes_part_of_the_value():
    assert change('[a]\nA = 1 # "one"\n', present("a", A="2")) == "[a]\nA = \"2\" # 'one'\n"


def test_a_new_parameter_stands_behind_the_last_with_its_indentation():
    assert change(FILE, present("default", Z="1"), present("rack*", z="2")) == FILE.replace("  B=2\n", '  B=2\n  Z = "1"\n').replace(
        "\tC = 3\n", '\tC = 3\n\tZ = "2"\n'
    )


def test_of_equal_keys_the_last_is_changed_and_all_are_removed():
    assert change("[a]\nA = 1\nB = 1\nA = 2\n", present("a", A="3")) == '[a]\nA = 1\nB = 1\nA = "3"\n'
    assert change("[a]\nA = 1\nB = 1\na = 2\n", present("a", A=None)) == "[a]\nB = 1\n"


def test_of_equal_sections_the_first_is_changed_and_all_are_removed():
    text = "[a]\nA = 1\n[b]\nB = 1\n[A]\nA = 2\n"
    assert change(text, present("a", A="3")) == '[a]\nA = "3"\n[b]\nB = 1\n[A]\nA = 2\n'
    assert change(text, absent("a")) == "[b]\nB = 1\n"


def test_a_new_section_comes_last():
    added = FILE + '\n["rack[12]"]\nLIKE = "a"\nLIKE = "b"\nE = "5"\n'
    assert change(FILE, present("rack[12]", LIKE=["a", "b"], e=5)) == added
    assert change(added, absent("rack[12]")) == FILE
    assert change("", present("default", A="1")) == '[default]\nA = "1"\n'


def test_like_is_replaced_as_a_whole():
    text = "[a]\nLIKE = x\nA = 1\nLIKE = y\n"
    assert change(text, present("a", LIKE=["x", "y"])) == text
    assert change(text, present("a", LIKE="z")) == '[a]\nLIKE = "z"\nA = 1\n'
    assert change(text, present("a", LIKE=["x", "y", "z"])) == text + 'LIKE = "z"\n'
    assert change(text, present("a", LIKE=None)) == "[a]\nA = 1\n"


def test_a_removed_section_leaves_the_comment_of_the_next():
    assert change(FILE, absent("DEFAULT")) == FILE[: FILE.index("[default]")] + FILE[FILE.index("# racks") :]
    assert change(FILE, absent("node1"), absent("rack*")) == FILE[: FILE.index("\n[rack*]") + 1]


def test_a_section_with_a_wrong_name_can_be_removed():
    assert change('["a[^b]"]\nA = 1\n[b]\nB = 1\n', absent("a[^b]")) == "[b]\nB = 1\n"


def test_new_lines_end_as_the_file_does():
    assert change("[a]\r\nA = 1", present("a", B="2"), present("b", C="3")) == '[a]\r\nA = 1\r\nB = "2"\r\n\r\n[b]\r\nC = "3"\r\n'


# --- refusals


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (present("default", A="a\nb"), r"section \[default\], A: .*one line"),
        (present("default", A="a\rb"), "control character"),
        (present("default", A='say "hi"'), "double quote.*single quotes"),
        (present("default", A=""), "empty.*null.*NONE"),
        (present("default", A=["b"]), "list is no value"),
        (present("default", A={"b": 1}), "dict is no value"),
        (present("default", **{"A-B": "1"}), "A-B: the name of a parameter"),
        (present("default", **{"1A": "1"}), "1A: the name of a parameter"),
        (present("default", A="1", a="2"), "a is given twice"),
        (present("", A="1"), "needs a name"),
        (present(" x", A="1"), "needs a name"),
        (present('a"b', A="1"), "double quote"),
        (present("a\nb", A="1"), "control character"),
        (present("a[bc", A="1"), r"no \]"),
        (present("a[^b]", A="1"), r"write \[!"),
        (present("a[z-b]", A="1"), "turn it round"),
        (present("a[[:digit:]]", A="1"), r"write \[0-9\]"),
        (present("a\\*", A="1"), "backslash"),
        ({"name": "a", "state": "absent", "parameters": {"A": "1"}}, "absent and has parameters"),
        (present("default", FSTAB_1="/dev/sda1 /srv ext4"), r"FSTAB_1: field 4 \(options\) is missing"),
        (present("default", FSTAB_1=" # /srv ext4 defaults"), r"field 1 \(device\)"),
        (present("default", FSTAB_1="/dev/sda1 srv ext4 defaults 0 0"), r"field 2 \(mount point\).*absolute"),
        (present("default", FSTAB_1="/dev/sda1 /srv /ext4 defaults 0 0"), r"field 3 \(type\)"),
        (present("default", FSTAB_1="/dev/sda1 /srv ext4 ro, 0 0"), r"field 4 \(options\)"),
        (present("default", FSTAB_1="/dev/sda1 /srv ext4 ro 2 0"), r"field 5 \(dump\)"),
        (present("default", FSTAB_1="/dev/sda1 /srv ext4 ro 0 3"), r"field 6 \(pass\)"),
        (present("default", FSTAB_1="/dev/sda1 /my srv ext4 ro 0 0"), "7 fields are too many"),
    ],
)
def test_a_task_is_refused(section, message):
    with pytest.raises(LtsConfError, match=message):
        _lts_conf.section_changes([section])


def test_sections_that_differ_by_case_only_are_refused():
    with pytest.raises(LtsConfError, match="given twice"):
        _lts_conf.section_changes([present("a", A="1"), absent("A")])


@pytest.mark.parametrize("value", ["UUID=1-2 none swap sw 0 0", "server:/home /home nfs4 defaults", "LABEL=x\t/srv  ext4 ro,x-y=1 1 2", "none"])
def test_lines_of_fstab(value):
    assert _lts_conf.section_changes([present("default", FSTAB_01=value)])


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[a]\nA =\n", 2, "A has no value"),
        ("[a]\n\n[b]\nB = 1\n", 1, r"\[a\] is empty"),
        ("include /etc/x\n", 1, "include"),
        ("A = 1\n", 1, "in no section"),
        ("[a]\nA\n", 2, "neither"),
        ("[a]\nA = 'x'\n", 2, 'write A = "value"'),
        ('[a]\nA = "x" y\n', 2, "last double quote"),
        ("[a]\nA-B = x\n", 2, "name of a parameter"),
        ("[a[b]]\nA = 1\n", 1, "header"),
        ('["a[^b]"]\nA = 1\n', 1, r"\[!"),
        ("[a]\nA = x\x07y\n", 2, "control character"),
        ("[a]\nFSTAB_1 = x\n", 2, "field 2"),
        ("[a]\nA = 1\n[b]\nLIKE = c\n[c]\nLIKE = d\n[d]\nLIKE = B\n", 4, "b -> c -> d -> b"),
        ("[d]\nLIKE = d\n", 2, "d -> d"),
    ],
)
def test_a_file_is_refused(text, line, message):
    assert re.match(f"line {line}: .*{message}", str(_lts_conf.check(Document(text))[0]))


def test_a_section_that_becomes_empty_is_refused():
    assert [str(finding) for finding in _lts_conf.check(Document(change("[a]\nA = 1\n", present("a", A=None))))] == [
        "line 1: section [a] is empty, LTSP 5 stops reading there: give it a parameter or remove it (state: absent)"
    ]


def test_several_ways_to_one_section_are_no_circle():
    assert not lines_refused("[a]\nLIKE = b\nLIKE = c\n[b]\nLIKE = d\n[c]\nLIKE = d\n[d]\nA = 1\n")


def test_values_are_in_no_message():
    text = 's3cret = s3cret\n[a]\nA = s3cret=s3cret\nB = "s3cret" s3cret\nC = \'s3cret\'\nD = "s3cret "s3cret"\ns3cret \x07\nFSTAB_1 = s3cret\n'
    assert "s3cret" not in _lts_conf.report("x", _lts_conf.check(Document(text)))


def test_a_report_has_an_end():
    assert _lts_conf.report("x", [_lts_conf.Finding(n, "y") for n in range(100)]).splitlines()[-1] == "and 80 more"


# --- advice


def test_advice():
    text = "[default]\nLIKE = a\nRCFIL_01 = 1\nKEEP_SYSTEM_SERVICE = x\nMINE = 1\n[a]\nLIKE = nowhere\n[A]\nX = 1\n[52-54-00-77-00-01]\nRCFILE_01 = true\n"
    assert [(finding.line, finding.message.partition(":")[0]) for finding in _lts_conf.advise(Document(text), ["mine", "X"])] == [
        (2, "LIKE in [default] is followed only from sections that name default"),
        (3, "RCFIL_01 is not a known parameter, is RCFILE_* meant?"),
        (4, "KEEP_SYSTEM_SERVICE is not a known parameter, is KEEP_SYSTEM_SERVICES meant?"),
        (7, "section [a], LIKE"),
        (8, "section [A] counts nowhere"),
        (10, "no node has the name [52-54-00-77-00-01]"),
    ]


@pytest.mark.parametrize(
    ("key", "near"), [("FSATB_01_SSH", "FSTAB_*"), ("RCFILE01_X", "RCFILE_*"), ("TIMEZON", "TIMEZONE"), ("QQQQ", None), ("PREINIT_", "PREINIT_*")]
)
def test_nearest_parameter(key, near):
    assert not _lts_conf_keys.is_known(key)
    assert _lts_conf_keys.nearest(key) == near


# --- secrets


def test_secret_values_are_masked_wherever_they_stand():
    text = '[a]\r\nA_JOIN = "x" # y\n#a_join=x\n A_JOIN = "x" x "x\nB = "x"\n'
    secret = [_lts_conf.glob_pattern("*_join")]
    assert _lts_conf.masked(text, secret) == '[a]\r\nA_JOIN = "********"\n#a_join="********"\n A_JOIN = "********"\nB = "x"\n'
    assert _lts_conf.masked_sections([present("a", A_Join="x", B="x"), {"name": "b", "parameters": None}], secret) == [
        present("a", A_Join=_lts_conf.MASK, B="x"),
        {"name": "b", "parameters": {}},
    ]


# --- properties

FEW = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))

NAMES = st.one_of(
    st.sampled_from(
        ["default", "node1", "NODE1", "node*", "n?de1", "*", "10.0.0.*", "10.0.0.11", "52:54:00:AA:bb:01", "52:*", "node[12]", "node[!2]", "a", "b", "c"]
    ),
    st.text("abN1.*?[]!-", min_size=1, max_size=6).filter(lambda name: not _lts_conf.name_complaint(name)),
)
ANY_GLOB = st.text("node1*?[]!^-\\:", min_size=1, max_size=7)
NODES = st.sampled_from([NODE1, Identity("NODE1.x", "", ""), Identity("", "10.0.0.11", ""), Identity("a", "1.2.3.4", "52:54:00:aa:bb:01"), Identity()])
KEYS = st.sampled_from(["A", "b", "Key_1", "KEY_1", "_", "RCFILE_01", "LIKE", "like"])
VALUES = st.one_of(
    st.sampled_from(["NONE", "none", "a", "b", "c", "node1", "node*", "# x", "[x]", "a = b", "it's", "$x `y`", "\\"]),
    st.text(st.characters(blacklist_characters='"\x7f', blacklist_categories=("Cc", "Cs")), min_size=1, max_size=8),
)
PARAMETERS = st.lists(st.tuples(KEYS, VALUES), max_size=4, unique_by=lambda item: item[0].upper()).map(dict)
SECTIONS = st.lists(
    st.builds(lambda name, values: present(name, **values), NAMES, PARAMETERS), max_size=6, unique_by=lambda section: _lts_conf.fold(section["name"])
)
WRITTEN = VALUES.map('"{}"'.format) | VALUES | st.sampled_from(["a", "b", "x y"])
LINES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["", " ", "\t"]), KEYS, st.sampled_from(["=", " = ", "\t=\t"]), WRITTEN, st.sampled_from(["", " ", "# c", ' # "c"'])).map(
            "".join
        ),
        st.tuples((NAMES | ANY_GLOB).map(_lts_conf.header), st.sampled_from(["", " ", " # c", '# "c"', " x"])).map("".join),
        st.sampled_from(["", "# comment", '# "x"', "include x", "include = x", "[broken", "A"]),
        st.text("A=\"'[]# \t", max_size=6),
        st.text(st.characters(blacklist_characters="\x00", blacklist_categories=("Cs",)), max_size=8),
    ),
    max_size=12,
)
TEXTS = st.builds(lambda lines, end: end.join(lines), LINES, st.sampled_from(["\n", "\r\n", "\n\n"]))


@FEW
@given(TEXTS)
def test_reading_and_writing_gives_every_byte_again(text):
    assert Document(text).text() == text


@FEW
@given(SECTIONS)
def test_what_is_written_is_read(sections):
    text = change(_lts_conf.OWNED, *sections)
    document = Document(text)
    assert all(line.understood for line in document.preamble)
    read = [(section.name, [(line.key, line.value) for line in section.lines if line.key]) for section in document.sections]
    assert read == [(section["name"], [(key.upper(), value) for key, value in section["parameters"].items()]) for section in sections]
    assert change(text, *sections) == text


@FEW
@given(TEXTS, SECTIONS)
def test_a_change_is_stable_and_touches_nothing_else(text, sections):
    text = "\n".join(line for line in text.split("\n") if "\r" not in line.rstrip("\r"))
    after = change(text, *sections)
    assert change(after, *sections) == after
    managed = {_lts_conf.fold(section["name"]) for section in sections}
    others = [(name, section.values()) for name, section in Document(text).named().items() if name not in managed]
    assert others == [(name, section.values()) for name, section in Document(after).named().items() if name not in managed]
    named = Document(after).named()
    for section in sections:
        values = named[_lts_conf.fold(section["name"])].values()
        assert all(values[key.upper()] == value for key, value in section["parameters"].items() if key.upper() != "LIKE")


@FEW
@given(TEXTS, NODES)
def test_the_resolved_file_gives_what_the_whole_file_gives(text, node):
    text = text.replace("\r", "")
    whole = Reader(Document(text)).parameters(node)
    resolved = _lts_conf.resolved_text(whole)
    assert parameters(resolved, node) == {key: value.value for key, value in whole.items()}
    assert parameters(resolved, Identity()) == {key: value.value for key, value in whole.items()}


@pytest.mark.parametrize("awk", ["mawk", "busybox awk", "gawk"])
@FEW
@given(text=TEXTS, node=NODES)
def test_the_runtime_reads_what_this_collection_reads(awk, text, node):
    command = awk.split()
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LTS_HOSTNAME": node.hostname, "LTS_IP": node.ip, "LTS_MAC": node.mac}
    output = subprocess.run([*command, "-f", str(RUNTIME_READER)], input=text.encode(), env=environment, capture_output=True, check=True).stdout.decode()
    assert dict(line.split("=", 1) for line in output.split("\n")[:-1]) == parameters(text, node)


@FEW
@given(st.lists(st.text("AB_019", min_size=1, max_size=6), max_size=40))
def test_keys_are_sorted_as_sort_does(keys):
    keys = [f"K{key}" for key in keys]
    output = subprocess.run(["sort", "-V"], input="\n".join(keys), env={"LC_ALL": "C"}, capture_output=True, text=True, check=True).stdout
    assert sorted(keys, key=_lts_conf.version_key) == output.split()


def shell_matches(shell, pairs):
    """Which of the names `case` in the shell matches with the pattern beside it."""
    script = "\n".join(f"p='{pattern}'; case '{name}' in $p) echo 1 ;; *) echo 0 ;; esac" for pattern, name in pairs)
    return [line == "1" for line in subprocess.run([*shell, "-c", script], capture_output=True, text=True, check=True).stdout.split()]


@FEW
@given(st.lists(st.tuples(st.text("abc1.:-*?[]!", min_size=1, max_size=7), st.text("abc1.:-", min_size=1, max_size=5)), max_size=60))
def test_globs_match_as_in_the_shell(pairs):
    pairs = [(pattern, name) for pattern, name in pairs if not _lts_conf.name_complaint(pattern)]
    assert [bool(_lts_conf.glob_pattern(pattern).fullmatch(name)) for pattern, name in pairs] == shell_matches(["sh"], pairs)


def test_each_kind_of_glob_matches_as_in_the_shell():
    patterns = [
        "*",
        "a*",
        "*c",
        "a?c",
        "[abc]",
        "[!abc]*",
        "[]a]*",
        "[!]a]*",
        "[a-]*",
        "[-a]",
        "[!-a]",
        "[a-c1-3]",
        "*[.]*",
        "a.c",
        "[*]",
        "[?]",
        "[a-a]",
        "**",
        "?*",
        "[![]",
        "[[]",
    ]
    names = ["a", "b", "c", "ac", "abc", "a.c", "axc", "]", "]x", "-", "-x", "2", "*", "?", "[", "A"]
    pairs = list(itertools.product(patterns, names))
    assert [bool(_lts_conf.glob_pattern(pattern).fullmatch(name)) for pattern, name in pairs] == shell_matches(["sh"], pairs)


def test_each_card_of_a_node_has_its_file() -> None:
    document = Document('[node1]\nA="1"\n[52:54:00:00:00:02]\nA="2"\nB="3"\n')
    nodes = [{"hostname": "node1", "ip": "10.0.0.1", "macs": ["52-54-00-00-00-01"]}, {"hostname": "node2", "ip": None, "macs": ["5254.0000.0002"]}]
    assert _lts_conf.resolved_files(document, nodes) == {
        "52-54-00-00-00-01.conf": b'[default]\nA="1"\n',
        "52-54-00-00-00-02.conf": b'[default]\nA="2"\nB="3"\n',
    }


@pytest.mark.parametrize(("mac", "message"), [("52:54:00:00:00:01", "nodes node1 and node2 have the same MAC address"), ("52:54", "node node2: ")])
def test_a_mac_address_that_cannot_be_names_its_node(mac: str, message: str) -> None:
    nodes = [{"hostname": "node1", "ip": "", "macs": ["52:54:00:00:00:01"]}, {"hostname": "node2", "ip": "", "macs": [mac]}]
    with pytest.raises(LtsConfError, match=message):
        _lts_conf.resolved_files(Document(""), nodes)
