# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fnmatch
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf import ltsp19
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.checks import section_changes
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.ltsp5 import OWNED, Document
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.masking import MASK
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.names import fold, glob_pattern
from ansible_collections.serverfarm.ltsp.plugins.module_utils._lts_conf.resolve import Identity, Reader

NODE1 = Identity("node1", "10.0.0.11", "52:54:00:aa:bb:01")
REAL = pathlib.Path(os.environ.get("LTSP_DIRECTORY", "/usr/share/ltsp")) / "common/ltsp/55-config.sh"


def document(sections):
    result = Document(OWNED)
    result.change(section_changes({"name": name, "parameters": values} for name, values in sections.items()))
    return result


def convert(sections, own=()):
    text, refused = ltsp19.convert(document(sections), own)
    assert not refused
    return text.removeprefix(OWNED + "\n")


def refused(sections, own=()):
    return "\n".join(finding.message for finding in ltsp19.convert(document(sections), own)[1])


def ltsp_reads(text, node):
    """What LTSP's `ltsp init` makes of the file on a node, without the parameters that are empty."""
    sections = {}
    for line in text.splitlines():
        if line.startswith("["):
            body = sections.setdefault(line[1:-1], {})
        elif line and not line.startswith("#"):
            body.update([line.split("=", 1)])
    values = {}
    done = set()
    hostname = node.hostname
    for name in ["unnamed", "clients", "common", node.mac, node.ip, None, "init/", f"init/{node.mac}", f"init/{node.ip}", f"init/{hostname}"]:
        if name is None:
            name = shlex.split(values.get("HOSTNAME", hostname))[0]
        found = next((pattern for pattern in sections if fnmatch.fnmatchcase(name, pattern)), None)
        if found and found not in done:
            done.add(found)
            values.update(sections[found])
    values = {key: re.sub(r'\\([\\$`"])', r"\1", value[1:-1]) for key, value in values.items()}
    return {key: value for key, value in values.items() if value}


def real_ltsp_reads(text, node, tmp_path):
    (tmp_path / "ltsp.conf").write_text(text, encoding="utf-8")
    script = """
        . "$1"
        echo() { printf '%s\\n' "$*"; }
        re() { "$@"; }
        eval "$(ini2sh "$2")" || exit
        section_call unnamed clients common "$MAC_ADDRESS" "$IP_ADDRESS"
        section_call "$HOSTNAME"
        section_call init/ "init/$MAC_ADDRESS" "init/$IP_ADDRESS" "init/$HOSTNAME"
        for key in $(echo_vars '[A-Z_]*_[0-9A-Z_a-z]*'); do eval "printf '%s=%s\\n' $key \\"\\$$key\\""; done
    """
    environment = {"PATH": os.environ["PATH"], "HOSTNAME": node.hostname, "IP_ADDRESS": node.ip, "MAC_ADDRESS": node.mac}
    arguments = ["sh", "-c", script, "sh", str(REAL), str(tmp_path / "ltsp.conf")]
    lines = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    return {key: value for key, value in (line.split("=", 1) for line in lines) if key not in ("IP_ADDRESS", "MAC_ADDRESS")}


# --- what is written


def test_every_parameter_with_a_counterpart():
    assert convert(
        {
            "default": {
                "FSTAB_01_HOME": "server:/home /home nfs defaults 0 0",
                "HOSTS_01": "10.0.0.2 registry",
                "CRONTAB_01": "*/5 * * * 1-5  date",
                "CRONTAB_02": "@reboot date",
                "CRONTAB_03": "MAILTO=root",
                "DNS_SERVER": "10.0.0.1 10.0.0.2",
                "SEARCH_DOMAIN": "farm.example",
                "SERVER": "10.0.0.1",
                "CUPS_SERVER": "ignore",
                "KEEP_SYSTEM_SERVICES": "ssh",
                "RM_SYSTEM_SERVICES": "cups",
                "LTSP_NBD_TO_RAM": True,
                "USE_LOCAL_SWAP": "N",
                "PREINIT_01": "date",
            },
            "node1": {"HOSTNAME": "web1"},
        }
    ) == (
        "[clients]\n"
        'CRONTAB_01="*/5 * * * 1-5  root date"\n'
        'CRONTAB_02="@reboot root date"\n'
        'CRONTAB_03="MAILTO=root"\n'
        'CUPS_SERVER="ignore"\n'
        'DNS_SERVER="10.0.0.1 10.0.0.2"\n'
        'FSTAB_01_HOME="server:/home /home nfs defaults 0 0"\n'
        'HOSTS_01="10.0.0.2 registry"\n'
        'IMAGE_TO_RAM="1"\n'
        'KEEP_SYSTEM_SERVICES="ssh"\n'
        'LOCAL_SWAP="0"\n'
        'MASK_SYSTEM_SERVICES="cups"\n'
        'POST_INIT_01="date"\n'
        'POST_INIT_z="true"\n'
        'SEARCH_DOMAIN="farm.example"\n'
        'SERVER="10.0.0.1"\n'
        "\n[node1]\n"
        'HOSTNAME="web1"\n'
    )


