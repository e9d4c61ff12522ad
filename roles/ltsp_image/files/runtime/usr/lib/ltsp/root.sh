# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2034,SC2154 # common.sh has the rest
# From the kernel command line to a mounted root, for any initramfs. It needs common.sh, busybox,
# nbd-client and veritysetup, and from the initramfs a function ltsp_network that configures the
# boot interface and leaves /run/net-INTERFACE.conf as klibc's ipconfig writes it.

ltsp_seconds() {
	cut -d. -f1 "${LTSP_PREFIX-}/proc/uptime"
}

# ltsp_failed WHAT WHY REMEDY: one thing that was tried in vain; ltsp_report says all of them.
ltsp_failed() {
	ltsp_log 4 "$1: $2"
	printf '%s\n' "tried:  $1" "failed: $2" "do:     $3" >>"$ltsp_run/failures"
}

ltsp_report() {
	{
		echo "######## THIS NODE CANNOT BOOT (attempt $ltsp_attempt) ########"
		echo "node:   ${HOSTNAME:-name unknown}, ${ltsp_mac:-network card unknown}, ${IPV4ADDR:-no address}${ltsp_image:+, image $ltsp_image}"
		cat "$ltsp_run/failures"
		echo "######## next attempt in 10 seconds ########"
	} | ltsp_log_lines 3 ""
}

# The last of equal arguments counts, as in the kernel.
ltsp_read_arguments() {
	ltsp_uris='' ltsp_ram=0 ltsp_sha256='' ltsp_verity='' ltsp_verity_offset=0 ltsp_conf='' ltsp_overlay=50% ltsp_image='' ltsp_mac=''
	read -r ltsp_line <"${LTSP_PREFIX-}/proc/cmdline" || :
	set -f
	for ltsp_word in $ltsp_line; do
		case $ltsp_word in
		ltsp.root=*) ltsp_uris=${ltsp_word#*=} ;;
		ltsp.ram=*) ltsp_ram=${ltsp_word#*=} ;;
		ltsp.sha256=*) ltsp_sha256=${ltsp_word#*=} ;;
		ltsp.verity=*) ltsp_verity=${ltsp_word#*=} ;;
		ltsp.verity_offset=*) ltsp_verity_offset=${ltsp_word#*=} ;;
		ltsp.conf=*) ltsp_conf=${ltsp_word#*=} ;;
		ltsp.overlay=*) ltsp_overlay=${ltsp_word#*=} ;;
		ltsp.image=*) ltsp_image=${ltsp_word#*=} ;;
		BOOTIF=*) ltsp_mac=$(echo "${ltsp_word#*=??-}" | tr 'A-F-' 'a-f:') ;;
		esac
	done
	set +f
}

# The interface that has the address $ltsp_mac.
ltsp_interface() {
	for ltsp_file in "${LTSP_PREFIX-}"/sys/class/net/*/address; do
		if [ "$(cat "$ltsp_file" 2>/dev/null)" = "$ltsp_mac" ]; then
			ltsp_file=${ltsp_file%/address}
			echo "${ltsp_file##*/}"
			return
		fi
	done
}

ltsp_configure_network() {
	rm -f "${LTSP_PREFIX-}"/run/net-*.conf
	DEVICE='' HOSTNAME='' IPV4ADDR=''
	ltsp_network
	for ltsp_file in "${LTSP_PREFIX-}/run/net-$(ltsp_interface).conf" "${LTSP_PREFIX-}"/run/net-*.conf; do
		if [ -e "$ltsp_file" ]; then
			# shellcheck source=/dev/null
			. "$ltsp_file"
			break
		fi
	done
	case $IPV4ADDR in
	'' | 0.0.0.0)
		ltsp_failed "an address for ${ltsp_mac:-any network card}" "nobody answered" \
			"check cable and switch port; does the log of the DHCP server show this card asking?"
		return 1
		;;
	esac
	ltsp_mac=$(cat "${LTSP_PREFIX-}/sys/class/net/$DEVICE/address")
}

# ltsp_fetch_conf: one attempt to get this node's lts.conf.
ltsp_fetch_conf() {
	ltsp_path=${ltsp_conf#*://}
	ltsp_host=${ltsp_path%%/*}
	ltsp_path=${ltsp_path#*/}
	case $ltsp_conf in
	http://*) timeout 15 wget -q -O "$ltsp_run/lts.conf.part" "$ltsp_conf" 2>/dev/null ;;
	tftp://*) false ;;
	*) return 1 ;;
	esac ||
		timeout 15 tftp -g -r "$ltsp_path" -l "$ltsp_run/lts.conf.part" "${ltsp_host%:*}" 2>/dev/null ||
		return 1
	chmod 0600 "$ltsp_run/lts.conf.part"
	mv "$ltsp_run/lts.conf.part" "$ltsp_run/lts.conf.served"
}

