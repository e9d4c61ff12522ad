# SPDX-License-Identifier: GPL-3.0-or-later
"""read_export.py ADDRESS EXPORT [FILE STRANGER]: the export can be read and equals FILE, and a client with the address STRANGER cannot open it."""

import socket
import sys

import nbd

address, export = sys.argv[1:3]
# Health checks open connections and close them at once.
for _number in range(3):
    socket.create_connection((address, 10809)).close()
client = nbd.NBD()
client.connect_uri(f"nbd://{address}/{export}")
assert client.is_read_only()
data = b"".join(client.pread(1 << 20, offset) for offset in range(0, client.get_size(), 1 << 20))
client.shutdown()
if len(sys.argv) > 3:
    with open(sys.argv[3], "rb") as stream:
        assert data == stream.read()
    stranger = nbd.NBD()
    stranger.set_export_name(export)
    try:
        stranger.connect_socket(socket.create_connection((address, 10809), source_address=(sys.argv[4], 0)).detach())
    except nbd.Error as error:
        print(f"as it should be: {error}")
    else:
        sys.exit(f"{sys.argv[4]} can open {export}")
