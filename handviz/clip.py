"""The recording that comes with the package, so that everything can be tried without a camera."""

from __future__ import annotations

from pathlib import Path

_CLIP = Path(__file__).parent / "assets" / "clip" / "demo.mp4"


def bundled_clip() -> Path | None:
    """Return the path of the bundled clip, or None where the package was installed without it."""
    return _CLIP if _CLIP.is_file() else None
