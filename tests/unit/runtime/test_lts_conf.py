# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import typing as t

import pytest

TESTS = pathlib.Path(__file__).parents[1]
READER = TESTS.parents[1] / "roles" / "ltsp_image" / "files" / "runtime" / "usr" / "lib" / "ltsp" / "lts-conf.awk"
CASES = json.loads((TESTS / "lts_conf_cases.json").read_text(encoding="utf-8"))
AWKS = {"mawk": ["mawk"], "gawk": ["gawk"], "busybox": ["busybox", "awk"]}


def read(awk: list[str], file: bytes, hostname: str = "", ip: str = "", mac: str = "") -> dict[str, str]:
    result = subprocess.run(
        [*awk, "-f", str(READER)],
        input=file,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "LTS_HOSTNAME": hostname, "LTS_IP": ip, "LTS_MAC": mac},
        capture_output=True,
        timeout=60,
        check=True,
    )
    lines = result.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]
    return dict(t.cast("tuple[str, str]", tuple(line.split("=", 1))) for line in lines)


@pytest.fixture(params=AWKS)
def awk(request: t.Any) -> list[str]:
    if not shutil.which(AWKS[request.param][0]):
        pytest.skip(f"{request.param} is not installed")
    return AWKS[request.param]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_cases(awk: list[str], case: dict[str, t.Any]) -> None:
    assert read(awk, case["file"].encode("utf-8"), **case["node"]) == case["parameters"]
