"""Whether there is a screen to open a window on. No Qt."""

from __future__ import annotations

import os
import sys

# What Qt draws to without a screen.
SCREENLESS = ("offscreen", "minimal", "vnc", "eglfs", "linuxfb")


def has_display() -> bool:
    """Return whether a window can be opened: on Linux a display is set, or a Qt platform that needs none."""
    if not sys.platform.startswith("linux"):
        return True
    if os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in SCREENLESS:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def draws_on_x11() -> bool:
    """Return whether windows will be drawn by an X11 server, for which Qt needs further libraries."""
    if os.environ.get("QT_QPA_PLATFORM") or os.environ.get("WAYLAND_DISPLAY"):
        return os.environ.get("QT_QPA_PLATFORM", "").startswith("xcb")
    return sys.platform.startswith("linux") and bool(os.environ.get("DISPLAY"))
