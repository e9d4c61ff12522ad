#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Reads a file with the code of today's LTSP, as the first process of a node, and shows the values.
# Usage: ltsp_reads.sh DIRECTORY FILE HOSTNAME IP MAC; the directory keeps Debian's package.
set -eu

if [ "$$" != 1 ]; then
	if [ ! -d "$1/ltsp" ]; then
		mkdir "$1/ltsp"
		cd "$1/ltsp"
		apt-get -qq download ltsp || { apt-get -qq update && apt-get -qq download ltsp; }
		dpkg-deb -x ltsp_*.deb .
	fi >&2
	exec env -i PATH="$PATH" unshare --pid --fork "$0" "$@"
fi

share=$1/ltsp/usr/share/ltsp
file=$2
export HOSTNAME="$3" IP_ADDRESS="$4" MAC_ADDRESS="$5"
re() { "$@"; }
_APPLET=init
_APPLET_DIR=$share/client/init
# shellcheck disable=SC1091
. "$share/common/ltsp/55-config.sh"
set +u
eval_ini "$file"
for key in $(echo_vars '(DNS_SERVER|KEEP_SYSTEM_SERVICES|SEARCH_DOMAIN|(FSTAB|HOSTS|POST_INIT)_[[:alnum:]_]*)'); do
	eval "printf '%s=%s\n' \"\$key\" \"\$$key\""
done
