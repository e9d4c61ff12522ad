#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# registry.sh DIRECTORY ADDRESS PORT: a registry with a password, and with TLS by an unknown certificate authority.
set -eu
mkdir -p "$1"
cd "$1"
key() {
	openssl req -quiet -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@"
}
key -x509 -keyout ca.key -out ca.crt -subj '/CN=Authority of a test' -days 2
key -keyout registry.key -out registry.csr -subj '/CN=Registry of a test'
echo "subjectAltName=IP:$2" >extensions
openssl x509 -req -in registry.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out registry.crt -days 2 -extfile extensions
htpasswd -Bbc htpasswd builder s3cr3t-of-the-builder
cat >registry.yml <<EOF
version: 0.1
storage: {filesystem: {rootdirectory: $1/data}}
http: {addr: "$2:$3", tls: {certificate: $1/registry.crt, key: $1/registry.key}}
auth: {htpasswd: {realm: test, path: $1/htpasswd}}
EOF
systemd-run --quiet --unit=ltsp-container-registry --collect docker-registry serve "$1/registry.yml"
for _ in $(seq 30); do
	! curl --silent --fail --output /dev/null --cacert ca.crt --user builder:s3cr3t-of-the-builder "https://$2:$3/v2/" || exit 0
	sleep 1
done
exit 1
