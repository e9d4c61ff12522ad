# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # common.sh has the rest
# SPDX-License-Identifier: GPL-3.0-or-later
# The commands of lts.conf: PREINIT_* before systemd, RCFILE_* once the node is up.

# ltsp_export_environment: what the commands may count on.
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
	umask 077
	ltsp_values "$1" >"$2.values"
	: >"$2.key"
	while IFS= read -r ltsp_line; do
		ltsp_key=${ltsp_line%%=*}
		printf 'echo %s >%s\n%s\n' "$ltsp_key" "$2.key" "${ltsp_line#*=}"
		# shellcheck disable=SC2016
		[ "$1" != PREINIT_ ] || printf 'ltsp_status=$?; [ $ltsp_status = 0 ] || echo "%s failed with status $ltsp_status" >>%s\n' "$ltsp_key" "$2.failed"
	done <"$2.values" >"$2"
	echo "echo end >$2.key" >>"$2"
	[ -s "$2.values" ] && rm "$2.values"
)

# One script without -e. It has a limit, because it may never end, and its output goes through a file: a daemon
# that it leaves behind would keep a pipe open.
ltsp_run_preinit() {
	ltsp_file=$ltsp_run/preinit
	ltsp_write_script PREINIT_ "$ltsp_file" || return 0
	(umask 077 && : >"$ltsp_file.log" && : >"$ltsp_file.failed")
	ltsp_export_environment
	timeout -k 10 600 sh "$ltsp_file" </dev/null >>"$ltsp_file.log" 2>&1 &
	ltsp_pid=$!
	tail -n +1 -f -s 0.1 --pid="$ltsp_pid" "$ltsp_file.log" | ltsp_log_lines 4 "preinit: "
	wait "$ltsp_pid"
	ltsp_status=$?
	ltsp_log_lines 3 "" <"$ltsp_file.failed"
	[ "$ltsp_status" != 124 ] || ltsp_log 3 "PREINIT_* did not end within 600 s"
	ltsp_key=$(cat "$ltsp_file.key")
	[ "$ltsp_key" = end ] || ltsp_log 3 "$ltsp_key ended the script of PREINIT_* (status $ltsp_status); what follows it did not run"
}

# One script with -e.
ltsp_run_rcfiles() {
	ltsp_file=$ltsp_run/rcfile
	ltsp_write_script RCFILE_ "$ltsp_file" || return 0
	ltsp_export_environment
	sh -e "$ltsp_file"
	ltsp_status=$?
	ltsp_key=$(cat "$ltsp_file.key")
	if [ "$ltsp_status" != 0 ]; then
		echo "<3>$ltsp_key failed with status $ltsp_status; what follows it did not run" >&2
	elif [ "$ltsp_key" != end ]; then
		echo "<4>$ltsp_key ended the script; what follows it did not run" >&2
	fi
	return "$ltsp_status"
}
