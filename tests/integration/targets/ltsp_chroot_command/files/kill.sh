#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Kill the module that runs a command in tree $1, then say what is left.
set -eu
sleepers() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -cx '4711081[5]'; }
until [ "$(sleepers)" = 2 ]; do sleep 0.1; done
for descriptor in /proc/[0-9]*/fd/*; do
	if [ "$(readlink "$descriptor")" = "$1" ]; then
		process=${descriptor#/proc/}
		kill -KILL "${process%%/*}"
	fi
done
mounts() { cat /proc/[0-9]*/mountinfo 2>/dev/null | grep -c " $1/"; }
for _ in $(seq 30); do
	[ "$(sleepers) $(mounts "$1")" != "0 0" ] || break
	sleep 1
done
echo "processes: $(sleepers)"
echo "mounts: $(mounts "$1")"
