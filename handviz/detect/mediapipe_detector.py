"""The detector: MediaPipe's HandLandmarker (Tasks API) on full pictures."""

from __future__ import annotations

import locale
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import Side
from handviz.models.mediapipe_bundle import landmarker_bundle
from handviz.records import HandDetection, UInt8Array

# A hand that fills the picture is found more reliably with a border of this fraction of each side; wider ones are tried
# if these find nothing.
BORDERS = ((0.0, 0.25), (0.5,), (1.0,))
# Small hands are found in parts of a picture, in which they are larger: parts of these fractions of its sides, half a part's
# side apart. Of 27 hands in three mosaics of photographs the detector finds 10 without these, 22 with the first size, all with
# both. If more hands are requested than a person has, a still picture is searched like that even if one was found.
PARTS = (1 / 2, 1 / 3)
USUAL_HANDS = 2
# The score that a hand needs, and the one that is enough in a picture in which nothing else was found.
SURE_SCORE = 0.5
EAGER_SCORE = 0.3
# Photographs are scaled down to at most this side for detection, in pixels: the network sees them smaller still, and the widest
# border makes nine times as many pixels.
MOST_SIDE_PX = 2048
# Detections whose joints are closer than this fraction of the hand's extent are the same hand.
SAME_HAND = 0.35


class MediaPipeDetector:
    """Finds up to ``max_hands`` hands of both sides, with a first guess of their joints."""

    def __init__(self, max_hands: int = 2) -> None:
        self.max_hands = max_hands
        self._landmarker = _landmarker(max_hands, SURE_SCORE)
        self._eager: Any = None

    def detect(self, rgb: UInt8Array) -> list[HandDetection]:
        """Return the hands of a picture (H, W, 3), best first."""
        return self._hands(self._landmarker, rgb)

    def _hands(self, landmarker: Any, rgb: UInt8Array) -> list[HandDetection]:
        import mediapipe as mp

        picture = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        answer = landmarker.detect(picture)
        height, width = rgb.shape[:2]
        hands = [
            _detection(landmarks, handedness[0].category_name, handedness[0].score, width, height)
            for landmarks, handedness in zip(answer.hand_landmarks, answer.handedness, strict=True)
        ]
        return distinct(hands)[: self.max_hands]

    def detect_thoroughly(self, rgb: UInt8Array) -> list[HandDetection]:
        """Return the hands of a still picture, even one that fills it: detected without and with borders around the picture."""
        return self._thoroughly(self._landmarker, rgb)

    def detect_eagerly(self, rgb: UInt8Array) -> list[HandDetection]:
        """Return what may be hands in a single picture without any sure one. Many of these are not hands."""
        if self._eager is None:
            self._eager = _landmarker(self.max_hands, EAGER_SCORE)
        return self._thoroughly(self._eager, rgb)

    def _thoroughly(self, landmarker: Any, rgb: UInt8Array) -> list[HandDetection]:
        scale = MOST_SIDE_PX / max(rgb.shape[:2])
        if scale >= 1:
            return self._with_borders(landmarker, rgb)
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        sx, sy = small.shape[1] / rgb.shape[1], small.shape[0] / rgb.shape[0]
        return [_enlarged(hand, 1 / sx, 1 / sy) for hand in self._with_borders(landmarker, np.asarray(small, np.uint8))]

    def _with_borders(self, landmarker: Any, rgb: UInt8Array) -> list[HandDetection]:
        for borders in BORDERS:
            found = distinct([hand for border in borders for hand in self._bordered(landmarker, rgb, border)])
            if found:
                return found[: self.max_hands]
        return []

    def detect_in_parts(self, rgb: UInt8Array) -> list[HandDetection]:
        """Return the hands in parts of a still picture, in which small ones are larger. Some are false detections."""
        corners = [(share, corner) for share in PARTS for corner in _corners(share)]
        return distinct([hand for share, corner in corners for hand in self._in_part(rgb, share, corner)])[: self.max_hands]

    def detect_in_part(self, rgb: UInt8Array, number: int) -> list[HandDetection]:
        """Return the hands that lie within one of the largest parts of a picture; its number is one of ``nearest_parts``.

        A small hand that reaches out of this part lies within another one, where all of it is seen.
        """
        corner = _corners(PARTS[0])[number]
        return [hand for hand in self._in_part(rgb, PARTS[0], corner) if _lies_in(hand, corner, rgb.shape[:2])]

    def _in_part(self, rgb: UInt8Array, share: float, corner: tuple[float, float]) -> list[HandDetection]:
        height, width = rgb.shape[:2]
        top, left = round(corner[0] * height), round(corner[1] * width)
        part = rgb[top : top + math.ceil(share * height), left : left + math.ceil(share * width)]
        return [replace(_shifted(hand, left, top), in_part=True) for hand in self._hands(self._landmarker, part)]

    def _bordered(self, landmarker: Any, rgb: UInt8Array, border: float) -> list[HandDetection]:
        height, width = rgb.shape[:2]
        pad_x, pad_y = round(width * border), round(height * border)
        bordered = cv2.copyMakeBorder(rgb, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_CONSTANT)
        return [_shifted(hand, -pad_x, -pad_y) for hand in self._hands(landmarker, np.asarray(bordered, np.uint8))]

    def close(self) -> None:
        """Release the native graphs."""
        self._landmarker.close()
        if self._eager is not None:
            self._eager.close()


