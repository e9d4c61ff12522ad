# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # common.sh has the rest
# SPDX-License-Identifier: GPL-3.0-or-later
# The steps from a mounted root to a configured node. Each may fail without the others.

ltsp_etc=${LTSP_PREFIX-}/etc

# Units that make no sense on a node that forgets, and the one that would ask for an address on every network
# card because the initramfs did (ip=dhcp). KEEP_SYSTEM_SERVICES shields them.
ltsp_unwanted="apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all e2scrub_reap fwupd-refresh man-db motd-news
	nbd-server packagekit snapd systemd-firstboot systemd-network-generator unattended-upgrades update-notifier-download update-notifier-motd"

# A node without these cannot be helped.
ltsp_essential="ssh sshd ltsp-rc ltsp-ssh-keys systemd-networkd dbus"

ltsp_read_environment() {
	DEVICE='' IPV4ADDR='' HOSTNAME='' SERVER='' LTSP_CLIENT_MAC='' LTSP_IMAGE='' LTSP_VERSION='' LTSP_ROOT=''
	IPV4GATEWAY='' IPV4DNS0='' IPV4DNS1='' DNSDOMAIN=''
	# shellcheck source=/dev/null
	[ ! -e "$ltsp_run/env" ] || . "$ltsp_run/env"
	# shellcheck source=/dev/null
	[ -z "$DEVICE" ] || [ ! -e "${LTSP_PREFIX-}/run/net-$DEVICE.conf" ] || . "${LTSP_PREFIX-}/run/net-$DEVICE.conf"
	# The machine is who the DHCP server says, whichever of its cards asked.
	ltsp_identity=${HOSTNAME:+$HOSTNAME.$DNSDOMAIN}
	case $HOSTNAME in
	*.*) DNSDOMAIN=${DNSDOMAIN:-${HOSTNAME#*.}} HOSTNAME=${HOSTNAME%%.*} ;;
	esac
	ltsp_identity=${ltsp_identity:-$LTSP_CLIENT_MAC}
	HOSTNAME=${HOSTNAME:-ltsp-$(echo "$LTSP_CLIENT_MAC" | tr -d :)}
}

# ltsp_lts_conf: the served file, else the image's own. What is broken in it is said and left out.
ltsp_lts_conf() {
	rm -f "$ltsp_run/lts.conf"
	for ltsp_file in "$ltsp_run/lts.conf.served" "$ltsp_etc/lts.conf"; do
		[ -e "$ltsp_file" ] || continue
		ltsp_resolve "$ltsp_file" "$HOSTNAME" "$IPV4ADDR" "$LTSP_CLIENT_MAC" 2>"$ltsp_run/problems" ||
			echo "cannot be read" >>"$ltsp_run/problems"
		ltsp_log_lines 3 "lts.conf ($ltsp_file): " <"$ltsp_run/problems"
		rm -f "$ltsp_run/problems"
		return
	done
}

ltsp_identify() {
	echo "$HOSTNAME" >"$ltsp_etc/hostname"
	hostname "$HOSTNAME"
	[ -z "$ltsp_identity" ] || printf 'ltsp:%s' "$ltsp_identity" | md5sum | cut -c 1-32 >"$ltsp_etc/machine-id"
}

# The image is as new as its files: systemd need not rebuild the linker's cache and the like at each boot.
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
	# A link belongs to systemd-resolved, which asks systemd-networkd.
	[ ! -L "$ltsp_etc/resolv.conf" ] || return 0
	{
		[ -z "$ltsp_search" ] || echo "search $ltsp_search"
		for ltsp_address in ${ltsp_dns:-$IPV4DNS0 $IPV4DNS1}; do
			[ "$ltsp_address" = 0.0.0.0 ] || echo "nameserver $ltsp_address"
		done
	} >"$ltsp_etc/resolv.conf"
}

# The address of the initramfs stays while systemd-networkd takes the boot interface over. VLANs and
# bridges on it have its address too, and a kind, which the interface itself has not.
ltsp_write_network() {
	[ -n "$LTSP_CLIENT_MAC" ] || return 0
	mkdir -p "${LTSP_PREFIX-}/run/systemd/network"
	{
		printf '[Match]\nMACAddress=%s\nType=ether\nKind=!*\n\n' "$LTSP_CLIENT_MAC"
		printf '[Network]\nDHCP=ipv4\nKeepConfiguration=yes\n'
		for ltsp_address in $ltsp_dns; do
			echo "DNS=$ltsp_address"
		done
		[ -z "$ltsp_search" ] || echo "Domains=$ltsp_search"
		printf '\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\nUseDomains=yes\n'
	} >"${LTSP_PREFIX-}/run/systemd/network/60-ltsp.network"
	# The initramfs's route has metric 0, and would win over any that an operator gives another interface.
	case $IPV4GATEWAY in
	'' | 0.0.0.0) ;;
	*)
		ip route replace default via "$IPV4GATEWAY" dev "$DEVICE" proto dhcp src "$IPV4ADDR" metric 1024 &&
			ip route del default via "$IPV4GATEWAY" dev "$DEVICE" metric 0
		;;
	esac
}

