"""Where the detector looks in a video's next frame: at all of it or, for small hands, at a part."""

from __future__ import annotations

from functools import partial

import numpy as np

from handviz.detect.mediapipe_detector import MediaPipeDetector, nearest_parts
from handviz.pipeline.beside import Look
from handviz.postprocess.tracking import Track, Tracker
from handviz.records import HandDetection, UInt8Array

# Hands smaller than this fraction of the picture's shorter side are often missed in the whole picture. In 46 frames of a
# recording (640 x 480), shrunk and put into cuts of panoramas, the detector finds 46 hands if they are 183 px large, 42 of
# 118 px, 39 of 90, 27 of 72 and 12 of 50; in the half-size parts together at least 44 of each.
SMALL = 0.25
# So many looks at the beginning are at all of it: most hands are not small.
AT_ALL = 3


class NextLook:
    """Chooses, every second time while nothing but small hands is followed, a part of the picture: one after the other.

    Looking costs no more so, and a hand that is not small is seen at most one look later. Where a small hand is lost, the part
    around it comes first, and if nothing is seen there, all of the picture at once.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Look at all of the picture next."""
        self._looks = 0
        self._parts: list[int] = []
        self._lost: Track | None = None

    def again(self) -> None:
        """Look in the same place once more: something was seen there a moment ago."""
        self._looks = max(self._looks - 1, 0)

    def __call__(self, detector: MediaPipeDetector, rgb: UInt8Array, tracker: Tracker) -> Look:
        """Return the way in which the detector looks at a picture (H, W, 3) in which the tracker's hands are followed."""
        height, width = rgb.shape[:2]
        lost = tracker.just_lost
        hands = tracker.tracks if lost is None else [*tracker.tracks, lost]
        if not all(_is_small(hand, min(height, width)) for hand in hands) or tracker.is_unsure:
            return detector.detect
        is_new_loss = lost is not None and lost is not self._lost
        if is_new_loss or not self._parts:
            near = np.array([width, height]) / 2 if lost is None else lost.joints_px.mean(0)
            self._parts = nearest_parts(near, height, width)
        if is_new_loss:
            self._looks, self._lost = AT_ALL, lost
        number, after_part = divmod(self._looks - AT_ALL, 2)
        self._looks += 1
        if number < 0 or after_part:
            return detector.detect
        part = partial(detector.detect_in_part, number=self._parts[number % len(self._parts)])
        return partial(_one_or_other, part, detector.detect) if is_new_loss else part


def _is_small(hand: Track, side_px: int) -> bool:
    return bool(np.ptp(hand.joints_px, axis=0).max() < SMALL * side_px)


def _one_or_other(first: Look, second: Look, rgb: UInt8Array) -> list[HandDetection]:
    return first(rgb) or second(rgb)
