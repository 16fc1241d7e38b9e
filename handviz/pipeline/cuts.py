"""Whether a picture begins another scene, so that what was followed in the last one is nowhere in it."""

from __future__ import annotations

import cv2
import numpy as np

from handviz.records import UInt8Array

# A picture in cells (columns, rows), of each some pixels.
_CELLS, _PIXELS = (32, 24), (128, 96)
# A cell has changed where one of its colours moved by more than this, and the scene where so many cells have. In a recording
# that is cut twenty times each cut changes 63 to 98 % of the cells, and nothing between them more than 54 %.
_CHANGED, _SHARE = 20, 0.6


class CutWatch:
    """Compares each picture with the one before it."""

    def __init__(self) -> None:
        self._last: UInt8Array | None = None

    def __call__(self, rgb: UInt8Array) -> bool:
        """Return True when this picture (H, W, 3) shows another scene than the last one."""
        sparse = cv2.resize(rgb, _PIXELS, interpolation=cv2.INTER_NEAREST)
        seen = np.asarray(cv2.resize(sparse, _CELLS, interpolation=cv2.INTER_AREA), np.uint8)
        last, self._last = self._last, seen
        if last is None:
            return False
        changed = cv2.absdiff(seen, last).max(-1) > _CHANGED
        return bool(changed.mean() > _SHARE)
