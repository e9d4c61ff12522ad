#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# version.sh STORE VERSION: a stand-in for a version of the image node, with 16 MiB of random data.
set -eu
directory=$1/public/images/node/$2
mkdir -p "$directory"
head -c 16M /dev/urandom >"$directory/root.squashfs"
echo kernel >"$directory/vmlinuz"
echo initrd >"$directory/initrd.img"
created=$(echo "$2" | sed 's/\(....\)\(..\)\(..\)T\(..\)\(..\)\(..\)Z.*/\1-\2-\3T\4:\5:\6Z/')
cat >"$directory/manifest.json" <<EOF
{"schema": 1, "name": "node", "version": "$2", "created": "$created",
 "files": {"root.squashfs": {"size": 16777216, "sha256": "00"}}, "verity": {"root_hash": "00", "offset": 16777216}}
EOF
chmod -R go+rX "$1/public"
ln -sfn "$2" "$1/public/images/node/current"
