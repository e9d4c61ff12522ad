# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of lts.conf that somebody reads: the collection's runtime, or LTSP 5 on thin clients."""

from __future__ import annotations

import difflib
import typing as t

NAMES = frozenset(
    """
    CD_VOLUME CONFIGURE_FSTAB CONFIGURE_X CONSOLE_KEYMAP CUPS_SERVER DEFAULT_DISPLAY_MANAGER DNS_SERVER ENCRYPT_SWAP
    FAT_RAM_THRESHOLD FRONT_MIC_VOLUME FRONT_VOLUME HEADPHONE_VOLUME HOSTNAME HOSTNAME_BASE HOSTNAME_EXTRA INVENTORY_NUMBER
    KEEP_SYSTEM_SERVICES LANG LIKE LOCALDEV LOCALDEV_DENY LOCALDEV_DENY_CD LOCALDEV_DENY_FLOPPY LOCALDEV_DENY_INTERNAL_DISKS
    LOCALDEV_DENY_USB LOCAL_APPS LOCAL_APPS_EXTRAMOUNTS LOCAL_APPS_MENU LOCAL_APPS_MENU_ITEMS LOCAL_APPS_WHITELIST LTSP_CONFIG
    LTSP_FATCLIENT LTSP_NBD_TO_RAM MIC_VOLUME NBD_SWAP NBD_SWAP_PORT NBD_SWAP_SERVER NETWORK_COMPRESSION NFS_HOME PCM_VOLUME PXE_CONFIG
    RDP_OPTIONS RDP_PORT RDP_SERVER RDP_SOUND RM_SYSTEM_SERVICES RM_THIN_SYSTEM_SERVICES SCANNER SEARCH_DOMAIN SERVER SHUTDOWN_TIME
    SOUND SOUND_DAEMON SSH_FOLLOW_SYMLINKS SSH_OVERRIDE_PORT SWAP_SERVER SYSLOG_HOST TELNET_HOST TIMESERVER TIMEZONE USE_LOCAL_SWAP
    USE_TFTP USE_TOUCH USE_XFS VOLUME XDM_SERVER XFS_SERVER XKBLAYOUT XKBMODEL XKBOPTIONS XKBRULES XKBVARIANT XRANDR_AUTO_MULTIHEAD
    XRANDR_DISABLE XSERVER X_BLANKING X_COLOR_DEPTH X_CONF X_HORZSYNC X_MOUSE_DEVICE X_MOUSE_EMULATE3BTN X_MOUSE_PROTOCOL X_NUMLOCK
    X_RAMPERC X_SMART_COLOR_DEPTH X_VERTREFRESH X_VIDEO_RAM X_VIRTUAL
    """.split()
)

PREFIXES = tuple(
    """
    CRONTAB_ FSTAB_ HOSTS_ INIT_COMMAND_ KIOSK_ LDM_ MODULE_ MODULES_ PREINIT_ PRINTER_ RCFILE_ SCREEN_ X_DEVICE_OPTION_ X_MODE_
    X_MONITOR_OPTION_ X_OPTION_ X_TOUCH_ XRANDR_DPI_ XRANDR_MODE_ XRANDR_NEWMODE_ XRANDR_ORIENTATION_ XRANDR_OUTPUT_ XRANDR_RATE_
    XRANDR_REFLECT_ XRANDR_ROTATE_ XRANDR_SIZE_
    """.split()
)


def is_known(key: str) -> bool:
    return key in NAMES or any(key.startswith(prefix) and key != prefix for prefix in PREFIXES)


def nearest(key: str) -> t.Optional[str]:
    """The known parameter that is spelled most like the unknown `key`; families of parameters end in `*`."""
    family = key.partition("_")[0].rstrip("0123456789") + "_"
    candidates = {name: difflib.SequenceMatcher(None, key, name).ratio() for name in difflib.get_close_matches(key, NAMES, n=1, cutoff=0.75)}
    candidates.update({f"{name}*": difflib.SequenceMatcher(None, family, name).ratio() for name in difflib.get_close_matches(family, PREFIXES, n=1, cutoff=0.75)})
    return max(candidates, key=lambda name: candidates[name]) if candidates else None
