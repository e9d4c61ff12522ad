# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.serverfarm.ltsp.plugins.module_utils._store import packages

STATUS = """\
Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.22.22
Description: Debian package management system
 Version: of a description

Package: libc6
Status: hold ok installed
Architecture: amd64
Version: 2.41-12+deb13u4

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.41-12+deb13u4

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2026a

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install reinstreq half-installed
Architecture: amd64
Version: 1
"""


def test_packages_are_the_installed_ones():
    assert packages.parse_packages(STATUS) == {"dpkg": "1.22.22", "libc6": "2.41-12+deb13u4", "libc6:i386": "2.41-12+deb13u4", "tzdata": "2026a"}


def test_packages_of_a_tree(tmp_path):
    assert packages.installed_packages(str(tmp_path)) == {}
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    assert len(packages.installed_packages(str(tmp_path))) == 4
