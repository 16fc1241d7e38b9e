"""Whether there is a screen to open a window on. No Qt."""

from __future__ import annotations

import os
import sys


def has_display() -> bool:
    """Return whether a window can be opened: on Linux a display is named, or Qt was told of a platform that needs none."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
