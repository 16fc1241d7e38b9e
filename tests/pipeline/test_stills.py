from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from handviz.crop import crop_to_image, joints_from_crop
from handviz.geometry.camera import NEAREST_M, camera_from_fov, project, unproject
from handviz.hand.skeleton import ROOT
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.step import HandPipeline
from handviz.pipeline.stills import CLOSER_LOOKS
from handviz.records import CropResult, HandCrop, HandJoints
from tests.pipeline.pictures import UPRIGHT_PX, frame, middle_of, seen


def test_pictures_on_their_own_are_not_smoothed_or_tracked(fakes: ModuleType) -> None:
    pipeline = HandPipeline(SessionConfig())
    first = pipeline.process_still(frame(fakes, 0, 100))
    second = pipeline.process_still(frame(fakes, 1, 200))
    assert first.hands[0].stage == second.hands[0].stage == "raw"
    assert first.hands[0].track_id == second.hands[0].track_id == 0


def test_a_picture_is_looked_at_from_several_rolls(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    once = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 100)).hands[0]
    spec = replace(fakes.FakeEstimator.crop_spec, still_rolls_deg=(0.0, 90.0, 180.0, 270.0))
    monkeypatch.setattr(fakes.FakeEstimator, "crop_spec", spec)
    result = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 100)).hands[0]
    # The fake hand turns with its crop, so a full round averages it onto the crop's axis.
    across = np.ptp(result.joints.joints_px, axis=0).max() / np.ptp(once.joints.joints_px, axis=0).max()
    assert across < 0.1


@pytest.mark.parametrize(
    ("apart", "length", "count"),
    [(3.0, 60, 1), (120.0, 60, 2), (3.0, 15, 1), (15.0, 15, 2)],
    ids=["one hand twice", "two hands", "a part of it", "beside it"],
)
def test_looks_that_come_to_one_hand_are_one_hand(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, apart: float, length: float, count: int
) -> None:
    across = np.linspace(-6, 6, 21)
    found = [
        np.stack([100.0 + shift + across, np.linspace(150, 150 - long, 21)], -1) for shift, long in ((0.0, 60), (apart, length))
    ]
    once = fakes.FakeDetector().detect_thoroughly(fakes.disc_picture(100))[0]
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: [once, replace(once, score=0.8)])
    looks = iter([*found, *[found[0]] * CLOSER_LOOKS, *[found[1]] * CLOSER_LOOKS])

    def one(self: Any, crop: HandCrop) -> CropResult:
        joints = HandJoints(joints_camera_m=fakes.HAND_M, joints_px=next(looks), confidence=np.ones(21))
        return CropResult(score=0.95, joints=joints)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    assert len(HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 100)).hands) == count


@pytest.mark.parametrize(("size", "grows"), [(2.0, True), (0.5, False)], ids=["larger hand", "smaller hand"])
def test_a_closer_look_is_around_what_was_found_and_never_smaller(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, size: float, grows: bool
) -> None:
    shown: list[tuple[float, float]] = []
    # The detector's hand is about 50 pixels tall, at column 100.
    found = np.stack([np.full(21, 130.0), np.linspace(120 + 25 * size, 120 - 25 * size, 21)], -1)

    def one(self: Any, crop: HandCrop) -> CropResult:
        middle = middle_of(crop)
        shown.append((crop.camera.K[0, 0] / crop.K_crop[0, 0] * crop.size, middle[0]))
        return CropResult(score=0.95, joints=HandJoints(joints_camera_m=fakes.HAND_M, joints_px=found, confidence=np.ones(21)))

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 100))
    first, second, third = shown
    assert second == pytest.approx(third)
    assert first[1] == pytest.approx(100, abs=12) and second[1] == pytest.approx(130, abs=1)
    assert (second[0] > 1.2 * first[0]) == grows and second[0] > 0.95 * first[0]


