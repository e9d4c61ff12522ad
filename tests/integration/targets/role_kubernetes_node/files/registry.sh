#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# registry.sh DIRECTORY PORT: a registry on this port with the image test/tiny:1, and the same image as DIRECTORY/tiny.tar.
set -eu
mkdir "$1/tiny"
cd "$1/tiny"
echo tiny >file
tar --create --file=layer.tar file
printf '{"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' \
	"$(sha256sum layer.tar | cut -d ' ' -f 1)" >config.json
echo '[{"Config": "config.json", "RepoTags": ["localhost/tiny:1"], "Layers": ["layer.tar"]}]' >manifest.json
tar --create --file=../tiny.tar manifest.json config.json layer.tar
cd ..
printf '{"version": 0.1, "storage": {"filesystem": {"rootdirectory": "%s/registry"}}, "http": {"addr": "127.0.0.1:%s"}}' "$1" "$2" >registry.yml
systemd-run --quiet --unit=kubernetes-registry --collect docker-registry serve "$1/registry.yml"
for _ in $(seq 30); do
	! skopeo copy --quiet --dest-tls-verify=false docker-archive:tiny.tar "docker://127.0.0.1:$2/test/tiny:1" || exit 0
	sleep 1
done
exit 1
