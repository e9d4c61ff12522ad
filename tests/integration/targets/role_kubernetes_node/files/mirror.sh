#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# mirror.sh DIRECTORY REGISTRY: a signed flat repository as pkgs.k8s.io has them, with packages as small as can be, and their binaries in DIRECTORY/bin.
set -eu
umask 022
rm -rf "$1"
registry=$2
mkdir -p "$1/bin"
cd "$1"

# package NAME VERSION [DEPENDS]: its program says the version.
package() {
	tree=tree/$1-$2
	mkdir -p "$tree/DEBIAN" "$tree/usr/bin"
	cat >"$tree/DEBIAN/control" <<-EOF
		Package: $1
		Version: $2
		Architecture: amd64
		Maintainer: Nobody <nobody@example.org>
		Description: $1 of a test
		${3:+Depends: $3}
	EOF
	# dpkg-deb takes no empty line.
	sed -i '/^$/d' "$tree/DEBIAN/control"
	printf '#!/bin/sh\necho Kubernetes v%s\n' "${2%-*}" >"$tree/usr/bin/$1"
	chmod 0755 "$tree/usr/bin/$1"
	if [ "$1" = kubelet ]; then
		mkdir -p "$tree/usr/lib/systemd/system"
		printf '[Service]\nExecStart=/usr/bin/kubelet\n[Install]\nWantedBy=multi-user.target\n' >"$tree/usr/lib/systemd/system/kubelet.service"
		printf '#!/bin/sh\nsystemctl enable kubelet.service\n' >"$tree/DEBIAN/postinst"
		chmod 0755 "$tree/DEBIAN/postinst"
	fi
	# This one is installed before images are fetched, and says that the registry on this machine has no certificate.
	if [ "$1" = kubernetes-cni ]; then
		mkdir -p "$tree/etc/containers/registries.conf.d"
		printf '[[registry]]\nlocation = "127.0.0.1:%s"\ninsecure = true\n' "$registry" >"$tree/etc/containers/registries.conf.d/test.conf"
	fi
	dpkg-deb --root-owner-group --build "$tree" . >/dev/null
}

for version in 1.36.2-1.1 1.36.3-1.1 1.36.3-2.1 1.36.10-1.1 1.37.0-1.1; do
	package kubelet "$version" kubernetes-cni
	package kubeadm "$version" cri-tools
	package kubectl "$version"
done
package cri-tools 1.36.0-1.1
package kubernetes-cni 1.8.0-1.1
for name in kubelet kubeadm kubectl; do
	cp "tree/$name-1.36.10-1.1/usr/bin/$name" bin/
done
rm -r tree

apt-ftparchive packages . >Packages
apt-ftparchive release . >../Release.new
mv ../Release.new Release
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
gpg --batch --quiet --passphrase '' --quick-generate-key 'Mirror of a test' rsa3072 sign never
gpg --batch --armor --export >Release.key
gpg --batch --quiet --clearsign --output InRelease Release
gpgconf --kill all
rm -r "$GNUPGHOME"
