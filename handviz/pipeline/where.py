"""Where the detector looks in a video's next frame: at all of it or, for small hands, at a part."""

from __future__ import annotations

from functools import partial

import numpy as np

from handviz.detect.mediapipe_detector import MediaPipeDetector
from handviz.pipeline.beside import Look
from handviz.postprocess.tracking import Tracker
from handviz.records import UInt8Array

# Hands smaller than this fraction of the picture's shorter side are often missed in the whole picture. In 46 frames of a
# recording (640 x 480), shrunk and put into cuts of panoramas, the detector finds 46 hands if they are 183 px large, 42 of
# 118 px, 39 of 90, 27 of 72 and 12 of 50; in the half-size parts together at least 44 of each.
SMALL = 0.25
# So many looks at the beginning are at all of it: most hands are not small.
AT_ALL = 3


class NextLook:
    """Chooses, every second time while nothing but small hands is followed, a part of the picture: one after the other.

    Looking costs no more so, and a hand that is not small is seen at most one look later.
    """

    def __init__(self) -> None:
        self._looks = 0

    def reset(self) -> None:
        """Look at all of the picture next."""
        self._looks = 0

    def again(self) -> None:
        """Look in the same place once more: something was seen there a moment ago."""
        self._looks = max(self._looks - 1, 0)

    def __call__(self, detector: MediaPipeDetector, rgb: UInt8Array, tracker: Tracker) -> Look:
        """Return the way in which the detector looks at a picture (H, W, 3) in which the tracker's hands are followed."""
        least = SMALL * min(rgb.shape[:2])
        if tracker.needs_help or any(np.ptp(track.joints_px, axis=0).max() > least for track in tracker.tracks):
            return detector.detect
        number, odd = divmod(self._looks, 2)
        is_part = odd and self._looks >= AT_ALL
        self._looks += 1
        return partial(detector.detect_in_part, number=number) if is_part else detector.detect
