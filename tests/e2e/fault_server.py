# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server with faults, for the network of a lab: fault_server.py ADDRESS PORT IMAGE DIRECTORY.

/FAULT/root.squashfs is the image with the fault of that name, /silent/... is never answered, and everything else is a file of the directory.
"""

from __future__ import annotations

import functools
import http.server
import pathlib
import socket
import struct
import sys
import time
import typing as t

PIECE = 1 << 16
FOR_EVER = 3600.0


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers with the fault that the path names."""

    image: t.ClassVar[pathlib.Path]

    def do_HEAD(self) -> None:
        fault = self.path.split("/")[1]
        if fault == "silent":
            time.sleep(FOR_EVER)
        elif self.path.endswith("/root.squashfs"):
            self._head()
        else:
            super().do_HEAD()

    def do_GET(self) -> None:
        fault = self.path.split("/")[1]
        if not self.path.endswith("/root.squashfs") or fault == "silent":
            return self.do_HEAD() if fault == "silent" else super().do_GET()
        self._head()
        with self.image.open("rb") as image:
            getattr(self, f"send_{fault}")(image, self.image.stat().st_size)
        return None

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(self.image.stat().st_size))
        self.end_headers()

    def _send(self, image: t.BinaryIO, size: int) -> None:
        while size and (piece := image.read(min(PIECE, size))):
            self.wfile.write(piece)
            size -= len(piece)

    def send_whole(self, image: t.BinaryIO, size: int) -> None:
        self._send(image, size)

    def send_short(self, image: t.BinaryIO, size: int) -> None:
        """Ends in good order, too early."""
        self._send(image, size // 3)

    def send_reset(self, image: t.BinaryIO, size: int) -> None:
        """Is gone in the middle, as a server that crashes."""
        self._send(image, size // 3)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def send_stalled(self, image: t.BinaryIO, size: int) -> None:
        self._send(image, size // 3)
        time.sleep(FOR_EVER)

    def send_flipped(self, image: t.BinaryIO, size: int) -> None:
        """Has one wrong byte."""
        self._send(image, size // 2)
        self.wfile.write(bytes([image.read(1)[0] ^ 1]))
        self._send(image, size - size // 2 - 1)


def main(address: str, port: str, image: str, directory: str) -> None:
    Handler.image = pathlib.Path(image)
    handler = functools.partial(Handler, directory=directory)
    http.server.ThreadingHTTPServer((address, int(port)), handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
