# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The start of the commands scripts/lab and scripts/test, which source this file.

# Ansible's apt modules need the distribution's Python, which may not be the first of the PATH.
python=/usr/bin/python3

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

need_python() {
	[ ! -x "$python" ] || return 0
	command -v apt-get >/dev/null || die "$python is missing, and this is not Debian: install Python 3.11 or newer there"
	[ "$(id -u)" -eq 0 ] || die "$python is missing, install it as root: apt-get install python3"
	printf 'Installing python3\n'
	{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3; } >/dev/null ||
		die "apt-get could not install python3, see above"
}

# start PATH MODULE [ARGUMENT...]: runs a Python module below PATH.
start() {
	need_python
	export PYTHONPATH="$1"
	shift
	exec "$python" -B -m "$@"
}
