#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Kill the module that makes a tree in directory $1, then say what is left.
set -eu
cd "$1"
until ls .tree.*.tmp/tree/var/lib/dpkg/status >/dev/null 2>&1; do sleep 0.1; done
for descriptor in /proc/[0-9]*/fd/*; do
	if [ "$(readlink "$descriptor")" = "$1/.tree.lock" ]; then
		process=${descriptor#/proc/}
		kill -KILL "${process%%/*}"
	fi
done
processes() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -c "$1/[.]tree[.].*tmp"; }
mounts() { cat /proc/[0-9]*/mountinfo 2>/dev/null | grep -c "$1/[.]tree[.].*tmp"; }
for _ in $(seq 30); do
	[ "$(processes "$1") $(mounts "$1")" != "0 0" ] || break
	sleep 1
done
ls -A
echo "processes: $(processes "$1")"
echo "mounts: $(mounts "$1")"