@pytest.mark.parametrize(
    ("left", "right", "side"),
    [(0.91, 0.99, "right"), (0.95, 0.97, "left"), (0.98, 1.0, "left")],
    ids=["surer", "hardly surer", "sure enough not to ask"],
)
def test_a_picture_is_taken_for_the_side_that_fits_better(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, left: float, right: float, side: str
) -> None:
    looked: list[str] = []

    def one(self: Any, crop: HandCrop) -> CropResult:
        looked.append(crop.side)
        confidence = np.full(21, left if crop.side == "left" else right)
        joints = joints_from_crop(crop, fakes.HAND_M, project(fakes.HAND_M, crop.K_crop), confidence)
        return CropResult(score=0.95, joints=joints)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    plain = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 100))
    # The detector says left, and without a margin its answer counts.
    assert plain.hands[0].side == "left" and looked == ["left"] * (1 + CLOSER_LOOKS)
    looked.clear()
    spec = replace(fakes.FakeEstimator.crop_spec, still_side_margin=0.03)
    monkeypatch.setattr(fakes.FakeEstimator, "crop_spec", spec)
    hand = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 100)).hands[0]
    assert hand.side == side and hand.crop.side == side
    assert looked == (["left"] if left > 0.97 else ["left", "right"]) + [side] * CLOSER_LOOKS


@pytest.mark.usefixtures("detector_only")
@pytest.mark.parametrize(
    ("left", "right", "side"),
    [(0.05, 0.9, "right"), (0.6, 0.7, "left"), (0.3, 0.1, "left"), (0.9, 0.99, "left")],
    ids=["likelier", "hardly likelier", "neither", "sure enough not to ask"],
)
def test_a_network_that_tells_sides_decides_them(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, left: float, right: float, side: str
) -> None:
    looked: list[str] = []
    plain = fakes.FakeEstimator._one

    def one(self: Any, crop: HandCrop) -> CropResult:
        looked.append(crop.side)
        return replace(plain(self, crop), side_chance=left if crop.side == "left" else right)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    hand = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 100)).hands[0]
    # The detector says left.
    assert hand.side == hand.crop.side == side
    assert looked == (["left"] if left > 0.8 else ["left", "right"]) + [side] * CLOSER_LOOKS


@pytest.mark.parametrize(("collection", "side"), [(False, "left"), (True, "right")])
def test_pictures_of_one_collection_tell_which_side_an_undecided_hand_is(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, collection: bool, side: str
) -> None:
    told = {"left": 0.02, "right": 0.97}
    plain = fakes.FakeEstimator._one
    monkeypatch.setattr(fakes.FakeEstimator, "_one", lambda self, crop: replace(plain(self, crop), side_chance=told[crop.side]))
    pipeline = HandPipeline(SessionConfig(), collection=collection)
    sides = [pipeline.process_still(frame(fakes, i, 100)).hands[0].side for i in range(12)]
    assert sides == ["right"] * 12
    # The detector says left, the network nothing.
    told.update(left=0.55, right=0.5)
    assert pipeline.process_still(frame(fakes, 12, 100)).hands[0].side == side


@pytest.mark.parametrize(("confidence", "count"), [(0.9, 1), (0.3, 0)], ids=["sure joints", "unsure ones"])
def test_what_the_detector_only_suspects_in_a_picture_must_convince_the_estimator(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, confidence: float, count: int
) -> None:
    def one(self: Any, crop: HandCrop) -> CropResult:
        joints = joints_from_crop(crop, fakes.HAND_M, project(fakes.HAND_M, crop.K_crop), np.full(21, confidence))
        return CropResult(score=0.95, joints=joints)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    pipeline = HandPipeline(SessionConfig())
    assert len(pipeline.process_still(frame(fakes, 0, 100)).hands) == 1
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: [])
    assert len(pipeline.process_still(frame(fakes, 0, 100)).hands) == count


