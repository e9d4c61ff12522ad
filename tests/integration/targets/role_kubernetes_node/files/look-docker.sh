#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# look-docker.sh TREE: checks the files of the unpacked image.
set -eux
cd "$1"
units=etc/systemd/system/multi-user.target.wants
test "$(chroot . kubelet)" = "Kubernetes v1.36.10"
test "$(chroot . cri-dockerd)" = "stands for cri-dockerd"
test ! -e "$units/kubelet.service"
for unit in docker cri-docker kubernetes-join; do
	test -L "$units/$unit.service"
done
for mount in 'ltsp\x2dkubernetes' containerd docker kubelet; do
	test -L "etc/systemd/system/local-fs.target.wants/var-lib-$mount.mount"
done
grep -qx 'Options=mode=0711,size=3G' 'usr/lib/systemd/system/var-lib-ltsp\x2dkubernetes.mount'
grep -qx 'KUBERNETES_ENGINE=docker' usr/lib/ltsp/kubernetes.conf
grep -q '"iptables": false' etc/docker/daemon.json
chroot . test -x /opt/cni/bin/bridge
test -x usr/bin/docker
test ! -e usr/sbin/apparmor_parser
test ! -e usr/share/ltsp/container-images
test ! -e etc/apt/sources.list.d/kubernetes.sources
test -z "$(chroot . apt-mark showhold)"
