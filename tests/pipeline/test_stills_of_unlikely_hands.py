"""What the detector finds in a picture and the estimator finds unlikely is compared with what is found without the detector."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from handviz.crop import crop_to_image
from handviz.geometry.camera import NEAREST_M, FloatArray, camera_from_fov
from handviz.hand.skeleton import ROOT
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.sights import Sight
from handviz.pipeline.step import HandPipeline
from handviz.pipeline.stills import StillLooker
from handviz.records import CropResult, HandCrop, HandJoints
from tests.pipeline.pictures import frame, middle_of

SLEEVE_U, MIDDLE_U = 40.0, 160.0


def upright(u: float, reach: float = 60.0) -> FloatArray:
    across = np.linspace(-10, 10, 21)
    return np.stack([u + across, np.linspace(120 + reach / 2, 120 - reach / 2, 21)], -1)


def see_in_the_middle(
    fakes: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    sleeve: float,
    middle: float,
    middle_m: float = 0.5,
    side_chance: float | None = 1.0,
) -> None:
    """The detector sees a sleeve; the estimator is so sure of that, and of a hand in the middle, this far away in the picture."""
    detection = replace(fakes.FakeDetector.seen_at(SLEEVE_U), joints_px=upright(SLEEVE_U))
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: [detection])

    def one(self: Any, crop: HandCrop) -> CropResult:
        is_middle = abs(middle_of(crop)[0] - MIDDLE_U) < 30
        u, sure, distance_m = (MIDDLE_U, middle, middle_m) if is_middle else (SLEEVE_U, sleeve, 0.5)
        distance_m *= crop.camera.K[0, 0] / camera_from_fov(320, 240).K[0, 0]
        joints = HandJoints(
            joints_camera_m=(fakes.HAND_M - fakes.HAND_M[ROOT]) + [0, 0, distance_m],
            joints_px=upright(u),
            confidence=np.full(21, sure),
        )
        return CropResult(score=1.0, joints=joints, side_chance=side_chance)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)


@pytest.mark.parametrize(
    ("sleeve", "middle", "found"),
    [
        (0.5, 0.95, [MIDDLE_U, SLEEVE_U]),
        (0.85, 0.95, [MIDDLE_U, SLEEVE_U]),
        (0.93, 0.99, [SLEEVE_U]),
        (0.85, 0.82, [SLEEVE_U]),
        (0.5, 0.65, [SLEEVE_U]),
    ],
    ids=["unlikely", "unsure", "likely", "likelier than the other", "neither"],
)
@pytest.mark.parametrize("max_hands", [1, 2])
def test_a_likelier_hand_comes_before_an_unlikely_one(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, sleeve: float, middle: float, found: list[float], max_hands: int
) -> None:
    see_in_the_middle(fakes, monkeypatch, sleeve, middle)
    hands = HandPipeline(SessionConfig(max_hands=max_hands)).process_still(frame(fakes, 0, None)).hands
    assert [hand.joints.joints_px[:, 0].mean() for hand in hands] == pytest.approx(found[:max_hands])
    assert [hand.track_id for hand in hands] == list(range(len(hands)))


def test_an_estimator_that_does_not_tell_sides_is_believed(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    see_in_the_middle(fakes, monkeypatch, sleeve=0.5, middle=0.95, side_chance=None)
    hands = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, None)).hands
    assert [hand.joints.joints_px[:, 0].mean() for hand in hands] == pytest.approx([SLEEVE_U])


def test_the_camera_is_the_one_that_the_likelier_hand_needs(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    see_in_the_middle(fakes, monkeypatch, sleeve=0.5, middle=0.95, middle_m=0.25)
    result = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, None))
    distances = [hand.joints.joints_camera_m[ROOT, 2] for hand in result.hands]
    # The sleeve is seen through the same camera, which is narrower than the assumed one.
    assert distances == pytest.approx([NEAREST_M, 2 * NEAREST_M])
    assert all(hand.crop is not None and hand.crop.camera is result.frame.camera for hand in result.hands)


def test_a_part_that_was_taken_for_a_hand_gives_way_to_all_of_it(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    finger_px, hand_px = upright(MIDDLE_U, 8), upright(MIDDLE_U)
    detection = replace(fakes.FakeDetector.seen_at(MIDDLE_U), joints_px=finger_px)
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: [detection])

    def one(self: Any, crop: HandCrop) -> CropResult:
        left, right = crop_to_image(np.array([[0.0, 32.0], [64.0, 32.0]]), crop.H_crop_from_image)
        # Wider windows around the finger are not wide enough.
        all_of_it = np.linalg.norm(right - left) > 100
        joints = HandJoints(
            joints_camera_m=fakes.HAND_M,
            joints_px=hand_px if all_of_it else finger_px,
            confidence=np.full(21, 0.95 if all_of_it else 0.5),
        )
        return CropResult(score=1.0, joints=joints, side_chance=1.0)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    hands = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, None)).hands
    assert len(hands) == 1
    np.testing.assert_array_equal(hands[0].joints.joints_px, hand_px)


@pytest.mark.usefixtures("blind_detector")
@pytest.mark.parametrize(
    ("likelihood", "apart_px", "tells_sides", "count"),
    [(0.6, 5.0, True, 1), (0.6, 20.0, True, 0), (0.6, 5.0, False, 0), (0.4, 5.0, True, 0)],
    ids=["found twice", "in different places", "of either side", "unlikely"],
)
def test_what_is_found_twice_without_the_detector_is_a_hand(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, likelihood: float, apart_px: float, tells_sides: bool, count: int
) -> None:
    searched = StillLooker._searched
    searching: list[bool] = []

    def search(self: StillLooker) -> list[Sight]:
        searching.append(True)
        return searched(self)

    def one(self: Any, crop: HandCrop) -> CropResult:
        joints_px = upright(MIDDLE_U + (apart_px if searching else 0.0))
        joints = HandJoints(joints_camera_m=fakes.HAND_M, joints_px=joints_px, confidence=np.full(21, likelihood))
        return CropResult(score=1.0, joints=joints, side_chance=1.0 if tells_sides else None)

    monkeypatch.setattr(StillLooker, "_searched", search)
    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    assert len(HandPipeline(SessionConfig()).process_still(frame(fakes, 0, None)).hands) == count


@pytest.mark.usefixtures("blind_detector")
@pytest.mark.parametrize(
    ("side_chance", "count"), [(None, 1), (1.0, 0), (0.6, 0)], ids=["sides are not told", "told", "told, and unlikely"]
)
def test_without_the_detector_both_beliefs_count_for_an_estimator_that_does_not_tell_sides(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, side_chance: float | None, count: int
) -> None:
    places = iter(np.arange(0.0, 1e5, 20.0))

    def one(self: Any, crop: HandCrop) -> CropResult:
        # Never twice in the same place.
        joints = HandJoints(joints_camera_m=fakes.HAND_M, joints_px=upright(next(places)), confidence=np.full(21, 0.85))
        return CropResult(score=0.85, joints=joints, side_chance=side_chance)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    assert len(HandPipeline(SessionConfig()).process_still(frame(fakes, 0, None)).hands) == count
