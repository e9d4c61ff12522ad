# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # common.sh has the rest
# SPDX-License-Identifier: GPL-3.0-or-later
# The steps from a mounted root to a configured node. Each may fail without the others.

ltsp_etc=${LTSP_PREFIX-}/etc

# Units without use on a node whose root is in RAM, and systemd-network-generator, which would ask for an address on
# every network card because of ip=dhcp. KEEP_SYSTEM_SERVICES keeps them.
ltsp_unwanted="apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all e2scrub_reap fwupd-refresh man-db motd-news
	nbd-server packagekit snapd systemd-firstboot systemd-network-generator unattended-upgrades update-notifier-download update-notifier-motd"

# Units that RM_SYSTEM_SERVICES cannot remove, because no operator could log in and repair the node without them.
ltsp_essential="ssh sshd ltsp-rc ltsp-ssh-keys systemd-networkd dbus"

ltsp_read_environment() {
	DEVICE='' IPV4ADDR='' HOSTNAME='' SERVER='' LTSP_CLIENT_MAC='' LTSP_IMAGE='' LTSP_VERSION='' LTSP_ROOT='' LTSP_CONF=''
	IPV4GATEWAY='' IPV4DNS0='' IPV4DNS1='' DNSDOMAIN=''
	# shellcheck source=/dev/null
	[ ! -e "$ltsp_run/env" ] || . "$ltsp_run/env"
	# shellcheck source=/dev/null
	[ -z "$DEVICE" ] || [ ! -e "${LTSP_PREFIX-}/run/net-$DEVICE.conf" ] || . "${LTSP_PREFIX-}/run/net-$DEVICE.conf"
	# The DHCP server names the machine, and the name is the same for each of its network cards.
	ltsp_identity=${HOSTNAME:+$HOSTNAME.$DNSDOMAIN}
	case $HOSTNAME in
	*.*) DNSDOMAIN=${DNSDOMAIN:-${HOSTNAME#*.}} HOSTNAME=${HOSTNAME%%.*} ;;
	esac
	ltsp_identity=${ltsp_identity:-$LTSP_CLIENT_MAC}
	HOSTNAME=${HOSTNAME:-ltsp-$(echo "$LTSP_CLIENT_MAC" | tr -d :)}
}

# ltsp_lts_conf: the served file, else the image's own. Broken lines are logged and left out.
ltsp_lts_conf() {
	local file
	rm -f "$ltsp_run/lts.conf"
	for file in "$ltsp_run/lts.conf.served" "$ltsp_etc/lts.conf"; do
		[ -e "$file" ] || continue
		ltsp_resolve "$file" "$HOSTNAME" "$IPV4ADDR" "$LTSP_CLIENT_MAC" 2>"$ltsp_run/problems" ||
			echo "cannot be read" >>"$ltsp_run/problems"
		ltsp_log_lines 3 "lts.conf ($file): " <"$ltsp_run/problems"
		rm -f "$ltsp_run/problems"
		return
	done
}

ltsp_identify() {
	echo "$HOSTNAME" >"$ltsp_etc/hostname"
	hostname "$HOSTNAME"
	[ -z "$ltsp_identity" ] || printf 'ltsp:%s' "$ltsp_identity" | md5sum | cut -c 1-32 >"$ltsp_etc/machine-id"
}

# systemd would rebuild the linker's cache and the like at each boot if these files were older than /usr.
ltsp_mark_updated() {
	touch "$ltsp_etc/.updated" "${LTSP_PREFIX-}/var/.updated"
}

ltsp_write_hosts() {
	{
		printf '127.0.0.1\tlocalhost\n127.0.0.2\t%s\n' "${DNSDOMAIN:+$HOSTNAME.$DNSDOMAIN }$HOSTNAME"
		printf '::1\tlocalhost ip6-localhost ip6-loopback\n'
		ltsp_values HOSTS_ | cut -d= -f 2-
	} >"$ltsp_etc/hosts"
}

ltsp_write_resolv_conf() {
	local address
	# A link belongs to systemd-resolved, which asks systemd-networkd.
	[ ! -L "$ltsp_etc/resolv.conf" ] || return 0
	{
		[ -z "$ltsp_search" ] || echo "search $ltsp_search"
		for address in ${ltsp_dns:-$IPV4DNS0 $IPV4DNS1}; do
			[ "$address" = 0.0.0.0 ] || echo "nameserver $address"
		done
	} >"$ltsp_etc/resolv.conf"
}

# The address from the initramfs stays when systemd-networkd takes over the boot interface. Kind=!* excludes VLANs and
# bridges on it, which have the same MAC address.
ltsp_write_network() {
	local address
	[ -n "$LTSP_CLIENT_MAC" ] || return 0
	mkdir -p "${LTSP_PREFIX-}/run/systemd/network"
	{
		printf '[Match]\nMACAddress=%s\nType=ether\nKind=!*\n\n' "$LTSP_CLIENT_MAC"
		printf '[Network]\nDHCP=ipv4\nKeepConfiguration=yes\n'
		for address in $ltsp_dns; do
			echo "DNS=$address"
		done
		[ -z "$ltsp_search" ] || echo "Domains=$ltsp_search"
		printf '\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\nUseDomains=yes\n'
	} >"${LTSP_PREFIX-}/run/systemd/network/60-ltsp.network"
	# The route of the initramfs has metric 0, and would win over any route that an operator gives another interface.
	case $IPV4GATEWAY in
	'' | 0.0.0.0) ;;
	*)
		ip route replace default via "$IPV4GATEWAY" dev "$DEVICE" proto dhcp src "$IPV4ADDR" metric 1024 &&
			ip route del default via "$IPV4GATEWAY" dev "$DEVICE" metric 0
		;;
	esac
}

