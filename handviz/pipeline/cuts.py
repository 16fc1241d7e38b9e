"""Whether a picture begins another scene, so that what was followed in the last one is nowhere in it."""

from __future__ import annotations

import cv2
import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.records import UInt8Array

# A picture in cells (columns, rows), of each some pixels.
_CELLS, _PIXELS = (32, 24), (128, 96)
# A cell has changed where one of its colours moved by more than this, and the scene where so many cells have. In a recording
# that is cut twenty times each cut changes 63 to 98 % of the cells, and nothing between them more than 54 %.
_CHANGED, _SHARE = 20, 0.6
# So do a lamp that is turned on and a camera that exposes anew, but with the common gain taken out next to none is left; the
# cuts within one room and light leave 28 % and more.
_SHARE_BESIDE_LIGHT = 0.2
# Keeps the gain of dark colours from being noise; more than this, up or down, is no lamp.
_DARK, _MOST_GAIN = 8.0, 2.5


class CutWatch:
    """Compares each picture with the one before it."""

    def __init__(self) -> None:
        self._last: FloatArray | None = None

    def __call__(self, rgb: UInt8Array) -> bool:
        """Return True when this picture (H, W, 3) shows another scene than the last one."""
        sparse = cv2.resize(rgb, _PIXELS, interpolation=cv2.INTER_NEAREST)
        seen = cv2.resize(sparse, _CELLS, interpolation=cv2.INTER_AREA).astype(np.float64)
        last, self._last = self._last, seen
        if last is None or _changed(seen, last) <= _SHARE:
            return False
        gain = np.median((seen + _DARK) / (last + _DARK), axis=(0, 1)).clip(1 / _MOST_GAIN, _MOST_GAIN)
        return _changed(seen, np.minimum(last * gain, 255.0)) > _SHARE_BESIDE_LIGHT


def _changed(seen: FloatArray, last: FloatArray) -> float:
    """Return the share of changed cells (rows, columns, 3)."""
    return float((np.abs(seen - last).max(-1) > _CHANGED).mean())
