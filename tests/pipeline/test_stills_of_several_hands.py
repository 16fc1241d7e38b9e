from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from handviz.crop import crop_to_image
from handviz.geometry.camera import unproject
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.step import HandPipeline
from handviz.records import CropResult, HandCrop, HandDetection, HandJoints
from tests.pipeline.pictures import UPRIGHT_PX, frame, middle_of, seen


@pytest.mark.parametrize(("max_hands", "sure", "count"), [(2, 0.95, 1), (3, 0.95, 2), (3, 0.7, 1)])
def test_small_hands_are_looked_for_in_parts_where_many_are_asked_for(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, max_hands: int, sure: float, count: int
) -> None:
    at = [fakes.FakeDetector().detect(fakes.disc_picture(u))[0] for u in (60, 240)]
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: at[:1])
    monkeypatch.setattr(fakes.FakeDetector, "detect_in_parts", lambda self, rgb: at)

    def one(self: Any, crop: HandCrop) -> CropResult:
        right = middle_of(crop)[0] > 150
        joints = HandJoints(
            joints_camera_m=fakes.HAND_M, joints_px=at[int(right)].joints_px, confidence=np.full(21, sure if right else 0.95)
        )
        return CropResult(score=0.95, joints=joints)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    hands = HandPipeline(SessionConfig(max_hands=max_hands)).process_still(frame(fakes, 0, None)).hands
    assert len(hands) == count


@pytest.mark.usefixtures("blind_detector")
@pytest.mark.parametrize(("sure", "count"), [(0.95, 1), (0.7, 0)])
def test_a_small_hand_is_looked_for_in_parts_where_no_other_is_seen(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, sure: float, count: int
) -> None:
    small = HandDetection(side="left", score=0.9, joints_px=np.linspace([60, 100], [70, 140], 21))
    monkeypatch.setattr(fakes.FakeDetector, "detect_in_parts", lambda self, rgb: [small])

    def one(self: Any, crop: HandCrop) -> CropResult:
        # Windows without a detection are larger than those around one, and show it too small.
        left, right = crop_to_image(np.array([[0.0, 32.0], [64.0, 32.0]]), crop.H_crop_from_image)
        if np.linalg.norm(right - left) > 120:
            return seen(crop, unproject(UPRIGHT_PX, np.full(21, 0.5), crop.K_crop), score=0.1)
        joints = HandJoints(joints_camera_m=fakes.HAND_M, joints_px=small.joints_px, confidence=np.full(21, sure))
        return CropResult(score=0.95, joints=joints)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    hands = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, None)).hands
    assert len(hands) == count
    if hands:
        np.testing.assert_array_equal(hands[0].joints.joints_px, small.joints_px)


def test_the_surest_hand_comes_first(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    at = [fakes.FakeDetector().detect(fakes.disc_picture(u))[0] for u in (60, 200)]
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: [at[0], replace(at[1], score=0.6)])

    def one(self: Any, crop: HandCrop) -> CropResult:
        middle = middle_of(crop)
        joints_px = at[int(middle[0] > 130)].joints_px
        joints = HandJoints(joints_camera_m=fakes.HAND_M, joints_px=joints_px, confidence=np.full(21, middle[0] / 320))
        return CropResult(score=0.95, joints=joints)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    hands = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, None)).hands
    assert [hand.track_id for hand in hands] == [0, 1]
    assert hands[0].joints.joints_px[:, 0].mean() > hands[1].joints.joints_px[:, 0].mean()