def test_like_none_and_globs_are_resolved():
    sections = {
        "rack*-*": {"LIKE": "big", "SERVER": "10.0.0.9", "DNS_SERVER": "10.0.0.9"},
        "default": {"SERVER": "10.0.0.1", "LIKE": "small"},
        "Rack1-A": {"SERVER": "none", "LIKE": ["small", "big"]},
        "small": {"KEEP_SYSTEM_SERVICES": "small"},
        "big": {"KEEP_SYSTEM_SERVICES": "big", "CUPS_SERVER": "big"},
    }
    assert convert(sections) == (
        '[clients]\nSERVER="10.0.0.1"\n\n' + ltsp19._GUARDS + "\n"
        '[rack1-a]\nCUPS_SERVER="big"\nDNS_SERVER="10.0.0.9"\nKEEP_SYSTEM_SERVICES="small"\nSERVER=""\n\n'
        '[small]\nKEEP_SYSTEM_SERVICES="small"\n\n'
        '[big]\nCUPS_SERVER="big"\nKEEP_SYSTEM_SERVICES="big"\n\n'
        '[rack*-*]\nCUPS_SERVER="big"\nDNS_SERVER="10.0.0.9"\nKEEP_SYSTEM_SERVICES="big"\nSERVER="10.0.0.9"\n'
    )


def test_values_stay_literal():
    value = r"""sed "s|'$HOME'|`id`\n|" #"""
    assert ltsp19._quoted(value) == r'''"sed \"s|'\$HOME'|\`id\`\\n|\" #"'''
    assert subprocess.run(["sh", "-c", f'A={ltsp19._quoted(value)}; printf %s "$A"'], capture_output=True, text=True, check=True).stdout == value


def test_own_parameters_are_written_as_they_are():
    assert convert({"default": {"autologin": "pc/guest", "PASSWORDS_1": "a/b"}}, ["autologin", "PASS*"]) == (
        '[clients]\nAUTOLOGIN="pc/guest"\nPASSWORDS_1="a/b"\n'
    )


