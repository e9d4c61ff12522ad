# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
serve() {
	set -- dnsmasq --conf-file=/dev/null --pid-file --port=0 --enable-tftp --tftp-root=/srv/ltsp/public --tftp-single-port --tftp-max=1000 --log-facility=-
	# As root dnsmasq would change its group, which takes one capability more; with --no-daemon it keeps user and group.
	if [ "$(id -u)" -eq 0 ]; then
		exec "$@" --no-daemon
	fi
	exec "$@" --keep-in-foreground
}
