"""A detector and an estimator that see a bright disc as a hand, so that the pipeline can be tested without networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handviz.crop import CropSpec, joints_from_crop
from handviz.geometry.camera import project
from handviz.records import CropResult, HandCrop, HandDetection

RNG = np.random.default_rng(0)
HAND_M = RNG.normal(0, 0.04, (21, 3)) + [0, 0, 0.5]


def disc_picture(u: int | None, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """A dark picture (RGB) with a bright square patch centred at column u, or none."""
    rgb = np.full((size[1], size[0], 3), 20, np.uint8)
    if u is not None:
        rgb[100:140, max(u - 20, 0) : u + 20] = 230
    return rgb


class FakeDetector:
    calls = 0

    def __init__(self, max_hands: int = 2) -> None:
        self.max_hands = max_hands

    def detect(self, rgb: np.ndarray) -> list[HandDetection]:
        type(self).calls += 1
        columns = np.nonzero(rgb[rgb.shape[0] // 2, :, 0] > 128)[0]
        if columns.size == 0:
            return []
        return [self.seen_at(columns.mean())]

    @staticmethod
    def seen_at(u: float) -> HandDetection:
        joints = RNG.normal(0, 12, (21, 2)) + [u, 120]
        joints[0], joints[9] = [u, 150], [u, 105]
        return HandDetection(side="left", score=0.9, joints_px=joints)

    detect_thoroughly = detect
    detect_eagerly = detect
    detect_in_parts = detect

    def detect_in_part(self, rgb: np.ndarray, number: int) -> list[HandDetection]:
        return self.detect(rgb)

    def close(self) -> None:
        pass


class FakeEstimator:
    name = "fake"
    device = "cpu"
    crop_spec = CropSpec(size=64, expand=2.0)

    def __init__(self) -> None:
        self.forgotten: list[int] = []

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        return [self._one(crop) for crop in crops]

    def _one(self, crop: HandCrop) -> CropResult:
        score = 0.95 if (crop.rgb > 128).mean() > 0.03 else 0.1
        return CropResult(score=score, joints=joints_from_crop(crop, HAND_M, project(HAND_M, crop.K_crop), np.full(21, score)))

    def forget(self, track_id: int) -> None:
        self.forgotten.append(track_id)
