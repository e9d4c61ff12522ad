# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Shared by the initramfs and the booted node.

ltsp_lib=${LTSP_LIB:-/usr/lib/ltsp}
ltsp_run=${LTSP_PREFIX-}/run/ltsp

# ltsp_log PRIORITY TEXT...: the kernel's log reaches every console now and the journal later.
# 3 is an error and is shown with `quiet` too, 4 a warning, 5 a notice.
ltsp_log() {
	local priority="$1"
	shift
	printf '<%s>ltsp: %.900s\n' "$priority" "$*" 2>/dev/null >>"${LTSP_KMSG:-/dev/kmsg}" ||
		printf 'ltsp: %s\n' "$*" >&2
}

# ltsp_log_lines PRIORITY PREFIX: the same for each line of the standard input.
ltsp_log_lines() {
	local line
	while IFS= read -r line || [ -n "$line" ]; do
		ltsp_log "$1" "$2$line"
	done
}

# ltsp_assign NAME VALUE: a line that a shell can read.
ltsp_assign() {
	printf "%s='%s'\n" "$1" "$(printf '%s\n' "$2" | sed "s/'/'\\\\''/g")"
}

# ltsp_resolve FILE HOSTNAME IP MAC: the node's own values as KEY=value lines, in version order of the key.
# They may hold secrets.
ltsp_resolve() (
	umask 077
	rm -f "$ltsp_run/lts.conf"
	LTS_HOSTNAME=$2 LTS_IP=$3 LTS_MAC=$4 LC_ALL=C \
		awk -f "$ltsp_lib/lts-conf.awk" "$1" >"$ltsp_run/lts.conf.new" || exit 1
	LC_ALL=C sort -t= -k1,1 -V "$ltsp_run/lts.conf.new" >"$ltsp_run/lts.conf" && rm "$ltsp_run/lts.conf.new"
)

# ltsp_value KEY: its value; fails when the node has none.
ltsp_value() {
	grep -q "^$1=" "$ltsp_run/lts.conf" 2>/dev/null && sed -n "s/^$1=//p" "$ltsp_run/lts.conf"
}

# ltsp_values PREFIX: KEY=value lines of all keys that begin so.
ltsp_values() {
	grep "^$1" "$ltsp_run/lts.conf" 2>/dev/null || :
}

ltsp_is_true() {
	case $1 in
	1 | [Yy] | [Yy][Ee][Ss] | [Tt][Rr][Uu][Ee] | [Oo][Nn]) return 0 ;;
	esac
	return 1
}

# ltsp_write_environment: the variables that operators' commands may use, with LTSP's names where it has them.
ltsp_write_environment() {
	local name
	for name in DEVICE IPV4ADDR HOSTNAME SERVER LTSP_CLIENT_MAC LTSP_IMAGE LTSP_VERSION LTSP_ROOT LTSP_CONF; do
		eval "ltsp_assign $name \"\$$name\""
	done >"$ltsp_run/env.new" && mv "$ltsp_run/env.new" "$ltsp_run/env"
}
