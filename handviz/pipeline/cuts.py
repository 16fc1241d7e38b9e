"""Whether a picture begins another scene, so that the hands followed before are no longer in it."""

from __future__ import annotations

import cv2
import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.records import UInt8Array

# A picture as cells (columns, rows), and the pixels that they are computed from.
_CELLS, _PIXELS = (32, 24), (128, 96)
# A cell has changed if one of its colours changed by more than this, and the scene if this share of cells has. In a recording
# with twenty cuts each cut changes 63 to 98 % of the cells, and nothing between them more than 54 %.
_CHANGED, _SHARE = 20, 0.6
# So do a lamp that is turned on and a change of exposure, but without the common gain next to no change is left; cuts
# within one room and lighting leave 28 % and more.
_SHARE_BESIDE_LIGHT = 0.2
# The first keeps the gain of dark colours from being noise; a gain beyond the second, up or down, is not a change of light.
_DARK, _MOST_GAIN = 8.0, 2.5


class CutWatch:
    """Compares each picture with the one before it."""

    def __init__(self) -> None:
        self._last: FloatArray | None = None

    def __call__(self, rgb: UInt8Array) -> bool:
        """Return True if this picture (H, W, 3) shows another scene than the last one."""
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
