from __future__ import annotations

import threading
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from handviz.errors import HandvizError
from handviz.estimate.base import EstimatorOptions
from handviz.geometry.camera import camera_from_fov
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.step import IDLE_AFTER, IDLE_STEP, HandPipeline
from handviz.postprocess.tracking import Tracker
from handviz.records import CropResult, Frame, HandCrop, HandDetection, HandJoints
from tests.pipeline.pictures import frame
from tests.pipeline.waiting import wait_for


def test_a_hand_is_found_followed_without_the_detector_and_lost(fakes: ModuleType) -> None:
    pipeline = HandPipeline(SessionConfig(detect_every=1000))
    fakes.FakeDetector.calls = 0
    ids = []
    for i in range(10):
        result = pipeline.process(frame(fakes, i, 100 + 3 * i))
        ids.append(result.hands[0].track_id)
        assert result.hands[0].side == "left"
        assert result.hands[0].stage == "smoothed"
    assert ids == [0] * 10
    assert fakes.FakeDetector.calls == 1
    assert pipeline.process(frame(fakes, 10, None)).hands == ()
    assert fakes.FakeDetector.calls == 2, "a lost hand is looked for on the same frame"
    assert pipeline._estimator.forgotten == [0]  # type: ignore[attr-defined]


def test_a_jump_in_the_recording_costs_no_frame(fakes: ModuleType) -> None:
    pipeline = HandPipeline(SessionConfig(detect_every=1000))
    pipeline.process(frame(fakes, 0, 60))
    result = pipeline.process(frame(fakes, 1, 280))
    assert len(result.hands) == 1 and result.hands[0].track_id == 1
    assert result.hands[0].joints.joints_px[:, 0].mean() > 200


