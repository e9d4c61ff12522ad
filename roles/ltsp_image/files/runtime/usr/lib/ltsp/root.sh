# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2034,SC2154 # common.sh and the transports have the rest
# From the kernel command line to a mounted root, for any initramfs. The initramfs has busybox, common.sh, the programs
# and modules of ltsp_requirements, and a function ltsp_network, which configures the boot interface and leaves
# /run/net-INTERFACE.conf as klibc's ipconfig writes it.

ltsp_root_programs=veritysetup
ltsp_root_modules="squashfs overlay loop dm_mod dm_verity sha256_generic"
ltsp_root_packages=cryptsetup-bin

# The transports of this image. The file transports/NAME.sh serves the URIs NAME://... of ltsp.root and has
#   ltsp_NAME_programs, ltsp_NAME_modules, ltsp_NAME_packages: what the initramfs needs, and the packages with the programs
#   ltsp_NAME_attach URI: sets $ltsp_device to a block device with the image, or fails and calls ltsp_failed
#   ltsp_NAME_detach: undoes an attach; it does nothing where there was none
ltsp_transports='' ltsp_schemes=''
for ltsp_file in "$ltsp_lib"/transports/*.sh; do
	ltsp_name=${ltsp_file##*/}
	ltsp_name=${ltsp_name%.sh}
	ltsp_transports="$ltsp_transports $ltsp_name"
	ltsp_schemes="${ltsp_schemes:+$ltsp_schemes and }$ltsp_name://"
	# shellcheck source=/dev/null
	. "$ltsp_file"
done

# ltsp_requirements KIND: the programs, modules or packages of the root and of every transport.
ltsp_requirements() {
	local part
	for part in root $ltsp_transports; do
		eval "echo \"\$ltsp_${part}_$1\""
	done
}

ltsp_seconds() {
	cut -d. -f1 "${LTSP_PREFIX-}/proc/uptime"
}

# ltsp_failed OBJECT REASON REMEDY: one failure of this attempt, for the log and for ltsp_report.
ltsp_failed() {
	ltsp_log 4 "$1: $2"
	printf '%s\n' "tried:  $1" "failed: $2" "do:     $3" >>"$ltsp_run/failures"
}

# ltsp_report ATTEMPT: all failures of an attempt as one block.
ltsp_report() {
	{
		echo "######## THIS NODE CANNOT BOOT (attempt $1) ########"
		echo "node:   ${HOSTNAME:-name unknown}, ${ltsp_mac:-network card unknown}, ${IPV4ADDR:-no address}${ltsp_image:+, image $ltsp_image}"
		cat "$ltsp_run/failures"
		echo "######## next attempt in 10 seconds ########"
	} | ltsp_log_lines 3 ""
}

# The last of equal arguments counts, as in the kernel.
ltsp_read_arguments() {
	local line='' word
	ltsp_uris='' ltsp_ram=0 ltsp_sha256='' ltsp_verity='' ltsp_verity_offset=0 ltsp_conf='' ltsp_overlay=50% ltsp_image='' ltsp_boot_mac=''
	read -r line <"${LTSP_PREFIX-}/proc/cmdline" || :
	set -f
	for word in $line; do
		case $word in
		ltsp.root=*) ltsp_uris=${word#*=} ;;
		ltsp.ram=*) ltsp_ram=${word#*=} ;;
		ltsp.sha256=*) ltsp_sha256=${word#*=} ;;
		ltsp.verity=*) ltsp_verity=${word#*=} ;;
		ltsp.verity_offset=*) ltsp_verity_offset=${word#*=} ;;
		ltsp.conf=*) ltsp_conf=${word#*=} ;;
		ltsp.overlay=*) ltsp_overlay=${word#*=} ;;
		ltsp.image=*) ltsp_image=${word#*=} ;;
		BOOTIF=*) ltsp_boot_mac=$(echo "${word#*=??-}" | tr 'A-F-' 'a-f:') ;;
		esac
	done
	set +f
}

# ltsp_interface MAC: the network interface with this address.
ltsp_interface() {
	local file
	for file in "${LTSP_PREFIX-}"/sys/class/net/*/address; do
		if [ "$(cat "$file" 2>/dev/null)" = "$1" ]; then
			file=${file%/address}
			echo "${file##*/}"
			return
		fi
	done
}

ltsp_configure_network() {
	local file
	rm -f "${LTSP_PREFIX-}"/run/net-*.conf
	DEVICE='' HOSTNAME='' IPV4ADDR='' ltsp_mac=$ltsp_boot_mac
	ltsp_network
	for file in "${LTSP_PREFIX-}/run/net-$(ltsp_interface "$ltsp_mac").conf" "${LTSP_PREFIX-}"/run/net-*.conf; do
		if [ -e "$file" ]; then
			# shellcheck source=/dev/null
			. "$file"
			break
		fi
	done
	case $IPV4ADDR in
	'' | 0.0.0.0)
		ltsp_failed "an address for ${ltsp_mac:-any network card}" "no answer from a DHCP server" \
			"check cable and switch port; does the log of the DHCP server show this card asking?"
		return 1
		;;
	esac
	ltsp_mac=$(cat "${LTSP_PREFIX-}/sys/class/net/$DEVICE/address")
}