@pytest.mark.parametrize(("fov_deg", "narrowed"), [(None, True), (60.0, False)], ids=["assumed camera", "told camera"])
def test_a_picture_that_shows_little_but_a_hand_was_cut_out_of_a_larger_one(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, fov_deg: float | None, narrowed: bool
) -> None:
    palm_at_1m = (fakes.HAND_M - fakes.HAND_M[ROOT]) + [0, 0, 1.0]

    def one(self: Any, crop: HandCrop) -> CropResult:
        # The disc, about as large as a palm, is at twice its focal length's share of a quarter of a metre.
        distance_m = 0.25 * crop.camera.K[0, 0] / camera_from_fov(320, 240).K[0, 0]
        return seen(crop, palm_at_1m + [0, 0, distance_m - 1.0])

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    picture = replace(frame(fakes, 0, 160), camera=camera_from_fov(320, 240, fov_deg))
    result = HandPipeline(SessionConfig()).process_still(picture)
    distance_m = result.hands[0].joints.joints_camera_m[ROOT, 2]
    assert distance_m == pytest.approx(NEAREST_M if narrowed else 0.25, rel=0.05)
    assert result.frame.camera.K[0, 0] / picture.camera.K[0, 0] == pytest.approx(NEAREST_M / 0.25 if narrowed else 1.0, rel=0.05)
    assert result.hands[0].crop is not None and result.hands[0].crop.camera is result.frame.camera


def test_what_the_detector_is_sure_of_and_the_estimator_is_not_is_looked_for_elsewhere(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspected = fakes.FakeDetector().detect(fakes.disc_picture(200))
    # A sleeve where there is no disc, and the disc for a less strict detector.
    sleeve = fakes.FakeDetector().detect(fakes.disc_picture(60))
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: sleeve)
    monkeypatch.setattr(fakes.FakeDetector, "detect_eagerly", lambda self, rgb: suspected)
    hands = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 200)).hands
    assert len(hands) == 1 and hands[0].joints.joints_px[:, 0].mean() > 150


@pytest.mark.usefixtures("blind_detector")
@pytest.mark.parametrize(("score", "count"), [(0.9, 1), (0.7, 0)], ids=["sure", "half sure"])
def test_a_hand_that_no_detector_sees_is_found_in_the_middle_turned_as_it_is(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, score: float, count: int
) -> None:
    picture = frame(fakes, 0, None)
    # A right hand that points to the right: where it points up in its crop, its bright half is the upper one.
    picture.rgb[60:180, 160:220] = 230

    def one(self: Any, crop: HandCrop) -> CropResult:
        bright = crop.rgb[..., 0] > 128
        fits = bright[: crop.size // 2].mean() - bright[crop.size // 2 :].mean() > 0.25
        found = seen(crop, unproject(UPRIGHT_PX, np.full(21, 0.5), crop.K_crop), score=score if fits else 0.3)
        return replace(found, side_chance=0.99 if crop.side == "right" else 0.01)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    hands = HandPipeline(SessionConfig()).process_still(picture).hands
    assert len(hands) == count
    if hands:
        assert hands[0].side == "right" and hands[0].crop is not None
        up = crop_to_image(np.array([32.0, 10.0]), hands[0].crop.H_crop_from_image) - crop_to_image(
            np.array([32.0, 54.0]), hands[0].crop.H_crop_from_image
        )
        assert up[0] > abs(up[1])


@pytest.mark.usefixtures("blind_detector")
@pytest.mark.parametrize(("score", "count"), [(0.95, 1), (0.85, 0)], ids=["sure", "less sure"])
def test_a_hand_that_no_detector_sees_is_found_in_a_corner(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, score: float, count: int
) -> None:
    def one(self: Any, crop: HandCrop) -> CropResult:
        rows, columns = np.nonzero(crop.rgb[..., 0] > 128)
        is_hand = rows.size > 60 and max(abs(rows.mean() - 31.5), abs(columns.mean() - 31.5)) < 10
        return seen(crop, unproject(UPRIGHT_PX, np.full(21, 0.5), crop.K_crop), score=score if is_hand else 0.1)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    hands = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 60)).hands
    assert len(hands) == count
    if hands:
        np.testing.assert_allclose(hands[0].joints.joints_px.mean(0), [60, 120], atol=20)


