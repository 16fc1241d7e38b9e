"""Makes sure that there is a font to write with: a bare system has none, and Qt then draws boxes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from PySide6.QtGui import QFont, QFontDatabase, QFontMetrics

PREFERRED = ("Inter", "Segoe UI", "SF Pro Text", "Noto Sans", "Cantarell", "Ubuntu", "DejaVu Sans")
# A point is a pixel to Qt on macOS, and a third more elsewhere.
POINT_SIZE = 13 if sys.platform == "darwin" else 10
SMALL_POINTS, SMALLEST_POINTS = round(0.9 * POINT_SIZE), round(0.8 * POINT_SIZE)
FALLBACK_FILES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf")


def interface_font() -> QFont:
    """The font of the window: the first preferred family that is installed, else the system's own."""
    # A system without fonts still lists families such as "Sans Serif": ask whether there is a letter to draw.
    families = set(QFontDatabase.families()) if QFontMetrics(QFont()).inFont("a") else _fallback_families()
    font = QFont(
        next(
            (name for name in PREFERRED if name in families),
            QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family(),
        )
    )
    font.setPointSize(POINT_SIZE)
    return font


def _fallback_families() -> set[str]:
    """Load the DejaVu fonts that matplotlib carries (it comes with mediapipe)."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return set()
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    for name in FALLBACK_FILES:
        QFontDatabase.addApplicationFont(str(folder / name))
    return set(QFontDatabase.families())