# ltsp_fetch_conf: one attempt to get this node's lts.conf.
ltsp_fetch_conf() {
	local path="${ltsp_conf#*://}" server
	server=${path%%/*}
	path=${path#*/}
	case $ltsp_conf in
	http://*) timeout 15 wget -q -O "$ltsp_run/lts.conf.part" "$ltsp_conf" 2>/dev/null ;;
	tftp://*) false ;;
	*) return 1 ;;
	esac ||
		timeout 15 tftp -g -r "$path" -l "$ltsp_run/lts.conf.part" "${server%:*}" 2>/dev/null ||
		return 1
	chmod 0600 "$ltsp_run/lts.conf.part"
	mv "$ltsp_run/lts.conf.part" "$ltsp_run/lts.conf.served"
}

# ltsp_wait_for_conf: without it the image's own /etc/lts.conf counts.
ltsp_wait_for_conf() {
	local end
	[ -n "$ltsp_conf" ] || return 0
	[ -e "$ltsp_run/lts.conf.served" ] || ltsp_log 4 "waiting for $ltsp_conf"
	end=$(($(ltsp_seconds) + 60))
	while [ ! -e "$ltsp_run/lts.conf.served" ]; do
		if [ "$(ltsp_seconds)" -ge "$end" ]; then
			ltsp_log 3 "NO LTS.CONF: $ltsp_conf did not come within 60 s, neither by HTTP nor by TFTP;" \
				"this node boots with /etc/lts.conf of its image"
			return
		fi
		sleep 3
		ltsp_fetch_conf
	done
}

# ltsp_copy_to_ram URI SIZE COMMAND...: $ltsp_device gets the output of the command, which is kept in RAM.
ltsp_copy_to_ram() {
	local uri="$1" size="$2" copy="$ltsp_run/image/root.squashfs" free copied sum reason=''
	shift 2
	free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' "${LTSP_PREFIX-}/proc/meminfo")
	if [ $((size / 1024 + 131072)) -gt "$free" ]; then
		ltsp_failed "$uri" "the image has $((size / 1048576)) MiB and this node $((free / 1024)) MiB of free memory (128 MiB are for the system)" \
			"give the node more memory, make the image smaller, or leave the root on the server by a transport that can, without ltsp.ram=1"
		return 1
	fi
	mkdir -p "$ltsp_run/image"
	if ! mount -t tmpfs -o "mode=0700,size=$((size / 1024 + 1024))k" ltsp-image "$ltsp_run/image" 2>"$ltsp_run/output"; then
		ltsp_failed "$uri" "no tmpfs for the image: $(tail -n 1 "$ltsp_run/output")" "this is a fault of the runtime: report it"
		return 1
	fi
	"$@" >"$copy" 2>"$ltsp_run/output" &
	ltsp_watch_copy $! "$copy" "$size" || reason="nothing for 30 s"
	copied=$(stat -c %s "$copy")
	if [ "$copied" != "$size" ]; then
		ltsp_failed "$uri" "$copied of $size bytes came: ${reason:-$(tail -n 1 "$ltsp_run/output")}" \
			"look at the load of the server and at the errors that its switch port counts"
		return 1
	fi
	if [ -n "$ltsp_sha256" ]; then
		sum=$(sha256sum <"$copy")
		if [ "${sum%% *}" != "$ltsp_sha256" ]; then
			ltsp_failed "$uri" "refused: SHA-256 is ${sum%% *} and should be $ltsp_sha256" \
				"compare the file on the server with its manifest.json; a version never changes after it was made"
			return 1
		fi
	fi
	modprobe loop
	ltsp_device=$(losetup -f)
	if ! losetup -r "$ltsp_device" "$copy" 2>"$ltsp_run/output"; then
		ltsp_failed "$uri" "no loop device for the image: $(tail -n 1 "$ltsp_run/output")" "has the initramfs the module loop?"
		return 1
	fi
	# The loop device keeps the file; a mount of the initramfs could not be undone at shutdown, and would fail there.
	umount -l "$ltsp_run/image"
}

# ltsp_watch_copy PID FILE SIZE: logs the progress of a copy; ends it and fails after 30 s without progress.
ltsp_watch_copy() {
	local count=0 idle=0 copied=0 now stalled=0
	while sleep 1 && kill -0 "$1" 2>/dev/null; do
		now=$(stat -c %s "$2")
		count=$((count + 1)) idle=$((idle + 1))
		[ "$now" = "$copied" ] || idle=0
		copied=$now
		if [ "$idle" -ge 30 ]; then
			stalled=1
			kill "$1"
		elif [ $((count % 5)) = 1 ]; then
			ltsp_log 5 "$((copied / 1048576)) of $(($3 / 1048576)) MiB"
		fi
	done
	wait "$1" 2>/dev/null
	return "$stalled"
}

