#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# look.sh TREE: checks the files of the unpacked image.
set -eux
cd "$1"
test "$(stat -c '%a %U %G' 'etc/farm/odd/name with blanks')" = "640 root adm"
test "$(cat 'etc/farm/odd/name with blanks')" = text
test "$(stat -c %a usr/local/sbin/note)" = 755
grep -qx "Made on the controller." usr/local/sbin/note
grep -qx "ASCII text" etc/farm/kind
test "$(stat -c %a root/.ssh)" = 700
test "$(stat -c %a root/.ssh/authorized_keys)" = 600
grep -qx 'from="10.0.0.0/8,127.0.0.1" ssh-ed25519 AAAA one@example.org' root/.ssh/authorized_keys
test "$(stat -c '%a %u' 'opt/farm/with blanks')" = "750 12345"
test "$(stat -c '%a' 'opt/farm/with blanks/file')" = 4710
chroot . getcap '/opt/farm/with blanks/file' | grep -q 'cap_net_raw[+=]ep'
test "$(readlink 'opt/farm/with blanks/link')" = /etc/hostname
test ! -e opt/farm/left
test ! -e usr/src/farm
test ! -e usr/bin/make
test -L lib
grep -q '^updates/farm\.ko' usr/lib/modules/*/modules.dep
test -x usr/bin/ed
test "$(cat etc/farm/part)" = "part
part"
test -x usr/sbin/init-ltsp
test -L etc/systemd/system/multi-user.target.wants/ltsp-rc.service
test "$(readlink etc/systemd/system/apt-daily.timer)" = /dev/null
test ! -e etc/leftover
test -f etc/machine-id
test ! -s etc/machine-id
test "$(find . -name 'ssh_host_*')" = ./etc/ssh/ssh_host_ed25519_key
grep -qx given etc/ssh/ssh_host_ed25519_key
test -z "$(find . -name .ltsp -o -name '*.deb')"
test -z "$(find tmp var/tmp var/log -type f)"
