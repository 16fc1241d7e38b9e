"""The real detector on single pictures."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from handviz.capture.base import parse_source
from handviz.capture.open import open_source
from handviz.clip import bundled_clip
from handviz.detect.mediapipe_detector import MOST_SIDE_PX, MediaPipeDetector, _enlarged, box_of, nearest_parts, same_hand
from handviz.records import HandDetection, UInt8Array


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
    left, top, right, bottom = (round(float(edge)) for edge in box_of(hand.joints_px))
    tight = detector.detect_thoroughly(np.ascontiguousarray(picture[top:bottom, left:right]))[0]
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


def test_a_small_hand_is_found_in_the_parts_that_show_it(detector: MediaPipeDetector, picture: UInt8Array) -> None:
    height, width = picture.shape[:2]
    small = np.asarray(cv2.resize(picture, (width // 5, height // 5), interpolation=cv2.INTER_AREA), np.uint8)
    scene = np.full_like(picture, 90)
    top, left = round(0.6 * height), round(0.7 * width)
    scene[top : top + small.shape[0], left : left + small.shape[1]] = small
    expected = (detector.detect(picture)[0].joints_px + 0.5) / 5 - 0.5 + [left, top]
    assert detector.detect(scene) == []
    near = nearest_parts(expected.mean(0), height, width)
    assert near[0] == 8 and near[-1] == 0 and sorted(near) == list(range(9)), "the lower right one first"
    nearest, farthest = (detector.detect_in_part(scene, number) for number in (near[0], near[-1]))
    assert farthest == []
    for found in (nearest, detector.detect_in_parts(scene)):
        assert len(found) == 1
        np.testing.assert_allclose(found[0].joints_px, expected, atol=0.03 * height)


@pytest.mark.parametrize(
    ("number", "left", "seen"),
    [(4, 100, True), (4, 70, False), (4, 220, False), (0, -10, True), (0, 145, False), (2, 290, True)],
    ids=["within", "out to the left", "out to the right", "out of the picture", "out of a corner", "out of another corner"],
)
def test_a_hand_that_reaches_out_of_a_part_is_left_to_another_one(
    detector: MediaPipeDetector, monkeypatch: pytest.MonkeyPatch, number: int, left: float, seen: bool
) -> None:
    scene = np.zeros((240, 320, 3), np.uint8)
    top, part_left = (number // 3) * 60, (number % 3) * 80
    there = np.linspace([left - part_left, 10], [left - part_left + 30, 40], 21)
    hand = HandDetection(side="left", score=0.9, joints_px=there)
    monkeypatch.setattr(detector, "_hands", lambda landmarker, rgb: [hand])
    found = detector.detect_in_part(scene, number)
    assert bool(found) == seen
    if seen:
        assert found[0].in_part
        np.testing.assert_allclose(found[0].joints_px, there + [part_left, top])


def test_a_large_picture_is_looked_at_smaller(
    detector: MediaPipeDetector, picture: UInt8Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    height, width = picture.shape[:2]
    large = np.asarray(cv2.resize(picture, (5 * width, 5 * height), interpolation=cv2.INTER_LINEAR), np.uint8)
    seen: list[int] = []
    look = detector._hands
    monkeypatch.setattr(detector, "_hands", lambda landmarker, rgb: seen.append(max(rgb.shape)) or look(landmarker, rgb))
    plain, found = detector.detect_thoroughly(picture)[0], detector.detect_thoroughly(large)[0]
    assert max(seen) <= 1.5 * MOST_SIDE_PX < max(large.shape)
    assert found.side == plain.side
    np.testing.assert_allclose((found.joints_px + 0.5) / 5 - 0.5, plain.joints_px, atol=2.0)


def test_a_hand_of_a_shrunk_picture_lies_where_it_was() -> None:
    corners = np.array([[-0.5, -0.5], [9.5, 4.5]])
    hand = HandDetection(side="left", score=1.0, joints_px=corners)
    large = _enlarged(hand, 3.0, 2.0)
    np.testing.assert_allclose(large.joints_px, [[-0.5, -0.5], [29.5, 9.5]])
