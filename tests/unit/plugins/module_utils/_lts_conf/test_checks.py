# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from lts_conf_samples import absent, change, present

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import Finding, advise, check, report, section_changes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import Document
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import LtsConfError


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
        section_changes([section])


def test_sections_that_differ_by_case_only_are_refused():
    with pytest.raises(LtsConfError, match="given twice"):
        section_changes([present("a", A="1"), absent("A")])


@pytest.mark.parametrize("value", ["UUID=1-2 none swap sw 0 0", "server:/home /home nfs4 defaults", "LABEL=x\t/srv  ext4 ro,x-y=1 1 2", "none"])
def test_lines_of_fstab(value):
    assert section_changes([present("default", FSTAB_01=value)])


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
    assert re.match(f"line {line}: .*{message}", str(check(Document(text))[0]))


def test_a_section_that_becomes_empty_is_refused():
    assert [str(finding) for finding in check(Document(change("[a]\nA = 1\n", present("a", A=None))))] == [
        "line 1: section [a] is empty, LTSP 5 stops reading there: give it a parameter or remove it (state: absent)"
    ]


def test_several_ways_to_one_section_are_no_circle():
    assert not check(Document("[a]\nLIKE = b\nLIKE = c\n[b]\nLIKE = d\n[c]\nLIKE = d\n[d]\nA = 1\n"))


def test_values_are_in_no_message():
    text = 's3cret = s3cret\n[a]\nA = s3cret=s3cret\nB = "s3cret" s3cret\nC = \'s3cret\'\nD = "s3cret "s3cret"\ns3cret \x07\nFSTAB_1 = s3cret\n'
    assert "s3cret" not in report("x", check(Document(text)))


def test_a_report_has_an_end():
    assert report("x", [Finding(n, "y") for n in range(100)]).splitlines()[-1] == "and 80 more"


def test_advice():
    text = "[default]\nLIKE = a\nRCFIL_01 = 1\nKEEP_SYSTEM_SERVICE = x\nMINE = 1\n[a]\nLIKE = nowhere\n[A]\nX = 1\n[52-54-00-77-00-01]\nRCFILE_01 = true\n"
    assert [(finding.line, finding.message.partition(":")[0]) for finding in advise(Document(text), ["mine", "X"])] == [
        (2, "LIKE in [default] is followed only from sections that name default"),
        (3, "RCFIL_01 is not a known parameter, is RCFILE_* meant?"),
        (4, "KEEP_SYSTEM_SERVICE is not a known parameter, is KEEP_SYSTEM_SERVICES meant?"),
        (7, "section [a], LIKE"),
        (8, "section [A] counts nowhere"),
        (10, "no node has the name [52-54-00-77-00-01]"),
    ]
