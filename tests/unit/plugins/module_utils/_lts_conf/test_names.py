# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import subprocess

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import name_complaint
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import glob_pattern, version_key

FEW = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(st.lists(st.text("AB_019", min_size=1, max_size=6), max_size=40))
def test_keys_are_sorted_as_sort_does(keys):
    keys = [f"K{key}" for key in keys]
    output = subprocess.run(["sort", "-V"], input="\n".join(keys), env={"LC_ALL": "C"}, capture_output=True, text=True, check=True).stdout
    assert sorted(keys, key=version_key) == output.split()


def shell_matches(shell, pairs):
    """Which of the names `case` in the shell matches with the pattern beside it."""
    script = "\n".join(f"p='{pattern}'; case '{name}' in $p) echo 1 ;; *) echo 0 ;; esac" for pattern, name in pairs)
    return [line == "1" for line in subprocess.run([*shell, "-c", script], capture_output=True, text=True, check=True).stdout.split()]


@FEW
@given(st.lists(st.tuples(st.text("abc1.:-*?[]!", min_size=1, max_size=7), st.text("abc1.:-", min_size=1, max_size=5)), max_size=60))
def test_globs_match_as_in_the_shell(pairs):
    pairs = [(pattern, name) for pattern, name in pairs if not name_complaint(pattern)]
    assert [bool(glob_pattern(pattern).fullmatch(name)) for pattern, name in pairs] == shell_matches(["sh"], pairs)


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
    assert [bool(glob_pattern(pattern).fullmatch(name)) for pattern, name in pairs] == shell_matches(["sh"], pairs)