@pytest.mark.parametrize(("sureness", "wider"), [(0.5, True), (0.92, False)], ids=["unsure", "sure"])
def test_a_part_of_a_hand_that_was_taken_for_all_of_it_is_looked_at_in_a_wider_window(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, sureness: float, wider: bool
) -> None:
    finger_px = np.stack([np.full(21, 150.0), np.linspace(130, 110, 21)], -1)
    detection = fakes.FakeDetector().detect(fakes.disc_picture(150))[0]
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: [replace(detection, joints_px=finger_px)])
    hand_px = np.stack([np.full(21, 150.0), np.linspace(160, 90, 21)], -1)

    def one(self: Any, crop: HandCrop) -> CropResult:
        corners = crop_to_image(np.array([[0.0, 0.0], [crop.size - 1.0, 0.0]]), crop.H_crop_from_image)
        shows_all = np.linalg.norm(corners[1] - corners[0]) > 80
        joints = HandJoints(
            joints_camera_m=fakes.HAND_M,
            joints_px=hand_px if shows_all else finger_px,
            confidence=np.full(21, 0.95 if shows_all else sureness),
        )
        return CropResult(score=0.95, joints=joints)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    hands = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 150)).hands
    assert len(hands) == 1
    np.testing.assert_array_equal(hands[0].joints.joints_px, hand_px if wider else finger_px)


def test_an_unsure_hand_beside_a_sure_one_stays_a_hand(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wider windows around it show the other hand, too."""
    at = [np.stack([np.full(21, u), np.linspace(150, 90, 21)], -1) for u in (130.0, 190.0)]
    detection = fakes.FakeDetector().detect(fakes.disc_picture(150))[0]
    found = [replace(detection, joints_px=joints_px) for joints_px in at]
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: found)

    def one(self: Any, crop: HandCrop) -> CropResult:
        edges = crop_to_image(np.array([[0.0, 31.5], [crop.size - 1.0, 31.5], [31.5, 0.0], [31.5, 63.0]]), crop.H_crop_from_image)
        shows_sure = np.ptp(edges, axis=0).max() > 200 or abs(edges.mean(0)[0] - 190) < 30
        joints_px, confidence = (at[1], 0.95) if shows_sure else (at[0], 0.6)
        joints = HandJoints(joints_camera_m=fakes.HAND_M, joints_px=joints_px, confidence=np.full(21, confidence))
        return CropResult(score=0.95, joints=joints)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    hands = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 150)).hands
    assert [hand.joints.joints_px[0, 0] for hand in hands] == [190.0, 130.0]


@pytest.mark.parametrize(
    ("part_m", "all_m", "seen_m"), [(0.8, 0.2, NEAREST_M), (0.05, 0.6, 0.6)], ids=["nearer", "not so near after all"]
)
def test_the_camera_is_narrowed_by_what_the_last_looks_find(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, part_m: float, all_m: float, seen_m: float
) -> None:
    finger_px, hand_px = (np.stack([np.full(21, 150.0), np.linspace(120 + r, 120 - r, 21)], -1) for r in (10, 35))
    detection = fakes.FakeDetector().detect(fakes.disc_picture(150))[0]
    monkeypatch.setattr(fakes.FakeDetector, "detect_thoroughly", lambda self, rgb: [replace(detection, joints_px=finger_px)])

    def one(self: Any, crop: HandCrop) -> CropResult:
        corners = crop_to_image(np.array([[0.0, 0.0], [crop.size - 1.0, 0.0]]), crop.H_crop_from_image)
        shows_all = np.linalg.norm(corners[1] - corners[0]) > 80
        distance_m = (all_m if shows_all else part_m) * crop.camera.K[0, 0] / camera_from_fov(320, 240).K[0, 0]
        joints = HandJoints(
            joints_camera_m=(fakes.HAND_M - fakes.HAND_M[ROOT]) + [0, 0, distance_m],
            joints_px=hand_px if shows_all else finger_px,
            confidence=np.full(21, 0.95 if shows_all else 0.5),
        )
        return CropResult(score=0.95, joints=joints)

    monkeypatch.setattr(fakes.FakeEstimator, "_one", one)
    result = HandPipeline(SessionConfig()).process_still(frame(fakes, 0, 150))
    assert result.hands[0].joints.joints_camera_m[ROOT, 2] == pytest.approx(seen_m)
