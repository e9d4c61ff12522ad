#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# serve.sh IMAGE VERSION ADDRESS DIRECTORY: a boot server of the image alone, as it runs on Kubernetes, asked by its network and by ADDRESS, which is of another one.
set -eux
image=$1 version=$2 stranger=$3 work=$4
confined='--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges'
fetch() {
	curl --silent --show-error --fail --max-time 10 --output "$work/fetched" "$@"
}
# refused STATUS ARGUMENT...: the web server answers with this status.
refused() {
	status=$1
	shift
	test "$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' "$@")" = "$status"
}
patiently() {
	for _ in $(seq 30); do
		! "$@" || return 0
		sleep 1
	done
	docker logs "$container"
	exit 1
}
# up CONTAINER ADDRESS: waits until all three services answer there.
up() {
	container=$1
	patiently fetch "http://$2/healthz"
	patiently fetch "tftp://$2/boot/grub/grub.cfg"
	patiently docker exec "$1" grep -q ':2A39 [0-9A-F:]* 0A ' /proc/net/tcp
}
closed() {
	docker logs ltsp-all >"$work/log" 2>&1
	grep -q "nbd: .* closes /srv/ltsp/public/images/node/$version/root.squashfs" "$work/log"
}
trap 'docker rm --force ltsp-all ltsp-volume ltsp-tftp ltsp-http ltsp-nbd ltsp-second >/dev/null 2>&1 || true' EXIT

# All three, without any right.
# shellcheck disable=SC2086
docker run --detach --name ltsp-all $confined "$image"
ip=$(docker inspect --format '{{.NetworkSettings.IPAddress}}' ltsp-all)
up ltsp-all "$ip"
docker exec ltsp-all grep -E '^(Uid:	65532	|CapEff:	0000000000000000)' /proc/1/status
test -z "$(docker exec ltsp-all find /srv /usr/lib/ltsp /etc/nginx /etc/nbd-server -name '.*')"
for path in boot/grub/i386-pc/core.0 boot/grub/x86_64-efi/core.efi boot/grub/grub.cfg boot/nodes/default.cfg images/node/current/boot.cfg; do
	fetch "tftp://$ip/$path"
	cp "$work/fetched" "$work/by-tftp"
	fetch "http://$ip/$path"
	cmp "$work/fetched" "$work/by-tftp"
done
grep -q "$version" "$work/fetched"
fetch "http://$ip/config/nodes/default.json"
grep -q '"server": null' "$work/fetched"
fetch "http://$ip/config/lts.conf"
fetch "http://$ip/images/node/$version/root.squashfs"
/usr/bin/python3 "$(dirname "$0")/read_export.py" "$ip" "node-$version" "$work/fetched" "$stranger"
refused 404 "http://$ip/boot/nodes/52-54-00-97-00-01.cfg"
refused 404 "http://$ip/images/"
refused 403 --interface "$stranger" "http://$ip/config/lts.conf"
refused 200 --interface "$stranger" "http://$ip/healthz"
patiently closed
grep -q 'sent /srv/ltsp/public/boot/grub/i386-pc/core.0 to 172.17.0.1' "$work/log"
grep -q 'GET /config/lts.conf HTTP/1.1" 200' "$work/log"
grep -q "nbd: 172.17.0.1 opens /srv/ltsp/public/images/node/$version/root.squashfs" "$work/log"
docker stop ltsp-all
test "$(docker inspect --format '{{.State.ExitCode}}' ltsp-all)" = 0

# A daemon that dies.
docker start ltsp-all
up ltsp-all "$(docker inspect --format '{{.NetworkSettings.IPAddress}}' ltsp-all)"
kill -KILL "$(docker top ltsp-all -eo pid,comm | sed -n 's/^ *\([0-9]*\) *dnsmasq$/\1/p')"
test "$(timeout 20 docker wait ltsp-all)" = 1
docker logs ltsp-all 2>&1 | grep -q 'tftp ended with status 137'

# What a node boots comes from one volume, as Kubernetes mounts it: names that point into a hidden directory, which is replaced as a whole.
mkdir -p "$work/nodes/..first"
for name in default.cfg default.json lts.conf 52-54-00-97-00-01.cfg 52-54-00-97-00-01.conf; do
	echo "$name" >"$work/nodes/..first/$name"
	ln -s "..data/$name" "$work/nodes/$name"
done
ln -s ..first "$work/nodes/..data"
chmod -R go+rX "$work/nodes"
# shellcheck disable=SC2086
docker run --detach --name ltsp-volume $confined --volume "$work/nodes:/srv/ltsp/public/boot/nodes:ro" "$image"
ip=$(docker inspect --format '{{.NetworkSettings.IPAddress}}' ltsp-volume)
up ltsp-volume "$ip"
for path in boot/nodes/52-54-00-97-00-01.cfg config/nodes/52-54-00-97-00-01.conf config/lts.conf; do
	for scheme in tftp http; do
		fetch "$scheme://$ip/$path"
		grep -qx "${path##*/}" "$work/fetched"
	done
done
refused 404 "http://$ip/boot/nodes/..data/lts.conf"
cp -r "$work/nodes/..first" "$work/nodes/..second"
echo changed >"$work/nodes/..second/lts.conf"
ln -s ..second "$work/nodes/..data_tmp"
mv -T "$work/nodes/..data_tmp" "$work/nodes/..data"
fetch "http://$ip/config/lts.conf"
grep -qx changed "$work/fetched"
docker stop ltsp-volume

# One daemon a container, in the network of the machine: the first two need one capability.
# shellcheck disable=SC2086
for daemon in tftp http; do
	docker run --detach --name "ltsp-$daemon" --network host --user 0 $confined --cap-add NET_BIND_SERVICE "$image" "$daemon"
	docker exec "ltsp-$daemon" grep '^CapEff:	0000000000000400' /proc/1/status
done
# shellcheck disable=SC2086
docker run --detach --name ltsp-nbd --network host $confined "$image" nbd
up ltsp-nbd 127.0.0.1
/usr/bin/python3 "$(dirname "$0")/read_export.py" 127.0.0.1 "node-$version"
# shellcheck disable=SC2086
docker run --detach --name ltsp-second --network host $confined "$image" nbd
test "$(timeout 20 docker wait ltsp-second)" = 1
docker logs ltsp-second 2>&1 | grep -q 'TCP port 10809 is in use'
docker stop ltsp-tftp ltsp-http ltsp-nbd
for daemon in tftp http nbd; do
	test "$(docker inspect --format '{{.State.ExitCode}}' "ltsp-$daemon")" = 0
done