# --- refusals


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"default": {"RCFILE_01": "date"}}, r"section \[default\], RCFILE_01: .*systemd service"),
        ({"default": {"TIMEZONE": "UTC"}}, r"section \[default\], TIMEZONE: .*no such parameter.*own_parameters"),
        ({"default": {"CRONTAB_1": "5 * * date"}}, "five fields"),
        ({"default": {"PREINIT_1": "cp /rofs/etc/hosts /etc"}}, "PREINIT_1: there is no /rofs"),
        ({"default": {"PREINIT_1": "echo $IPV4ADDR"}}, "no IPV4ADDR"),
        ({"a": {"HOSTNAME": "x%{IP}"}}, "evaluate"),
        ({"a": {"HOSTS_2": "x"}, "b": {"HOSTS_10": "x"}}, r"HOSTS_10 comes before HOSTS_2 .*digits"),
        ({"a": {"PREINIT_1": "x"}, "b": {"POST_INIT_1": "x"}}, r"section \[b\], POST_INIT_1: PREINIT_1 becomes POST_INIT_1 too"),
        ({"rack[12]-*": {"SERVER": "x"}}, "letters, digits and"),
        ({"a b": {"SERVER": "x"}}, "letters, digits and"),
        ({"init/node1": {"SERVER": "x"}}, "letters, digits and"),
        ({"Server": {"SERVER": "x"}}, "meaning of its own"),
        ({"*": {"SERVER": "x"}}, r"write more of the name, or \[default\]"),
        ({"ab*": {"SERVER": "x"}}, "write more of the name"),
        ({"node-1": {"SERVER": "x"}, "node.1": {"SERVER": "y"}}, r"\[node.1\] and \[node-1\] are the same"),
        ({"*:*": {"SERVER": "x"}}, r"\[\*:\*\] and \[\*/\*\] are the same"),
        ({"52:54:00:77:00:01": {"SERVER": "x"}, "node*": {"SERVER": "y"}}, r"SERVER: \[node\*\] would win.*instead of its MAC address"),
        ({"10.0.0.1": {"LIKE": "a"}, "a": {"SERVER": "x"}, "node*": {"SERVER": "y"}}, r"section \[10.0.0.1\], SERVER: \[node\*\] would win"),
        ({"default": {"HOSTNAME": "x"}}, "lose the node's own section"),
        ({"10.0.0.1": {"HOSTNAME": "NONE"}}, "lose the node's own section"),
        ({"10.0.0.1": {"HOSTNAME": "Node1"}, "node1": {"SERVER": "x"}}, "put both into one"),
        ({"10.0.0.1": {"HOSTNAME": "node1"}, "node*": {"SERVER": "x"}}, "put both into one"),
    ],
)
def test_what_has_no_counterpart_is_refused(sections, message):
    assert re.search(message, refused(sections, ["POST_INIT_*", "RCFILE_*"]))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("52:54:00:aa:bb:01", 0),
        ("52:54:*", 0),
        ("10.0.0.1", 1),
        ("10.0.*", 1),
        ("node1", 2),
        ("10", 2),
        ("r?", 2),
        ("a-*", 2),
        ("*.de", 2),
        ("a*", None),
        ("1*", None),
        ("*.*", None),
    ],
)
def test_what_a_name_means(name, kind):
    assert ltsp19._kind(name) == kind


# --- secrets


def test_secrets_are_masked_under_both_names():
    text = 'POST_INIT_1="x"\nMASK_SYSTEM_SERVICES="x"\n#PREINIT_2="x"\nAUTOLOGIN="x"\nSERVER="y"\n'
    secret = [glob_pattern(name) for name in ("preinit_*", "RM_*", "autologin")]
    mask = f'"{MASK}"'
    assert ltsp19.masked(text, secret) == f'POST_INIT_1={mask}\nMASK_SYSTEM_SERVICES={mask}\n#PREINIT_2={mask}\nAUTOLOGIN={mask}\nSERVER="y"\n'


# --- a machine gets from ltsp.conf what it gets from lts.conf

NAMES = ["default", "node1", "NODE2", "nod*", "node?", "*-x", "big", "small", "10.0.0.11", "10.0.*", "*.0.11", "52:54:00:AA:bb:01", "52:*", "*:01"]
KEYS = st.sampled_from(["HOSTS_1", "DNS_SERVER", "PREINIT_1", "PREINIT_2", "LIKE", "LIKE"])
VALUES = st.one_of(st.sampled_from(["NONE", *NAMES]), st.text("$`\\'{}()#=[] \tax", min_size=1, max_size=8))
PARAMETERS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=3)
SECTIONS = st.dictionaries(st.sampled_from(NAMES), PARAMETERS, min_size=2, max_size=6)
SOME = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@SOME
@given(SECTIONS)
def test_a_machine_gets_the_same(sections):
    text, complaints = ltsp19.convert(document(sections))
    assume(not complaints)
    names = {fold(name) for name in sections}
    assume(sum(name in names for name in NODE1) < 2)
    wanted = {key.replace("PREINIT", "POST_INIT"): value.value for key, value in Reader(document(sections)).parameters(NODE1).items()}
    read = ltsp_reads(text, NODE1)
    assert read.pop("POST_INIT_z", "") == ("true" if "POST_INIT" in text else "")
    assert read == wanted


@pytest.mark.skipif(not REAL.exists() or not shutil.which("awk"), reason="LTSP is not installed")
@settings(parent=SOME, max_examples=25)
@given(sections=SECTIONS)
def test_ltsp_reads_the_same(sections, tmp_path_factory):
    text, complaints = ltsp19.convert(document(sections))
    assume(not complaints)
    assert real_ltsp_reads(text, NODE1, tmp_path_factory.mktemp("ltsp")) == ltsp_reads(text, NODE1)
