# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lts_conf_samples import absent, change, present

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import check, name_complaint
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import OWNED, Document, header
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import fold
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.resolve import Identity, Reader, resolved_text

RUNTIME_READER = pathlib.Path(__file__).parents[5] / "roles/ltsp_image/files/runtime/usr/lib/ltsp/lts-conf.awk"
CASES = json.loads((pathlib.Path(__file__).parents[3] / "lts_conf_cases.json").read_text(encoding="utf-8"))
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


def lines_refused(text):
    return sorted({finding.line for finding in check(Document(text))})


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case):
    identity = Identity(**case["node"])
    assert parameters(case["file"], identity) == case["parameters"]
    assert lines_refused(case["file"]) == case.get("problems", [])
    resolved = resolved_text(Reader(Document(case["file"])).parameters(identity))
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


FEW = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
NAMES = st.one_of(
    st.sampled_from(
        ["default", "node1", "NODE1", "node*", "n?de1", "*", "10.0.0.*", "10.0.0.11", "52:54:00:AA:bb:01", "52:*", "node[12]", "node[!2]", "a", "b", "c"]
    ),
    st.text("abN1.*?[]!-", min_size=1, max_size=6).filter(lambda name: not name_complaint(name)),
)
ANY_GLOB = st.text("node1*?[]!^-\\:", min_size=1, max_size=7)
NODES = st.sampled_from([NODE1, Identity("NODE1.x", "", ""), Identity("", "10.0.0.11", ""), Identity("a", "1.2.3.4", "52:54:00:aa:bb:01"), Identity()])
KEYS = st.sampled_from(["A", "b", "Key_1", "KEY_1", "_", "RCFILE_01", "LIKE", "like"])
VALUES = st.one_of(
    st.sampled_from(["NONE", "none", "a", "b", "c", "node1", "node*", "# x", "[x]", "a = b", "it's", "$x `y`", "\\"]),
    st.text(st.characters(blacklist_characters='"\x7f', blacklist_categories=("Cc", "Cs")), min_size=1, max_size=8),
)
PARAMETERS = st.lists(st.tuples(KEYS, VALUES), max_size=4, unique_by=lambda item: item[0].upper()).map(dict)
SECTIONS = st.lists(st.builds(lambda name, values: present(name, **values), NAMES, PARAMETERS), max_size=6, unique_by=lambda section: fold(section["name"]))
WRITTEN = VALUES.map('"{}"'.format) | VALUES | st.sampled_from(["a", "b", "x y"])
LINES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["", " ", "\t"]), KEYS, st.sampled_from(["=", " = ", "\t=\t"]), WRITTEN, st.sampled_from(["", " ", "# c", ' # "c"'])).map(
            "".join
        ),
        st.tuples((NAMES | ANY_GLOB).map(header), st.sampled_from(["", " ", " # c", '# "c"', " x"])).map("".join),
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
    text = change(OWNED, *sections)
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
    managed = {fold(section["name"]) for section in sections}
    others = [(name, section.values()) for name, section in Document(text).named().items() if name not in managed]
    assert others == [(name, section.values()) for name, section in Document(after).named().items() if name not in managed]
    named = Document(after).named()
    for section in sections:
        values = named[fold(section["name"])].values()
        assert all(values[key.upper()] == value for key, value in section["parameters"].items() if key.upper() != "LIKE")


@FEW
@given(TEXTS, NODES)
def test_the_resolved_file_gives_what_the_whole_file_gives(text, node):
    text = text.replace("\r", "")
    whole = Reader(Document(text)).parameters(node)
    resolved = resolved_text(whole)
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
