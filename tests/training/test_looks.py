"""A crop is looked at as often as the estimator looks at still pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from handviz.crop import CropSpec
from handviz.geometry.camera import Camera
from handviz.records import CropResult, HandCrop, HandJoints
from training.looks import looked_at

K = np.array([[80.0, 0, 31.5], [0, 80.0, 31.5], [0, 0, 1]])


class Counting:
    """Answers with the crop's own axes, as joints in the full camera's frame."""

    name, device = "counting", "cpu"

    def __init__(self, rolls: tuple[float, ...]) -> None:
        self.crop_spec = CropSpec(size=64, still_rolls_deg=rolls)
        self.looks = 0

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        self.looks += len(crops)
        return [self._one(crop) for crop in crops]

    def _one(self, crop: HandCrop) -> CropResult:
        across = np.tile(crop.Q_crop_from_camera[0], (21, 1))
        return CropResult(
            score=0.5, joints=HandJoints(joints_camera_m=across, joints_px=np.zeros((21, 2)), confidence=np.ones(21))
        )

    def forget(self, track_id: int) -> None:
        """Nothing is kept."""


@pytest.mark.parametrize(("rolls", "length"), [((0.0,), 1.0), ((0.0, -60.0, 60.0), 2 / 3)], ids=["once", "three times"])
def test_answers_are_the_mean_over_the_rolls(rolls: tuple[float, ...], length: float) -> None:
    camera = Camera(width=64, height=64, K=K)
    crop = HandCrop(
        side="right",
        rgb=np.zeros((64, 64, 3), np.uint8),
        K_crop=K,
        Q_crop_from_camera=np.eye(3),
        H_crop_from_image=np.eye(3),
        camera=camera,
    )
    method = Counting(rolls)
    answers = looked_at(method, [crop, crop])
    assert len(answers) == 2 and method.looks == 2 * len(rolls)
    np.testing.assert_allclose(answers[0].joints.joints_camera_m[0], [length, 0, 0], atol=1e-6)
