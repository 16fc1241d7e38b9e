"""Whether there is a screen to open a window on. No Qt."""

from __future__ import annotations

import os
import sys

# What Qt draws to without a screen.
SCREENLESS = ("offscreen", "minimal", "vnc", "eglfs", "linuxfb")


def has_display() -> bool:
    """Return whether a window can be opened: on Linux a display is named, or Qt was told of a platform that needs none."""
    if not sys.platform.startswith("linux"):
        return True
    if os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in SCREENLESS:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
