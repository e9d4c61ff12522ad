# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
serve() {
	set -- nginx -e stderr -c /etc/nginx/ltsp.conf
	# As root the workers stay root, because a change of user takes capabilities too. They log that they cannot drop groups.
	if [ "$(id -u)" -eq 0 ]; then
		exec "$@" -g 'daemon off; user root;'
	fi
	exec "$@" -g 'daemon off;'
}
