# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The port is checked here, because nbd-server writes its errors to syslog only, which a container does not have.
serve() {
	conf=/etc/nbd-server/ltsp.conf
	port=$(sed -n 's/^[[:space:]]*port = //p' "$LTSP_SERVE_ROOT$conf")
	if listens "$port"; then
		say "nbd: TCP port $port is in use on this host: stop what listens there, or choose another ltsp_server_nbd_port"
		exit 1
	fi
	say "nbd: port $port, $(grep -c '^[[:space:]]*exportname = ' "$LTSP_SERVE_ROOT$conf") exports"
	exec nbd-server -n -C "$conf"
}

# listens PORT: in /proc the number is hexadecimal, and 0A is the state LISTEN.
listens() {
	grep -qE "^ *[0-9]+: [0-9A-F]+:$(printf %04X "$1") [0-9A-F:]+ 0A " "$LTSP_SERVE_ROOT/proc/net/tcp"
}
