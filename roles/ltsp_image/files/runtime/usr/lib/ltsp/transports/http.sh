# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # root.sh has the rest
# SPDX-License-Identifier: GPL-3.0-or-later
# The transport http://SERVER[:PORT]/PATH: the image is copied to RAM. busybox has wget.

ltsp_http_programs='' ltsp_http_modules='' ltsp_http_packages=''

ltsp_http_attach() {
	local size reason
	timeout 15 wget --spider -S "$1" >"$ltsp_run/output" 2>&1
	size=$(tr -d '\r' <"$ltsp_run/output" | sed -n 's/^ *[Cc]ontent-[Ll]ength: *\([0-9]*\)$/\1/p' | tail -n 1)
	if [ -z "$size" ]; then
		reason=$(sed -n 's/^wget: //p' "$ltsp_run/output" | tail -n 1)
		ltsp_failed "$1" "${reason:-no answer in 15 s}" \
			"does the web server of ${1%"/${1#http://*/}"} run, and has it this file?"
		return 1
	fi
	ltsp_copy_to_ram "$1" "$size" wget -q -O - "$1"
}

ltsp_http_detach() {
	:
}