# ltsp_wait_for_conf: without it the image's own /etc/lts.conf counts.
ltsp_wait_for_conf() {
	[ -n "$ltsp_conf" ] || return 0
	[ -e "$ltsp_run/lts.conf.served" ] || ltsp_log 4 "waiting for $ltsp_conf"
	ltsp_end=$(($(ltsp_seconds) + 60))
	while [ ! -e "$ltsp_run/lts.conf.served" ]; do
		if [ "$(ltsp_seconds)" -ge "$ltsp_end" ]; then
			ltsp_log 3 "NO LTS.CONF: $ltsp_conf did not come within 60 s, neither by HTTP nor by TFTP;" \
				"this node boots with /etc/lts.conf of its image"
			return
		fi
		sleep 3
		ltsp_fetch_conf
	done
}

# ltsp_copy URI SIZE COMMAND...: keeps what the command writes in RAM, as $ltsp_device.
ltsp_copy() {
	ltsp_uri=$1 ltsp_size=$2
	shift 2
	ltsp_free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' "${LTSP_PREFIX-}/proc/meminfo")
	if [ $((ltsp_size / 1024 + 131072)) -gt "$ltsp_free" ]; then
		ltsp_failed "$ltsp_uri" "the image has $((ltsp_size / 1048576)) MiB and this node $((ltsp_free / 1024)) MiB of free memory (128 MiB are for the system)" \
			"give the node more memory, make the image smaller, or let the node keep its root on nbd:// without ltsp.ram=1"
		return 1
	fi
	mkdir -p "$ltsp_run/image"
	if ! mount -t tmpfs -o "mode=0700,size=$((ltsp_size / 1024 + 1024))k" ltsp-image "$ltsp_run/image" 2>"$ltsp_run/output"; then
		ltsp_failed "$ltsp_uri" "no tmpfs for the image: $(tail -n 1 "$ltsp_run/output")" "this is a fault of the runtime: report it"
		return 1
	fi
	"$@" >"$ltsp_run/image/root.squashfs" 2>"$ltsp_run/output" &
	ltsp_watch $! "$ltsp_run/image/root.squashfs" "$ltsp_size"
	ltsp_have=$(stat -c %s "$ltsp_run/image/root.squashfs")
	if [ "$ltsp_have" != "$ltsp_size" ]; then
		ltsp_reason=$(tail -n 1 "$ltsp_run/output")
		[ "$ltsp_idle" -lt 30 ] || ltsp_reason="nothing for 30 s"
		ltsp_failed "$ltsp_uri" "$ltsp_have of $ltsp_size bytes came: $ltsp_reason" \
			"look at the load of the server and at the errors that its switch port counts"
		return 1
	fi
	if [ -n "$ltsp_sha256" ]; then
		ltsp_sum=$(sha256sum <"$ltsp_run/image/root.squashfs")
		if [ "${ltsp_sum%% *}" != "$ltsp_sha256" ]; then
			ltsp_failed "$ltsp_uri" "refused: SHA-256 is ${ltsp_sum%% *} and should be $ltsp_sha256" \
				"compare the file on the server with its manifest.json; a version never changes after it was made"
			return 1
		fi
	fi
	modprobe loop
	ltsp_device=$(losetup -f)
	if ! losetup -r "$ltsp_device" "$ltsp_run/image/root.squashfs" 2>"$ltsp_run/output"; then
		ltsp_failed "$ltsp_uri" "no loop device for the image: $(tail -n 1 "$ltsp_run/output")" "has the initramfs the module loop?"
		return 1
	fi
	# The loop device keeps it. A mount that nobody can undo would be a failure at each shutdown.
	umount -l "$ltsp_run/image"
}

# ltsp_watch PID FILE SIZE: says how far a copy is, and ends it when nothing comes for 30 s.
ltsp_watch() {
	ltsp_count=0 ltsp_idle=0 ltsp_have=0
	while sleep 1 && kill -0 "$1" 2>/dev/null; do
		ltsp_now=$(stat -c %s "$2")
		ltsp_count=$((ltsp_count + 1)) ltsp_idle=$((ltsp_idle + 1))
		[ "$ltsp_now" = "$ltsp_have" ] || ltsp_idle=0
		ltsp_have=$ltsp_now
		if [ "$ltsp_idle" -ge 30 ]; then
			kill "$1"
		elif [ $((ltsp_count % 5)) = 1 ]; then
			ltsp_log 5 "$((ltsp_have / 1048576)) of $(($3 / 1048576)) MiB"
		fi
	done
	wait "$1" 2>/dev/null
}