def leave_a_rest(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the estimator answer quickly, with remaining work that gives the same answer."""

    def quickly(self: Any, crops: list[HandCrop], track_ids: list[int]) -> Any:
        results = self.estimate(crops, track_ids)
        return results, lambda: results

    monkeypatch.setattr(fakes.FakeEstimator, "estimate_quickly", quickly, raising=False)


def test_of_two_hands_one_that_jumps_costs_no_frame_either(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_a_rest(fakes, monkeypatch)
    monkeypatch.setattr(fakes.FakeDetector, "detect", lambda self, rgb: next(detections))
    pipeline = HandPipeline(SessionConfig(detect_every=1000))
    places = [(60, 260), (60, 260), (60, 155), (60, 155)]
    seen = [[fakes.FakeDetector.seen_at(u) for u in pair] for pair in (places[0], places[2])]
    detections = iter(seen)
    for index, (left, right) in enumerate(places):
        rgb = np.maximum(fakes.disc_picture(left), fakes.disc_picture(right))
        camera = camera_from_fov(rgb.shape[1], rgb.shape[0])
        shown = Frame(index=index, t_capture_s=index / 30, t_arrival_s=0.0, rgb=rgb, camera=camera)
        result, finish = pipeline.process_quickly(shown)
        assert [hand.track_id for hand in result.hands] == [0, 1]
        assert [hand.joints.joints_px[:, 0].mean() for hand in result.hands] == pytest.approx([left, right], abs=40)
        assert finish is not None and [hand.stage for hand in finish().hands] == ["refined"] * 2
    assert next(detections, None) is None, "the detector looked twice"


def slipped(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> HandPipeline:
    """Two hands, in the second frame: the first one's track slipped, the second is lost, and the first is detected again."""
    answers = iter([(0.95, 60), (0.95, 260), (0.7, 105), (0.1, 260), (0.95, 100)])

    def told(self: Any, crop: HandCrop) -> CropResult:
        score, u = next(answers)
        joints = fakes.FakeDetector.seen_at(u).joints_px
        return CropResult(
            score=score, joints=HandJoints(joints_camera_m=fakes.HAND_M, joints_px=joints, confidence=np.full(21, score))
        )

    monkeypatch.setattr(fakes.FakeEstimator, "_one", told)
    looks = iter([(60, 260), (60,)])
    monkeypatch.setattr(fakes.FakeDetector, "detect", lambda self, rgb: [fakes.FakeDetector.seen_at(u) for u in next(looks)])
    return HandPipeline(SessionConfig(detect_every=1000, smoothing=False))


def test_a_surer_track_on_an_unsure_one_s_hand_is_told_once(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = slipped(fakes, monkeypatch)
    assert [hand.track_id for hand in pipeline.process(frame(fakes, 0, 60)).hands] == [0, 1]
    # The first one slipped, the second one is lost, and what the detector sees is the first one's hand after all.
    (hand,) = pipeline.process(frame(fakes, 1, 60)).hands
    assert hand.track_id == 0 and hand.score == 0.95


def test_a_hand_found_elsewhere_has_its_id_wherever_it_is_told(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_a_rest(fakes, monkeypatch)
    # As where one was lost a moment ago: the detector looks at the frame in which the track ends, too.
    monkeypatch.setattr(Tracker, "can_wait", False)
    pipeline = HandPipeline(SessionConfig(detect_every=2))
    for index, u in enumerate((80, 80, 205)):
        result, finish = pipeline.process_quickly(frame(fakes, index, u))
        assert [hand.track_id for hand in result.hands] == [0]
    assert len(pipeline._estimator.forgotten) == 2, "what was answered in its old place helps no more"  # type: ignore[attr-defined]
    assert result.hands[0].joints.joints_px[:, 0].mean() > 140 and finish is not None
    (finished,) = finish().hands
    assert finished.track_id == 0 and finished.joints.joints_px[:, 0].mean() > 140


def followed_quickly(fakes: ModuleType) -> HandPipeline:
    """A pipeline that follows one hand and looks for others at every fifth frame."""
    pipeline = HandPipeline(SessionConfig(detect_every=5))
    for index in range(5):
        pipeline.process_quickly(frame(fakes, index, 60))
    return pipeline


def test_a_live_view_does_not_wait_for_a_look_that_finds_nothing_new(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = followed_quickly(fakes)
    looked, go_on = threading.Event(), threading.Event()
    (followed,) = pipeline._tracker.tracks
    there = HandDetection(side=followed.side, score=0.9, joints_px=followed.joints_px + 1.0)

    def slowly(self: Any, rgb: np.ndarray) -> list[HandDetection]:
        looked.set()
        assert go_on.wait(20)
        return [there]

    monkeypatch.setattr(fakes.FakeDetector, "detect", slowly)
    for index in range(5, 9):
        result, _ = pipeline.process_quickly(frame(fakes, index, 60))
        assert [hand.track_id for hand in result.hands] == [0] and "detect" not in result.timings_ms
    assert looked.wait(20)
    go_on.set()
    wait_for(lambda: not pipeline._beside.busy)
    looked.clear()
    for index in range(9, 13):
        pipeline.process_quickly(frame(fakes, index, 60))
    assert not looked.is_set(), "that look counts: the next one is due five frames later"


def test_another_hand_that_was_seen_beside_the_live_view_is_looked_for_in_the_present_frame(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = followed_quickly(fakes)
    seen_in: list[int] = []

    def both(self: Any, rgb: np.ndarray) -> list[HandDetection]:
        columns = np.nonzero(rgb[120, :, 0] > 128)[0]
        second = int(columns.max()) - 20
        seen_in.append(second)
        return [fakes.FakeDetector.seen_at(60), fakes.FakeDetector.seen_at(second)]

    monkeypatch.setattr(fakes.FakeDetector, "detect", both)
    for index, second in ((5, 200), (6, 230)):
        shown = frame(fakes, index, 60)
        shown = replace(shown, rgb=np.maximum(shown.rgb, fakes.disc_picture(second)))
        result, _ = pipeline.process_quickly(shown)
        wait_for(lambda: not pipeline._beside.busy)
    assert [hand.track_id for hand in result.hands] == [0, 1] and "detect" in result.timings_ms
    assert len(seen_in) == 2 and seen_in[1] > seen_in[0], "the second look was at the frame that shows it now"
    assert result.hands[1].joints.joints_px[:, 0].mean() == pytest.approx(230, abs=20)


def test_a_look_beside_the_live_view_is_forgotten_after_a_jump(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = followed_quickly(fakes)
    monkeypatch.setattr(fakes.FakeDetector, "detect", lambda self, rgb: [fakes.FakeDetector.seen_at(250)])
    pipeline.process_quickly(frame(fakes, 5, 60))
    pipeline.reset()
    assert pipeline._beside.take() is None
    pipeline.close()


@pytest.mark.parametrize(("lighter", "track_id"), [(15, 0), (60, 1)])
def test_after_a_cut_the_detector_looks_even_if_a_hand_is_in_the_same_place(
    fakes: ModuleType, lighter: int, track_id: int
) -> None:
    pipeline = HandPipeline(SessionConfig(detect_every=1000))
    pipeline.process(frame(fakes, 0, 100))
    second = frame(fakes, 1, 100)
    second.rgb[second.rgb < 128] += lighter
    assert pipeline.process(second).hands[0].track_id == track_id
    assert pipeline.process(replace(second, index=2, t_capture_s=2 / 30)).hands[0].track_id == track_id


def test_stages_are_timed_and_records_complete(fakes: ModuleType) -> None:
    result = HandPipeline(SessionConfig()).process(frame(fakes, 0, 100), dropped=3)
    assert set(result.timings_ms) == {"detect", "crop", "estimate", "smooth"}
    assert result.dropped == 3 and result.estimator == "fake"
    hand = result.hands[0]
    assert hand.joints.joints_camera_m.shape == (21, 3) and hand.crop is not None


def test_a_track_on_its_right_side_forgets_what_was_answered_for_the_wrong_one(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[int] = []
    plain = fakes.FakeEstimator._one
    monkeypatch.setattr(
        fakes.FakeEstimator,
        "_one",
        lambda self, crop: replace(plain(self, crop), side_chance=0.02 if crop.side == "left" else 0.98),
    )
    monkeypatch.setattr(fakes.FakeEstimator, "forget", lambda self, track_id: forgotten.append(track_id))
    pipeline = HandPipeline(SessionConfig())
    hands = [pipeline.process(frame(fakes, number, 100)).hands[0] for number in range(5)]
    assert [hand.side for hand in hands] == ["left", "left", "right", "right", "right"]
    assert {hand.track_id for hand in hands} == {0} and forgotten == [0]


def test_smoothing_can_be_turned_off(fakes: ModuleType) -> None:
    pipeline = HandPipeline(SessionConfig(smoothing=False))
    assert pipeline.process(frame(fakes, 0, 100)).hands[0].stage == "raw"


def test_an_unknown_estimator_keeps_the_old_one(fakes: ModuleType) -> None:
    pipeline = HandPipeline(SessionConfig(estimator="fake"))
    with pytest.raises(HandvizError, match="unknown estimator"):
        pipeline.configure(replace(pipeline.config, estimator="unknown"))
    assert pipeline.config.estimator == "fake"
    assert pipeline.process(frame(fakes, 0, 100)).hands


class Adjusting:
    """Makes estimators that take over hand sizes, and counts those that are built."""

    def __init__(self, fakes: ModuleType) -> None:
        self.fakes, self.built = fakes, 0

    def __call__(self, name: str, options: EstimatorOptions) -> Any:
        if name == "unknown":
            raise HandvizError("unknown estimator")
        self.built += 1
        made = self.fakes.FakeEstimator()
        made.name, made.options = name, options

        def adjust(options: EstimatorOptions) -> bool:
            taken = options.device == made.options.device
            made.options = options if taken else made.options
            return taken

        made.adjust = adjust
        return made


def test_options_that_an_estimator_can_take_as_it_runs_build_nothing(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Adjusting(fakes)
    monkeypatch.setattr("handviz.pipeline.estimators.create_estimator", made)
    pipeline = HandPipeline(SessionConfig(estimator="one", compare_with="two"))
    assert made.built == 2
    pipeline.configure(replace(pipeline.config, hand_scale_m=0.09, hand_shape=(0.0,) * 10))
    assert made.built == 2
    pipeline.configure(replace(pipeline.config, device="cuda"))
    assert made.built == 4
    with pytest.raises(HandvizError):
        pipeline.configure(replace(pipeline.config, hand_scale_m=0.07, compare_with="unknown"))
    kept: Any = pipeline._estimator
    assert pipeline.config.compare_with == "two" and kept.options == pipeline.config.options()
    pipeline.configure(replace(pipeline.config, compare_with=None))
    assert pipeline._second is None and made.built == 4


def test_a_missing_landmark_ends_the_track_and_nothing_breaks(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = HandPipeline(SessionConfig())
    pipeline.process(frame(fakes, 0, 100))
    broken = fakes.HAND_M.copy()
    broken[4] = np.nan
    monkeypatch.setattr(fakes, "HAND_M", broken)
    assert pipeline.process(frame(fakes, 1, 100)).hands == ()


def test_a_smoothed_hand_has_the_box_of_its_joints(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, rng = fakes.FakeEstimator._one, np.random.default_rng(3)
    rest_px = rng.normal(0, 12, (21, 2)) + [100, 120]

    def noisy(self: Any, crop: HandCrop) -> CropResult:
        answer: CropResult = plain(self, crop)
        return replace(answer, joints=replace(answer.joints, joints_px=rest_px + rng.normal(0, 0.3, (21, 2))))

    monkeypatch.setattr(fakes.FakeEstimator, "_one", noisy)
    pipeline = HandPipeline(SessionConfig())
    for index in range(6):
        (hand,) = pipeline.process(frame(fakes, index, 100)).hands
        points = hand.joints.joints_px
        np.testing.assert_allclose(hand.box_xyxy_px, np.concatenate([points.min(0), points.max(0)]))


@pytest.mark.parametrize("idles", [True, False])
def test_a_live_view_without_hands_rests_between_looks_and_a_file_does_not(fakes: ModuleType, idles: bool) -> None:
    pipeline = HandPipeline(SessionConfig(), paced=True, idles=idles)
    fakes.FakeDetector.calls = 0
    for i in range(IDLE_AFTER):
        assert pipeline.process(frame(fakes, i, None)).hands == ()
    assert fakes.FakeDetector.calls == IDLE_AFTER
    for i in range(6 * IDLE_STEP):
        pipeline.process(frame(fakes, IDLE_AFTER + i, None))
    assert fakes.FakeDetector.calls - IDLE_AFTER == (6 if idles else 6 * IDLE_STEP)
    pipeline.process(frame(fakes, 90, None))
    seen = [bool(pipeline.process(frame(fakes, 100 + i, 100)).hands) for i in range(IDLE_STEP)]
    assert seen[-1] and seen[0] != idles
    # Awake again: what is lost is looked for at once.
    pipeline.process(frame(fakes, 110, None))
    assert pipeline.process(frame(fakes, 111, 200)).hands


def test_the_rest_of_a_displaced_hand_is_not_told(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_a_rest(fakes, monkeypatch)
    pipeline = slipped(fakes, monkeypatch)
    pipeline.process_quickly(frame(fakes, 0, 60))
    result, finish = pipeline.process_quickly(frame(fakes, 1, 60))
    assert finish is not None and [hand.score for hand in result.hands] == [0.95]
    assert [hand.joints.confidence[0] for hand in finish().hands] == [0.95]


def test_hands_keep_their_ids_where_a_frame_is_analysed_again_after_a_cut(fakes: ModuleType) -> None:
    pipeline = HandPipeline(SessionConfig(smoothing=False))
    first = pipeline.process(frame(fakes, 10, 100))
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    pipeline.process(replace(frame(fakes, 100, 100), rgb=noise))
    pipeline.reset(first.hands)
    again = pipeline.process(frame(fakes, 10, 100))
    assert [hand.track_id for hand in again.hands] == [hand.track_id for hand in first.hands] == [0]


def test_a_second_estimator_remembers_nothing_from_picture_to_picture(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int | None]] = []
    plain = fakes.FakeEstimator.estimate
    pipeline = HandPipeline(SessionConfig(compare_with="other"))
    second = pipeline._second

    def noted(self: Any, crops: list[HandCrop], ids: list[int | None]) -> Any:
        if self is second:
            asked.append(list(ids))
        return plain(self, crops, ids)

    monkeypatch.setattr(fakes.FakeEstimator, "estimate", noted)
    for index in range(2):
        assert len(pipeline.process_still(frame(fakes, index, 100 + 40 * index)).compared) == 1
    assert asked == [[None], [None]]


def test_the_same_estimator_compared_sees_the_same_crop(fakes: ModuleType) -> None:
    pipeline = HandPipeline(SessionConfig(compare_with="other", smoothing=False))
    for index in range(3):
        result = pipeline.process(frame(fakes, index, 100 + 5 * index))
    assert result.compared[0].crop is result.hands[0].crop
