#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# look-containerd.sh TREE: checks the files of the unpacked image.
set -eux
cd "$1"
units=etc/systemd/system/multi-user.target.wants
test "$(chroot . apt-mark showhold | xargs)" = "cri-tools kubeadm kubectl kubelet kubernetes-cni"
test "$(chroot . kubelet)" = "Kubernetes v1.36.3"
test ! -e "$units/kubelet.service"
for unit in containerd kubernetes-images kubernetes-join kubernetes-leave; do
	test -L "$units/$unit.service"
done
for mount in 'ltsp\x2dkubernetes' containerd kubelet; do
	test -L "etc/systemd/system/local-fs.target.wants/var-lib-$mount.mount"
done
grep -qx 'Options=mode=0711,size=40%' 'usr/lib/systemd/system/var-lib-ltsp\x2dkubernetes.mount'
grep -qx 'KUBERNETES_CRI_SOCKET=unix:///run/containerd/containerd.sock' usr/lib/ltsp/kubernetes.conf
test -x usr/lib/ltsp/kubernetes-join
test "$(cd usr/share/ltsp/container-images && echo *)" = "127.0.0.1_18081_test_tiny_1.tar tiny.tar"
tar --extract --to-stdout --file=usr/share/ltsp/container-images/127.0.0.1_18081_test_tiny_1.tar manifest.json | grep -q '"RepoTags":\["127.0.0.1:18081/test/tiny:1"\]'
test ! -e usr/bin/skopeo
grep -qx 'URIs: http://127.0.0.1:18080/' etc/apt/sources.list.d/kubernetes.sources
grep -qx 'Suites: /' etc/apt/sources.list.d/kubernetes.sources
grep -qx stays etc/other
test -x usr/sbin/apparmor_parser
test -L etc/apparmor.d/disable/lsb_release
test ! -e etc/docker
