#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Called by udhcpc: says what the server gave.
[ "$1" != bound ] || env | grep -E '^(ip|siaddr|boot_file|hostname|domain|dns|router|lease)=' | sort
