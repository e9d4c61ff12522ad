# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that work with Docker Engine."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - Where Docker Engine listens.
      - C(unix:///PATH) is a socket. C(ssh://USER@HOST) needs a key that logs in without a question and the client C(docker) on that host.
        C(tcp://HOST:2376) is protected by O(ca_cert), O(client_cert) and O(client_key).
    type: str
    default: unix:///var/run/docker.sock
  ca_cert:
    description:
      - File with the certificate of the authority that the engine's certificate is from.
    type: path
  client_cert:
    description:
      - File with the certificate with which this host proves itself to the engine.
    type: path
  client_key:
    description:
      - File with the key of O(client_cert).
    type: path
  username:
    description:
      - User of the registry. Without one, the accounts count that C(docker login) has noted for the user who runs the module.
    type: str
  password:
    description:
      - Password of O(username).
    type: str
requirements:
  - Docker SDK for Python 5.0 or newer (Debian's package C(python3-docker))
  - for C(ssh://) the Python package paramiko (Debian's package C(python3-paramiko)), although it is the ssh client that makes the connection
  - Docker Engine 20.10 or newer
notes:
  - The engine has to trust the registry. It looks for the certificate of a private authority in C(/etc/docker/certs.d/HOST:PORT/ca.crt) on its own host.
"""