# ltsp_disk DEVICE: the device file of a disk in fstab; fails for anything but a disk of this machine.
ltsp_disk() {
	case $1 in
	/dev/*) echo "$1" ;;
	UUID=* | LABEL=* | PARTUUID=* | PARTLABEL=*) echo "/dev/disk/by-$(echo "${1%%=*}" | tr '[:upper:]' '[:lower:]')/${1#*=}" ;;
	*) return 1 ;;
	esac
}

# ltsp_order_after_udev DEVICE: the timeout of the device begins when udev has seen all devices, also on a slow machine.
ltsp_order_after_udev() {
	local directory
	directory=${LTSP_PREFIX-}/run/systemd/system/$(systemd-escape --path --suffix=device "$1").d
	mkdir -p "$directory"
	printf '[Unit]\nWants=systemd-udev-settle.service\nAfter=systemd-udev-settle.service\n' >"$directory/ltsp.conf"
}

ltsp_write_fstab() {
	local line key options device
	ltsp_values FSTAB_ | while IFS= read -r line; do
		key=${line%%=*}
		set -f
		# shellcheck disable=SC2086
		set -- ${line#*=}
		if [ $# -lt 3 ] || [ $# -gt 6 ]; then
			ltsp_log 3 "$key was left out: a line of fstab is DEVICE DIRECTORY TYPE [OPTIONS [DUMP [PASS]]]"
			continue
		fi
		options=${4:-defaults}
		# systemd does not wait for a nofail disk, and a service would write to the directory below its mount point.
		case ,$options, in
		*,_netdev,*) ;;
		*,nofail,*)
			if device=$(ltsp_disk "$1"); then
				case ,$options, in
				*,x-systemd.device-timeout=*) ;;
				*)
					options=$options,x-systemd.device-timeout=7s
					ltsp_order_after_udev "$device"
					;;
				esac
				options=$options,x-systemd.before=local-fs.target
			fi
			;;
		esac
		printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$options" "${5:-0}" "${6:-0}"
	done >>"$ltsp_etc/fstab"
}

ltsp_write_crontab() {
	local lines file
	lines=$(ltsp_values CRONTAB_ | cut -d= -f 2-)
	[ -n "$lines" ] || return 0
	if [ ! -d "${LTSP_PREFIX-}/var/spool/cron/crontabs" ]; then
		ltsp_log 3 "CRONTAB_* was left out: this image has no cron"
		return
	fi
	file=${LTSP_PREFIX-}/var/spool/cron/crontabs/root
	echo "$lines" >>"$file" && chmod 0600 "$file" && chgrp crontab "$file"
}

# ltsp_mask NAME: masks a unit; a name without suffix means the service and the units that start it.
ltsp_mask() {
	local units unit directory
	case $1 in
	*.service | *.timer | *.socket | *.path | *.mount | *.automount | *.target | *.swap) units=$1 ;;
	*) units="$1.service $1.timer $1.socket $1.path" ;;
	esac
	for unit in $units; do
		for directory in "$ltsp_etc/systemd/system" "${LTSP_PREFIX-}/usr/lib/systemd/system" "${LTSP_PREFIX-}/lib/systemd/system"; do
			[ -e "$directory/$unit" ] && ln -sf /dev/null "$ltsp_etc/systemd/system/$unit"
		done
		[ "$unit" != "$1.service" ] || [ ! -e "$ltsp_etc/init.d/$1" ] || ln -sf /dev/null "$ltsp_etc/systemd/system/$unit"
	done
}

ltsp_mask_services() {
	local keep remove name
	keep=" $(ltsp_value KEEP_SYSTEM_SERVICES | tr -s ' ,\t' '   ') "
	remove=$(ltsp_value RM_SYSTEM_SERVICES | tr ',' ' ')
	set -f
	for name in $ltsp_unwanted $remove; do
		case " $ltsp_essential $keep" in
		*" ${name%.*} "* | *" $name "*) ;;
		*) ltsp_mask "$name" ;;
		esac
	done
	for name in $remove; do
		case " $ltsp_essential " in
		*" ${name%.*} "*) ltsp_log 3 "RM_SYSTEM_SERVICES: $name stays, a node without it cannot be helped" ;;
		esac
	done
	set +f
}

# ltsp_step FUNCTION: runs a step; its failure is logged, and the next step runs.
ltsp_step() {
	("$1") >"$ltsp_run/step.log" 2>&1 || echo "$1 failed" >>"$ltsp_run/step.log"
	ltsp_log_lines 3 "" <"$ltsp_run/step.log"
	rm -f "$ltsp_run/step.log"
}

ltsp_configure() {
	local step
	mkdir -p "$ltsp_run"
	ltsp_read_environment
	ltsp_step ltsp_lts_conf
	HOSTNAME=$(ltsp_value HOSTNAME || echo "$HOSTNAME")
	ltsp_dns=$(ltsp_value DNS_SERVER | tr ',' ' ')
	ltsp_search=$(ltsp_value SEARCH_DOMAIN | tr ',' ' ')
	ltsp_search=${ltsp_search:-$DNSDOMAIN}
	for step in ltsp_write_environment ltsp_identify ltsp_mark_updated ltsp_write_hosts ltsp_write_resolv_conf ltsp_write_network \
		ltsp_write_fstab ltsp_write_crontab ltsp_mask_services; do
		ltsp_step "$step"
	done
	ltsp_run_preinit
	ltsp_log 5 "configured as $HOSTNAME"
}
