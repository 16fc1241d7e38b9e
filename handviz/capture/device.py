"""What the system calls a camera."""

from __future__ import annotations

from pathlib import Path

DEVICES = Path("/sys/class/video4linux")


def device_name(camera: int | str) -> str | None:
    """Return Linux's name for the camera with this number or /dev/videoN; None on other systems and while it is unplugged."""
    number = str(camera).removeprefix("/dev/video")
    if not number.isdecimal():
        return None
    try:
        name = (DEVICES / f"video{number}" / "name").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return name.strip() or None