ltsp_attach_http() {
	timeout 15 wget --spider -S "$1" >"$ltsp_run/output" 2>&1
	ltsp_size=$(tr -d '\r' <"$ltsp_run/output" | sed -n 's/^ *[Cc]ontent-[Ll]ength: *\([0-9]*\)$/\1/p' | tail -n 1)
	if [ -z "$ltsp_size" ]; then
		ltsp_reason=$(sed -n 's/^wget: //p' "$ltsp_run/output" | tail -n 1)
		ltsp_failed "$1" "${ltsp_reason:-no answer in 15 s}" \
			"does the web server of ${1%"/${1#http://*/}"} run, and has it this file?"
		return 1
	fi
	ltsp_copy "$1" "$ltsp_size" wget -q -O - "$1"
}

# ltsp_wait_for_size FILE: nbd-client returns before the kernel has the size of the device, which is then in $ltsp_size.
ltsp_wait_for_size() {
	ltsp_count=0
	while ltsp_size=$(($(cat "$1") * 512)) && [ "$ltsp_size" = 0 ]; do
		ltsp_count=$((ltsp_count + 1))
		[ "$ltsp_count" -le 30 ] || return 1
		sleep 1
	done
}

ltsp_attach_nbd() {
	ltsp_host=${1#nbd://}
	ltsp_export=${ltsp_host#*/}
	ltsp_host=${ltsp_host%%/*}
	case $ltsp_host in
	*:*) ltsp_port=${ltsp_host#*:} ;;
	*) ltsp_port=10809 ;;
	esac
	modprobe nbd nbds_max=4
	# -systemd-mark: the client outlives systemd's last round of kills at shutdown.
	if ! timeout 30 nbd-client "${ltsp_host%:*}" "$ltsp_port" /dev/nbd0 -N "$ltsp_export" -b 4096 \
		-swap -persist -systemd-mark -nonetlink -timeout 0 </dev/null >"$ltsp_run/output" 2>&1; then
		ltsp_reason=$(sed -n 's/.*Error: //p' "$ltsp_run/output" | tail -n 1)
		ltsp_failed "$1" "${ltsp_reason:-no answer in 30 s}" \
			"does nbd-server on ${ltsp_host%:*} run, has it this export, and is this node's address allowed?"
		return 1
	fi
	ltsp_device=/dev/nbd0
	if ! ltsp_wait_for_size "${LTSP_PREFIX-}/sys/block/nbd0/size"; then
		ltsp_failed "$1" "the device has no size after 30 s" "does nbd-server on ${ltsp_host%:*} still run, and is the export's file empty?"
		return 1
	fi
	if ltsp_is_true "$ltsp_ram"; then
		ltsp_copy "$1" "$ltsp_size" cat /dev/nbd0 || return 1
		nbd-client -d /dev/nbd0 >/dev/null 2>&1
	fi
}

# Whether dm-verity has read a block that is not the one of the root hash.
ltsp_is_damaged() {
	veritysetup status ltsp 2>/dev/null | grep -q 'status:.*corrupted'
}

# ltsp_open URI [OPTION]: mounts $ltsp_device, through dm-verity where the command line has a root hash.
ltsp_open() {
	ltsp_source=$ltsp_device
	if [ -n "$ltsp_verity" ]; then
		modprobe dm_verity
		if ! veritysetup open "$ltsp_device" ltsp "$ltsp_device" "$ltsp_verity" --hash-offset="$ltsp_verity_offset" ${2:+"$2"} \
			>"$ltsp_run/output" 2>&1; then
			ltsp_failed "$1" "dm-verity: $(tail -n 1 "$ltsp_run/output")" \
				"compare ltsp.verity and ltsp.verity_offset on the kernel command line with manifest.json"
			return 1
		fi
		ltsp_source=/dev/mapper/ltsp
	fi
	if ! mount -t squashfs -o ro "$ltsp_source" "$ltsp_run/lower" 2>"$ltsp_run/output"; then
		ltsp_reason=$(tail -n 1 "$ltsp_run/output")
		[ -z "$ltsp_verity" ] || ! ltsp_is_damaged || ltsp_reason="dm-verity found a damaged block"
		ltsp_failed "$1" "refused: $ltsp_reason" \
			"${ltsp_verity:+the image is damaged or ltsp.verity is of another one: }compare it with its manifest.json"
		return 1
	fi
}

# udev looks into a device that appears, and keeps it busy.
ltsp_close() {
	umount "$ltsp_run/lower" 2>/dev/null
	udevadm settle --timeout=10
	[ ! -e /dev/mapper/ltsp ] || veritysetup close ltsp
}

ltsp_mount_image() {
	mkdir -p "$ltsp_run/lower"
	modprobe squashfs
	ltsp_open "$1" || return 1
	[ -n "$ltsp_verity" ] || return 0
	udevadm settle --timeout=10
	if ltsp_is_damaged; then
		ltsp_failed "$1" "refused: dm-verity found a damaged block" "compare the file on the server with its manifest.json"
		return 1
	fi
	# What is wrong already has been refused. What goes wrong later must not be lived with.
	ltsp_close
	ltsp_open "$1" --panic-on-corruption
}

# ltsp_mount_overlay URI ROOT
ltsp_mount_overlay() {
	mkdir -p "$ltsp_run/rw"
	modprobe overlay
	if ! {
		mount -t tmpfs -o "mode=0755,size=$ltsp_overlay" ltsp-rw "$ltsp_run/rw" &&
			mkdir "$ltsp_run/rw/upper" "$ltsp_run/rw/work" &&
			mount -t overlay -o "lowerdir=$ltsp_run/lower,upperdir=$ltsp_run/rw/upper,workdir=$ltsp_run/rw/work" ltsp "$2" &&
			umount "$ltsp_run/rw" &&
			mkdir -p "$2/rofs" &&
			mount -o move "$ltsp_run/lower" "$2/rofs"
	} 2>"$ltsp_run/output"; then
		ltsp_failed "$1" "the writable layer: $(tail -n 1 "$ltsp_run/output")" "check ltsp.overlay=$ltsp_overlay on the kernel command line"
		return 1
	fi
}

# ltsp_release ROOT: undoes what an attempt left.
ltsp_release() {
	for ltsp_path in "$1/rofs" "$1" "$ltsp_run/rw"; do
		umount "$ltsp_path" 2>/dev/null
	done
	ltsp_close
	case $ltsp_device in
	/dev/loop*) losetup -d "$ltsp_device" ;;
	esac
	umount -l "$ltsp_run/image" 2>/dev/null
	[ ! -e "${LTSP_PREFIX-}/sys/block/nbd0/pid" ] || nbd-client -d /dev/nbd0 >/dev/null 2>&1
	ltsp_device=''
}

# ltsp_try ROOT: one attempt, from the network to the mounted root.
ltsp_try() {
	: >"$ltsp_run/failures"
	ltsp_device=''
	ltsp_read_arguments
	ltsp_configure_network || return 1
	if ltsp_fetch_conf && ltsp_resolve "$ltsp_run/lts.conf.served" "$HOSTNAME" "$IPV4ADDR" "$ltsp_mac" 2>/dev/null &&
		ltsp_is_true "$(ltsp_value LTSP_NBD_TO_RAM)"; then
		ltsp_ram=1
	fi
	[ -n "$ltsp_uris" ] ||
		ltsp_failed "ltsp.root" "the kernel command line does not have it" "ltsp.root=http://SERVER/PATH,nbd://SERVER/EXPORT is for the boot loader to say"
	while [ -n "$ltsp_uris" ]; do
		ltsp_next=${ltsp_uris%%,*}
		ltsp_uris=${ltsp_uris#"$ltsp_next"}
		ltsp_uris=${ltsp_uris#,}
		ltsp_log 5 "root from $ltsp_next"
		case $ltsp_next in
		http://*) ltsp_attach_http "$ltsp_next" ;;
		nbd://*) ltsp_attach_nbd "$ltsp_next" ;;
		*)
			ltsp_failed "$ltsp_next" "nobody knows this transport" "ltsp.root takes http:// and nbd://"
			false
			;;
		esac && ltsp_mount_image "$ltsp_next" && ltsp_mount_overlay "$ltsp_next" "$1" && {
			ltsp_uri=$ltsp_next
			return 0
		}
		ltsp_release "$1"
	done
	return 1
}

# ltsp_mount_root ROOT: returns when the root is mounted, and never without.
ltsp_mount_root() {
	mkdir -p "$ltsp_run"
	# The kernel drops what comes fast, and a report is several lines.
	[ ! -w /proc/sys/kernel/printk_devkmsg ] || echo on 2>/dev/null >/proc/sys/kernel/printk_devkmsg
	ltsp_attempt=1
	until ltsp_try "$1"; do
		ltsp_report
		sleep 10
		ltsp_attempt=$((ltsp_attempt + 1))
	done
	ltsp_wait_for_conf
	SERVER=${ltsp_uri#*://} SERVER=${SERVER%%/*} SERVER=${SERVER%:*}
	LTSP_CLIENT_MAC=$ltsp_mac LTSP_IMAGE=${ltsp_image%%/*} LTSP_VERSION=${ltsp_image#*/} LTSP_ROOT=$ltsp_uri
	ltsp_write_environment
	rm -f "$ltsp_run/failures" "$ltsp_run/output"
	ltsp_log 5 "root mounted"
}
