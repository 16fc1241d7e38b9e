"""The real detector on single pictures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from handviz.capture.base import parse_source
from handviz.capture.open import open_source
from handviz.clip import bundled_clip
from handviz.detect.mediapipe_detector import MediaPipeDetector, same_hand
from handviz.records import UInt8Array


@pytest.fixture(scope="module")
def detector() -> Iterator[MediaPipeDetector]:
    made = MediaPipeDetector(1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def picture() -> UInt8Array:
    source = open_source(parse_source(str(bundled_clip())))
    frame = source.read()
    source.release()
    assert frame is not None
    return frame.rgb


def test_a_hand_that_fills_the_picture_is_found_where_it_is(detector: MediaPipeDetector, picture: UInt8Array) -> None:
    hand = detector.detect(picture)[0]
    left, top, right, bottom = (round(float(edge)) for edge in hand.box_xyxy_px)
    tight = detector.detect_thoroughly(np.ascontiguousarray(picture[top:bottom, left:right]))[0]
    assert hand.joints_px is not None and tight.joints_px is not None
    assert same_hand(tight.joints_px + [left, top], hand.joints_px)


def test_what_is_surely_found_is_found_eagerly_too(detector: MediaPipeDetector, picture: UInt8Array) -> None:
    found = 0
    for contrast in (1.0, 0.3, 0.1):
        faint = np.asarray(128 + (picture.astype(float) - 128) * contrast, np.uint8)
        eager = detector.detect_eagerly(faint)
        for hand in detector.detect_thoroughly(faint):
            assert same_hand(hand.joints_px, eager[0].joints_px)
            found += 1
    assert found >= 2


def test_an_empty_picture_shows_no_hand(detector: MediaPipeDetector) -> None:
    grey = np.full((120, 160, 3), 90, np.uint8)
    assert detector.detect_thoroughly(grey) == [] == detector.detect_eagerly(grey)
