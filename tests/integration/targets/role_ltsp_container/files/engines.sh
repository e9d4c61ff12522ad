#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# engines.sh DIRECTORY ADDRESS PORT: makes the engine reachable by ssh, and by TCP with TLS for clients with a certificate.
set -eu
cd "$1"
for name in client server; do
	openssl req -quiet -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$name.key" -out "$name.csr" -subj "/CN=$name"
	echo "subjectAltName=IP:$2" >extensions
	openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$name.crt" -days 2 -extfile extensions
done
systemd-run --quiet --unit=ltsp-container-engine --collect socat \
	"OPENSSL-LISTEN:$3,bind=$2,fork,cert=$1/server.crt,key=$1/server.key,cafile=$1/ca.crt,verify=1" UNIX-CONNECT:/var/run/docker.sock
ssh-keygen -q -t ed25519 -N '' -C ltsp-container-test -f "$1/id_ed25519"
mkdir -p /root/.ssh
cat id_ed25519.pub >>/root/.ssh/authorized_keys
ssh-keyscan "$2" >known_hosts 2>/dev/null
[ ! -e /root/.ssh/config ] || exit 1
printf 'Host %s\n\tIdentityFile %s/id_ed25519\n\tUserKnownHostsFile %s/known_hosts\n' "$2" "$1" "$1" >/root/.ssh/config
