# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Input of the filters that work with the settings of a boot server on Kubernetes."""

    DOCUMENTATION = r"""
options:
  _input:
    description:
      - Variables of the role P(serverfarm.ltsp.kubernetes_server#role), without the prefix C(kubernetes_server_) of their names.
      - "Besides them C(servers), a dictionary of the hosts to their addresses, C(subnets) of the role P(serverfarm.ltsp.ltsp_server#role), and C(ports), a
        dictionary of the daemons to their ports. A daemon that is not in it has its usual port."
    type: dict
    required: true
"""
