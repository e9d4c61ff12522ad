# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What the commands share. Sourced with $root set to the checkout.
: "${root:?}"

# A root shell need not have the directories of the system's own commands.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Not the first python3 of the PATH: Ansible's apt modules need the distribution's own.
python=/usr/bin/python3

if [ "$(id -u)" -eq 0 ]; then
	: "${LTSP_LAB_CACHE:=/var/cache/ltsp-lab}"
else
	: "${LTSP_LAB_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/ltsp-lab}"
fi
cache=$LTSP_LAB_CACHE
: "${LTSP_LAB_KUBERNETES:=1.36.3}"
collections=$cache/collections-$(printf '%s' "$root" | sha256sum | cut -c 1-12)

# The version of the collection, and the package of Python's index that has the same.
kubernetes_core=5.4.1
kubernetes_core_package=ansible==11.13.0

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
	mkdir -p "$cache"
	# Two that run beside each other must not fail for the lock of the package lists.
	(
		flock 8
		apt-get update -q -o APT::Update::Error-Mode=any >/dev/null || die "apt-get update failed, so$missing cannot be installed"
		# shellcheck disable=SC2086
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 $missing >/dev/null ||
			die "apt-get could not install$missing"
	) 8>"$cache/packages.lock" || exit 1
}

# The ansible-core versions that the collection supports, as pip wants them.
supported_ansible() {
	sed -n 's/^requires_ansible: *"\(.*\)"/ansible-core\1/p' "$root/meta/runtime.yml"
}

oldest_ansible() {
	supported_ansible | sed 's/>=\([0-9]*\.[0-9]*\).*/==\1.*/'
}

# make_venv NAME ANSIBLE FILE...: a virtual environment with the newest Ansible of these that this machine's Python can run and with what
# these files require, made once; its path is then in $venv.
make_venv() {
	name=$1
	requirement=$2
	shift 2
	need_packages python3 python3-venv
	digest=$({ "$python" -VV && say "$requirement" && cd "$root" && cat "$@" </dev/null; } | sha256sum | cut -c 1-12)
	venv=$cache/venv-$name-$digest
	mkdir -p "$cache"
	(
		flock 8
		[ ! -e "$venv/complete" ] || exit 0
		say "Installing $requirement and others into $venv"
		rm -rf "$venv"
		cd "$root"
		"$python" -m venv "$venv" &&
			say "$requirement" | cat - "$@" >"$venv/requirements.txt" &&
			"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement="$venv/requirements.txt" &&
			: >"$venv/complete"
	) 8>"$cache/venv.lock" || die "could not make the virtual environment $venv, see above"
}

# The collections of others that this one needs, made once with the Ansible of $venv; their path is then in $others.
need_collections() {
	others=$cache/collections-kubernetes.core-$kubernetes_core
	(
		flock 8
		[ ! -d "$others" ] || exit 0
		say "Installing the collection kubernetes.core $kubernetes_core into $others"
		rm -rf "$others.new"
		mkdir -p "$others.new"
		"$venv/bin/ansible-galaxy" collection install --timeout=10 --no-deps --collections-path="$others.new" \
			"kubernetes.core:$kubernetes_core" >"$others.log" 2>&1 || {
			say "  out of $kubernetes_core_package, because Ansible Galaxy does not give it: see $others.log"
			"$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest="$others.new" "$kubernetes_core_package" &&
				"$venv/bin/python" -c '
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[2])
wheel.extractall(sys.argv[1], [name for name in wheel.namelist() if name.startswith("ansible_collections/kubernetes/core/")])
' "$others.new" "$others.new"/*.whl &&
				rm "$others.new"/*.whl
		} &&
			mv --no-target-directory "$others.new" "$others"
	) 8>"$cache/collections.lock" || die "could not get the collection kubernetes.core $kubernetes_core, see above and $others.log"
}

# Ansible finds collections by their place only.
link_collection() {
	mkdir -p "$collections/ansible_collections/serverfarm"
	ln -sfn "$root" "$collections/ansible_collections/serverfarm/ltsp"
}

# What playbooks on this machine need.
prepare_ansible() {
	need_packages python3-apt
	make_venv ansible "${LTSP_LAB_ANSIBLE:-$(supported_ansible)}" scripts/lib/requirements.txt
	need_collections
	link_collection
	export ANSIBLE_CONFIG="$root/scripts/lib/ansible.cfg" ANSIBLE_COLLECTIONS_PATH="$collections:$others"
	ansible=$venv
}

# Without the locks of the commands, which a process that stays would keep, and without a standard input, which ssh may have made non-blocking.
playbook() {
	say "+ ansible-playbook $*"
	# An interrupted ssh leaves standard output and error non-blocking, and Ansible would not start with them.
	"$python" -c 'import os; os.set_blocking(1, True); os.set_blocking(2, True)'
	"$ansible/bin/ansible-playbook" "$@" 9>&- </dev/null
}

# lab_playbook STATE NAME DIRECTORY OPTION...
lab_playbook() {
	lab_state="ltsp_lab_state=$1 ltsp_lab_name=$2 ltsp_lab_directory=$3 ltsp_lab_cache=$cache"
	shift 3
	playbook -i localhost, serverfarm.ltsp.lab -e "$lab_state" "$@"
}