# ltsp_disk DEVICE: the file of a disk that fstab names; fails for what is not on a disk of this machine.
ltsp_disk() {
	case $1 in
	/dev/*) echo "$1" ;;
	UUID=* | LABEL=* | PARTUUID=* | PARTLABEL=*) echo "/dev/disk/by-$(echo "${1%%=*}" | tr '[:upper:]' '[:lower:]')/${1#*=}" ;;
	*) return 1 ;;
	esac
}

# ltsp_count_from_udev DEVICE: its timeout begins when udev has seen what is there, however slow the machine is.
ltsp_count_from_udev() {
	ltsp_unit=${LTSP_PREFIX-}/run/systemd/system/$(systemd-escape --path --suffix=device "$1").d
	mkdir -p "$ltsp_unit"
	printf '[Unit]\nWants=systemd-udev-settle.service\nAfter=systemd-udev-settle.service\n' >"$ltsp_unit/ltsp.conf"
}

ltsp_write_fstab() {
	ltsp_values FSTAB_ | while IFS= read -r ltsp_line; do
		ltsp_key=${ltsp_line%%=*}
		set -f
		# shellcheck disable=SC2086
		set -- ${ltsp_line#*=}
		if [ $# -lt 3 ] || [ $# -gt 6 ]; then
			ltsp_log 3 "$ltsp_key was left out: a line of fstab is DEVICE DIRECTORY TYPE [OPTIONS [DUMP [PASS]]]"
			continue
		fi
		ltsp_options=${4:-defaults}
		# systemd starts services without waiting for a nofail disk, and these would write beside it.
		case ,$ltsp_options, in
		*,_netdev,*) ;;
		*,nofail,*)
			if ltsp_device=$(ltsp_disk "$1"); then
				case ,$ltsp_options, in
				*,x-systemd.device-timeout=*) ;;
				*)
					ltsp_options=$ltsp_options,x-systemd.device-timeout=7s
					ltsp_count_from_udev "$ltsp_device"
					;;
				esac
				ltsp_options=$ltsp_options,x-systemd.before=local-fs.target
			fi
			;;
		esac
		printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$ltsp_options" "${5:-0}" "${6:-0}"
	done >>"$ltsp_etc/fstab"
}

ltsp_write_crontab() {
	ltsp_lines=$(ltsp_values CRONTAB_ | cut -d= -f 2-)
	[ -n "$ltsp_lines" ] || return 0
	if [ ! -d "${LTSP_PREFIX-}/var/spool/cron/crontabs" ]; then
		ltsp_log 3 "CRONTAB_* was left out: this image has no cron"
		return
	fi
	ltsp_file=${LTSP_PREFIX-}/var/spool/cron/crontabs/root
	echo "$ltsp_lines" >>"$ltsp_file" && chmod 0600 "$ltsp_file" && chgrp crontab "$ltsp_file"
}

# ltsp_mask NAME: a name without suffix means the service and whatever starts it.
ltsp_mask() {
	case $1 in
	*.service | *.timer | *.socket | *.path | *.mount | *.automount | *.target | *.swap) ltsp_units=$1 ;;
	*) ltsp_units="$1.service $1.timer $1.socket $1.path" ;;
	esac
	for ltsp_unit in $ltsp_units; do
		for ltsp_file in "$ltsp_etc/systemd/system" "${LTSP_PREFIX-}/usr/lib/systemd/system" "${LTSP_PREFIX-}/lib/systemd/system"; do
			[ -e "$ltsp_file/$ltsp_unit" ] && ln -sf /dev/null "$ltsp_etc/systemd/system/$ltsp_unit"
		done
		[ "$ltsp_unit" != "$1.service" ] || [ ! -e "$ltsp_etc/init.d/$1" ] || ln -sf /dev/null "$ltsp_etc/systemd/system/$ltsp_unit"
	done
}

ltsp_mask_services() {
	ltsp_keep=" $(ltsp_value KEEP_SYSTEM_SERVICES | tr -s ' ,\t' '   ') "
	ltsp_remove=$(ltsp_value RM_SYSTEM_SERVICES | tr ',' ' ')
	set -f
	for ltsp_name in $ltsp_unwanted $ltsp_remove; do
		case " $ltsp_essential $ltsp_keep" in
		*" ${ltsp_name%.*} "* | *" $ltsp_name "*) ;;
		*) ltsp_mask "$ltsp_name" ;;
		esac
	done
	for ltsp_name in $ltsp_remove; do
		case " $ltsp_essential " in
		*" ${ltsp_name%.*} "*) ltsp_log 3 "RM_SYSTEM_SERVICES: $ltsp_name stays, a node without it cannot be helped" ;;
		esac
	done
	set +f
}

# ltsp_step FUNCTION: a step that goes wrong is said, and the next one runs.
ltsp_step() {
	("$1") >"$ltsp_run/step.log" 2>&1 || echo "$1 failed" >>"$ltsp_run/step.log"
	ltsp_log_lines 3 "" <"$ltsp_run/step.log"
	rm -f "$ltsp_run/step.log"
}

ltsp_configure() {
	mkdir -p "$ltsp_run"
	ltsp_read_environment
	ltsp_step ltsp_lts_conf
	HOSTNAME=$(ltsp_value HOSTNAME || echo "$HOSTNAME")
	ltsp_dns=$(ltsp_value DNS_SERVER | tr ',' ' ')
	ltsp_search=$(ltsp_value SEARCH_DOMAIN | tr ',' ' ')
	ltsp_search=${ltsp_search:-$DNSDOMAIN}
	for ltsp_function in ltsp_write_environment ltsp_identify ltsp_mark_updated ltsp_write_hosts ltsp_write_resolv_conf ltsp_write_network \
		ltsp_write_fstab ltsp_write_crontab ltsp_mask_services; do
		ltsp_step "$ltsp_function"
	done
	ltsp_run_preinit
	ltsp_log 5 "configured as $HOSTNAME"
}
