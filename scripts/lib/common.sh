# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What the commands share. Sourced with $root set to the checkout.
: "${root:?}"

# Not the first python3 of the PATH: Ansible's apt modules need the distribution's own.
python=/usr/bin/python3

if [ "$(id -u)" -eq 0 ]; then
	: "${LTSP_LAB_CACHE:=/var/cache/ltsp-lab}"
else
	: "${LTSP_LAB_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/ltsp-lab}"
fi
cache=$LTSP_LAB_CACHE
collections=$cache/collections-$(printf '%s' "$root" | sha256sum | cut -c 1-12)

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# need_packages PACKAGE...: Debian packages, installed when missing.
need_packages() {
	missing=
	for package in "$@"; do
		[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || die "these packages are missing, and this is not Debian:$missing"
	[ "$(id -u)" -eq 0 ] || die "these packages are missing, install them as root: apt-get install$missing"
	say "Installing$missing"
	apt-get update -q -o APT::Update::Error-Mode=any >/dev/null || die "apt-get update failed, so$missing cannot be installed"
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null ||
		die "apt-get could not install$missing"
}

# make_venv NAME REQUIREMENT...: a virtual environment with these, made once; its path is then in $venv.
make_venv() {
	name=$1
	shift
	need_packages python3 python3-venv
	venv=$cache/venv-$name-$({ "$python" -VV && printf '%s\n' "$@"; } | sha256sum | cut -c 1-12)
	mkdir -p "$cache"
	(
		flock 8
		[ ! -e "$venv/complete" ] || exit 0
		say "Installing into $venv: $*"
		rm -rf "$venv"
		"$python" -m venv "$venv" &&
			"$venv/bin/pip" install --quiet --disable-pip-version-check "$@" &&
			: >"$venv/complete"
	) 8>"$cache/venv.lock" || die "could not make the virtual environment $venv, see above"
}

# requirements FILE: its lines without the comments.
requirements() {
	sed 's/ *#.*//; /^$/d' "$root/$1"
}

# The ansible-core versions that the collection supports, as pip wants them.
supported_ansible() {
	sed -n 's/^requires_ansible: *"\(.*\)"/ansible-core\1/p' "$root/meta/runtime.yml"
}

# Ansible finds collections by their place only.
link_collection() {
	mkdir -p "$collections/ansible_collections/serverfarm"
	ln -sfn "$root" "$collections/ansible_collections/serverfarm/ltsp"
}