def nearest_parts(point_px: FloatArray, height: int, width: int) -> list[int]:
    """Return the numbers of the largest parts of a picture, those whose middles are nearest to a point (u, v) first."""
    middles = (np.array(_corners(PARTS[0])) + PARTS[0] / 2) * [height, width]
    return [int(number) for number in np.argsort(np.linalg.norm(middles - point_px[::-1], axis=1), kind="stable")]


def _corners(share: float) -> list[tuple[float, float]]:
    """Return the upper left corners (top, left) of the parts of this share of a picture, as fractions of its sides."""
    begins = np.arange(0, 1 - share + 1e-9, share / 2)
    return [(float(top), float(left)) for top in begins for left in begins]


def _lies_in(hand: HandDetection, corner: tuple[float, float], shape: tuple[int, ...]) -> bool:
    """Say whether a hand lies within the largest part at this corner, or reaches out of it only where the picture ends."""
    low, high = (edge[::-1] / shape for edge in (hand.joints_px.min(0), hand.joints_px.max(0)))
    begins, ends = np.array(corner), np.array(corner) + PARTS[0]
    return bool((((low >= begins) | (begins <= 0)) & ((high <= ends) | (ends >= 1))).all())


@contextmanager
def numbers_with_points() -> Iterator[None]:
    """Have C functions read and write numbers with a decimal point, as MediaPipe needs to be imported.

    In languages with a decimal comma Qt, in a program that uses us or in OpenCV's windows, makes them use commas.
    """
    before = locale.setlocale(locale.LC_NUMERIC)
    if locale.localeconv()["decimal_point"] == ".":
        yield
        return
    locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


@contextmanager
def without_sound() -> Iterator[None]:
    """Have MediaPipe imported without its sound, which would search for PortAudio with a compiler and open all sound devices.

    None in ``sys.modules`` makes an import fail, which MediaPipe expects of this one. A program's own import of it counts.
    """
    name = "sounddevice"
    if name in sys.modules:
        yield
        return
    modules: dict[str, Any] = sys.modules
    modules[name] = None
    try:
        yield
    finally:
        modules.pop(name, None)  # Two sessions that load at once may both have set it.


@numbers_with_points()
@without_sound()
def _landmarker(max_hands: int, min_score: float) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.HandLandmarkerOptions(
        # Not its path, which MediaPipe cannot read on Windows if a user's name is not ASCII.
        base_options=BaseOptions(model_asset_buffer=landmarker_bundle()),
        num_hands=max_hands,
        running_mode=vision.RunningMode.IMAGE,
        min_hand_detection_confidence=min_score,
        min_hand_presence_confidence=min_score,
    )
    return vision.HandLandmarker.create_from_options(options)


def _detection(landmarks: list[object], side_name: str, score: float, width: int, height: int) -> HandDetection:
    # Tasks landmarks are relative to the picture's edges, so 0 is -0.5 px and 1 is width - 0.5 px.
    relative = np.array([[p.x, p.y] for p in landmarks])  # type: ignore[attr-defined]
    joints = relative * [width, height] - 0.5
    side: Side = "left" if side_name == "Left" else "right"
    return HandDetection(side=side, score=float(score), joints_px=joints)


def box_of(joints_px: FloatArray) -> FloatArray:
    """Return the smallest box xyxy around the finite joints (21, 2)."""
    good = joints_px[np.isfinite(joints_px).all(-1)]
    return np.concatenate([good.min(0), good.max(0)])


def distinct(hands: list[HandDetection]) -> list[HandDetection]:
    """Return the hands sorted by score, each hand once."""
    kept: list[HandDetection] = []
    for hand in sorted(hands, key=lambda h: -h.score):
        if all(not same_hand(hand.joints_px, other.joints_px) for other in kept):
            kept.append(hand)
    return kept


def same_hand(joints_a: FloatArray, joints_b: FloatArray) -> bool:
    """Say whether two sets of joints (21, 2) in pixels are of the same hand."""
    gap = float(np.nanmedian(np.linalg.norm(joints_a - joints_b, axis=-1)))
    extent = float(np.nanmax(np.nanmax(joints_a, 0) - np.nanmin(joints_a, 0)))
    return gap < SAME_HAND * extent


def _shifted(hand: HandDetection, dx: float, dy: float) -> HandDetection:
    return replace(hand, joints_px=hand.joints_px + [dx, dy])


def _enlarged(hand: HandDetection, by_x: float, by_y: float) -> HandDetection:
    """Return a hand found in a shrunken picture in pixels of the original picture."""
    return replace(hand, joints_px=(hand.joints_px + 0.5) * [by_x, by_y] - 0.5)
