# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # root.sh has the rest
# SPDX-License-Identifier: GPL-3.0-or-later
# The transport nbd://SERVER[:PORT]/EXPORT: the image stays on the server, or is copied to RAM with ltsp.ram=1.

ltsp_nbd_programs=nbd-client ltsp_nbd_modules=nbd ltsp_nbd_packages=nbd-client

ltsp_nbd_attach() {
	local server="${1#nbd://}" port=10809 name size reason
	name=${server#*/}
	server=${server%%/*}
	case $server in
	*:*) port=${server#*:} ;;
	esac
	server=${server%:*}
	modprobe nbd nbds_max=4
	# -systemd-mark: the client outlives systemd's last round of kills at shutdown.
	if ! timeout 30 nbd-client "$server" "$port" /dev/nbd0 -N "$name" -b 4096 \
		-swap -persist -systemd-mark -nonetlink -timeout 0 </dev/null >"$ltsp_run/output" 2>&1; then
		reason=$(sed -n 's/.*Error: //p' "$ltsp_run/output" | tail -n 1)
		ltsp_failed "$1" "${reason:-no answer in 30 s}" \
			"does nbd-server on $server run, has it this export, and is this node's address allowed?"
		return 1
	fi
	ltsp_device=/dev/nbd0
	if ! size=$(ltsp_nbd_size); then
		ltsp_failed "$1" "the device has no size after 30 s" "does nbd-server on $server still run, and is the export's file empty?"
		return 1
	fi
	if ltsp_is_true "$ltsp_to_ram"; then
		ltsp_copy_to_ram "$1" "$size" cat /dev/nbd0 || return 1
		ltsp_nbd_detach
	fi
}

# ltsp_nbd_size: the bytes of the device; the kernel has them a moment after nbd-client has returned.
ltsp_nbd_size() {
	local sectors count=0
	while sectors=$(cat "${LTSP_PREFIX-}/sys/block/nbd0/size"); [ "${sectors:-0}" = 0 ]; do
		count=$((count + 1))
		[ "$count" -le 30 ] || return 1
		sleep 1
	done
	echo $((sectors * 512))
}

ltsp_nbd_detach() {
	[ ! -e "${LTSP_PREFIX-}/sys/block/nbd0/pid" ] || nbd-client -d /dev/nbd0 >/dev/null 2>&1 || :
}
