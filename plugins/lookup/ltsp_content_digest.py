# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ltsp_content_digest
version_added: 0.1.0
short_description: SHA-256 of files and directories on the controller
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Gives one digest per file or directory. It changes when the content changes, and not when a checkout gives the same files other times or owners.
  - Of a directory, the names, the contents and the executable bits of the files in it count.
  - Files are searched for where M(ansible.builtin.copy) searches for its O(ansible.builtin.copy#module:src).
options:
  _terms:
    description: Paths of files or directories.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Show whether a file of the operator is another one than before
  ansible.builtin.debug:
    msg: "{{ lookup('serverfarm.ltsp.ltsp_content_digest', inventory_dir ~ '/files/chrony.conf') }}"
"""

RETURN = r"""
_raw:
  description: One digest of 64 hexadecimal digits per path.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.serverfarm.ltsp.plugins.plugin_utils._digest import content_digest


class LookupModule(LookupBase):
    """SHA-256 of files and directories on the controller."""

    def run(self, terms: list[str], variables: t.Optional[dict[str, t.Any]] = None, **kwargs: t.Any) -> list[str]:
        """Return one digest per path."""
        digests = []
        for term in terms:
            path = self.find_file_in_search_path(variables, "files", term, ignore_missing=True)
            if not path:
                raise AnsibleLookupError(f"{term} is not on the controller: give a path that is absolute or relative to the playbook")
            digests.append(content_digest(path))
        return digests