# ltsp_attach URI: the attach of the transport with the scheme of the URI.
ltsp_attach() {
	local transport
	for transport in $ltsp_transports; do
		case $1 in
		"$transport"://*)
			"ltsp_${transport}_attach" "$1"
			return
			;;
		esac
	done
	ltsp_failed "$1" "unknown transport" "ltsp.root takes $ltsp_schemes"
	return 1
}

# ltsp_is_damaged: dm-verity has read a block that does not match the root hash.
ltsp_is_damaged() {
	veritysetup status ltsp 2>/dev/null | grep -q 'status:.*corrupted'
}

# ltsp_open URI [OPTION]: mounts $ltsp_device, through dm-verity where the command line has a root hash.
ltsp_open() {
	local source="$ltsp_device" reason
	if [ -n "$ltsp_verity" ]; then
		modprobe dm_verity
		if ! veritysetup open "$ltsp_device" ltsp "$ltsp_device" "$ltsp_verity" --hash-offset="$ltsp_verity_offset" ${2:+"$2"} \
			>"$ltsp_run/output" 2>&1; then
			ltsp_failed "$1" "dm-verity: $(tail -n 1 "$ltsp_run/output")" \
				"compare ltsp.verity and ltsp.verity_offset on the kernel command line with manifest.json"
			return 1
		fi
		source=/dev/mapper/ltsp
	fi
	if ! mount -t squashfs -o ro "$source" "$ltsp_run/lower" 2>"$ltsp_run/output"; then
		reason=$(tail -n 1 "$ltsp_run/output")
		[ -z "$ltsp_verity" ] || ! ltsp_is_damaged || reason="dm-verity found a damaged block"
		ltsp_failed "$1" "refused: $reason" \
			"${ltsp_verity:+the image is damaged or ltsp.verity is of another one: }compare it with its manifest.json"
		return 1
	fi
}

# udev reads a new device, and keeps it busy for a moment.
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
	# Damage that is there already lets the node try the next transport; damage that is found later ends in a kernel panic.
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

# ltsp_release ROOT: undoes a failed attempt.
ltsp_release() {
	local path transport
	for path in "$1/rofs" "$1" "$ltsp_run/rw"; do
		umount "$path" 2>/dev/null
	done
	ltsp_close
	case $ltsp_device in
	/dev/loop*) losetup -d "$ltsp_device" ;;
	esac
	umount -l "$ltsp_run/image" 2>/dev/null
	for transport in $ltsp_transports; do
		"ltsp_${transport}_detach"
	done
	ltsp_device=''
}

# ltsp_try ROOT: one attempt, from the network to the mounted root. $LTSP_ROOT gets the URI that worked.
ltsp_try() {
	local uris="$ltsp_uris" uri
	: >"$ltsp_run/failures"
	ltsp_device='' ltsp_to_ram=$ltsp_ram
	ltsp_configure_network || return 1
	if ltsp_fetch_conf && ltsp_resolve "$ltsp_run/lts.conf.served" "$HOSTNAME" "$IPV4ADDR" "$ltsp_mac" 2>/dev/null &&
		ltsp_is_true "$(ltsp_value LTSP_NBD_TO_RAM)"; then
		ltsp_to_ram=1
	fi
	[ -n "$uris" ] ||
		ltsp_failed "ltsp.root" "the kernel command line does not have it" "ltsp.root=URI[,URI...] is for the boot loader to give, with $ltsp_schemes"
	while [ -n "$uris" ]; do
		uri=${uris%%,*}
		uris=${uris#"$uri"}
		uris=${uris#,}
		ltsp_log 5 "root from $uri"
		if ltsp_attach "$uri" && ltsp_mount_image "$uri" && ltsp_mount_overlay "$uri" "$1"; then
			LTSP_ROOT=$uri
			return
		fi
		ltsp_release "$1"
	done
	return 1
}

# ltsp_mount_root ROOT: returns when the root is mounted, and never without.
ltsp_mount_root() {
	local attempt=1 devkmsg="${LTSP_PREFIX-}/proc/sys/kernel/printk_devkmsg"
	mkdir -p "$ltsp_run"
	# A report is several lines; without this the kernel drops messages that come fast.
	[ ! -w "$devkmsg" ] || echo on 2>/dev/null >"$devkmsg"
	ltsp_read_arguments
	until ltsp_try "$1"; do
		ltsp_report "$attempt"
		sleep 10
		attempt=$((attempt + 1))
	done
	ltsp_wait_for_conf
	SERVER=${LTSP_ROOT#*://} SERVER=${SERVER%%/*} SERVER=${SERVER%:*}
	LTSP_CLIENT_MAC=$ltsp_mac LTSP_IMAGE=${ltsp_image%%/*} LTSP_VERSION=${ltsp_image#*/} LTSP_CONF=$ltsp_conf
	ltsp_write_environment
	rm -f "$ltsp_run/failures" "$ltsp_run/output"
	ltsp_log 5 "root mounted"
}
