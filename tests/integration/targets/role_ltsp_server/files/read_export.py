# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an export until a file appears: read_export.py ADDRESS EXPORT STOP. Prints how many reads worked."""

import os
import sys
import time

import nbd

address, export, stop = sys.argv[1:]
client = nbd.NBD()
client.connect_uri(f"nbd://{address}/{export}")
count = 0
while not os.path.exists(stop):
    client.pread(4096, (count % 256) * 4096)
    count += 1
    time.sleep(0.05)
print(count)
