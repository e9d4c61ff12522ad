# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # common.sh has the rest
# SPDX-License-Identifier: GPL-3.0-or-later
# The commands of lts.conf: PREINIT_* before systemd, RCFILE_* once the node is up.

# ltsp_export_environment: the environment of the commands.
ltsp_export_environment() {
	set -a
	# shellcheck source=/dev/null
	. "$ltsp_run/env"
	HOME=/root
	set +a
}

# ltsp_write_script PREFIX FILE: the commands of these keys as one script, so that variables and the directory
# carry over. FILE.key names the command that runs. Fails when there is nothing to run.
ltsp_write_script() (
	local line key
	umask 077
	ltsp_values "$1" >"$2.values"
	: >"$2.key"
	while IFS= read -r line; do
		key=${line%%=*}
		printf 'echo %s >%s\n%s\n' "$key" "$2.key" "${line#*=}"
		# shellcheck disable=SC2016
		[ "$1" != PREINIT_ ] || printf 'ltsp_status=$?; [ $ltsp_status = 0 ] || echo "%s failed with status $ltsp_status" >>%s\n' "$key" "$2.failed"
	done <"$2.values" >"$2"
	echo "echo end >$2.key" >>"$2"
	[ -s "$2.values" ] && rm "$2.values"
)

# One script without -e, with a time limit. Its output goes through a file, because a daemon of the script would
# keep a pipe open.
ltsp_run_preinit() {
	local file="$ltsp_run/preinit" pid status key
	ltsp_write_script PREINIT_ "$file" || return 0
	(umask 077 && : >"$file.log" && : >"$file.failed")
	ltsp_export_environment
	timeout -k 10 600 sh "$file" </dev/null >>"$file.log" 2>&1 &
	pid=$!
	tail -n +1 -f -s 0.1 --pid="$pid" "$file.log" | ltsp_log_lines 4 "preinit: "
	wait "$pid"
	status=$?
	ltsp_log_lines 3 "" <"$file.failed"
	[ "$status" != 124 ] || ltsp_log 3 "PREINIT_* did not end within 600 s"
	key=$(cat "$file.key")
	[ "$key" = end ] || ltsp_log 3 "$key ended the script of PREINIT_* (status $status); what follows it did not run"
}

# One script with -e.
ltsp_run_rcfiles() {
	local file="$ltsp_run/rcfile" status key
	ltsp_write_script RCFILE_ "$file" || return 0
	ltsp_export_environment
	sh -e "$file"
	status=$?
	key=$(cat "$file.key")
	if [ "$status" != 0 ]; then
		echo "<3>$key failed with status $status; what follows it did not run" >&2
	elif [ "$key" != end ]; then
		echo "<4>$key ended the script; what follows it did not run" >&2
	fi
	return "$status"
}
