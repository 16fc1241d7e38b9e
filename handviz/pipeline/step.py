"""One frame in, one result out: detect when needed, crop, estimate, track, smooth. No threads, no clock of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np

from handviz.crop import CropSpec, CropWindow, cut_crop, window_from_joints
from handviz.detect.mediapipe_detector import MediaPipeDetector, box_of
from handviz.estimate.base import Estimator, Finish, Resumable
from handviz.estimate.looks import averaged
from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import Side, other_side
from handviz.hand.skeleton import palm_length
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.cuts import CutWatch
from handviz.pipeline.estimators import Built, Estimators, RunningModel, Wanted
from handviz.pipeline.windows import SteadyWindows
from handviz.postprocess.sides import SideBelief
from handviz.postprocess.smoother import HandSmoother
from handviz.postprocess.tracking import LOST_SCORE, Track, Tracker, TrackingConfig
from handviz.records import CropResult, Frame, FrameResult, HandCrop, HandDetection, HandEstimate

# Looks at a picture on its own around what was found in it, after the one around the detector's joints. With none, one and two of
# them `groups-fit` was 10.37, 10.17, 10.12 mm off on webcam-like pictures, 13.16, 12.73, 12.59 on those of the training recipe
# (400 of each, hands told their side), and 6.02, 5.98, 5.93 from the labels of 398 photographs.
CLOSER_LOOKS = 2
# A picture on its own is taken for a hand of the other side where that is likelier by this much.
SIDE_MARGIN = 0.2


class Stopwatch:
    """Adds up milliseconds by stage name."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block and add it to the stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - start) * 1e3


class HandPipeline:
    """Follows hands through the frames of one source, which waits for it unless it is ``paced``."""

    def __init__(self, config: SessionConfig, *, paced: bool = False) -> None:
        self.config = config
        self._detector = MediaPipeDetector(config.max_hands)
        self._estimators = Estimators(config, paced=paced)
        self._tracker = Tracker(TrackingConfig(max_hands=config.max_hands, detect_every=config.detect_every))
        self._smoothers: dict[int, HandSmoother] = {}
        self._windows = SteadyWindows()
        self._sides: dict[int, Side] = {}
        self._is_cut = CutWatch()
        self._last_t_s: float | None = None
        # While a frame is answered quickly: what is left to do for these tracks.
        self._rest: tuple[list[int], Finish] | None = None

    @property
    def running(self) -> RunningModel:
        """The estimator that runs."""
        return self._estimators.running

    @property
    def resolved(self) -> SessionConfig:
        """The choices in force, with the estimator that ``auto`` means now."""
        return self._estimators.config

    @property
    def _estimator(self) -> Estimator:
        return self._estimators.first

    @property
    def _second(self) -> Estimator | None:
        return self._estimators.second

    def unloaded(self, config: SessionConfig) -> tuple[Wanted, ...]:
        """Return the estimators that other choices need and that are not here."""
        return self._estimators.unloaded(config)

    def configure(self, config: SessionConfig, loaded: Mapping[Built, Estimator] | None = None) -> None:
        """Change the choices; only what differs and is not ``loaded`` is built, and the tracks go on where they can.

        Raises HandvizError and keeps the old choices when the new ones can not be met.
        """
        old = self.config
        self._estimators.configure(config, loaded)
        if config.max_hands != old.max_hands:
            detector = MediaPipeDetector(config.max_hands)
            self._detector.close()
            self._detector = detector
            self.reset()
        if _smoothed_by(config) != _smoothed_by(old):
            self._smoothers.clear()
        self._tracker.config = TrackingConfig(max_hands=config.max_hands, detect_every=config.detect_every)
        self.config = config

    def reset(self, seen: Sequence[HandEstimate] = ()) -> None:
        """Forget tracks and filters, as after a jump; hands ``seen`` before in the frame that comes next keep their ids."""
        self._end(self._tracker.reset([_as_seen(hand) for hand in seen]))

    def _end(self, track_ids: list[int]) -> None:
        for track_id in track_ids:
            self._sides.pop(track_id, None)
            self._windows.forget(track_id)
            self._forget_answers(track_id)

    def _forget_answers(self, track_id: int) -> None:
        self._smoothers.pop(track_id, None)
        self._estimator.forget(track_id)
        if self._second is not None:
            self._second.forget(track_id)

    def close(self) -> None:
        """Release native resources."""
        self._detector.close()

    def process(self, frame: Frame, *, dropped: int = 0) -> FrameResult:
        """Analyse the next frame of a recording or camera."""
        return self._process(frame, dropped, quick=False)

    def process_quickly(self, frame: Frame, *, dropped: int = 0) -> tuple[FrameResult, Callable[[], FrameResult] | None]:
        """Analyse the next frame as far as a live view waits for it.

        Besides, return the rest of the work, where an estimator left some: a function that may be called late, in another
        thread, or never, and gives the result in full, of stage ``refined`` and not smoothed.
        """
        self._rest = None
        result = self._process(frame, dropped, quick=True)
        return result, None if self._rest is None or not result.hands else partial(_finished, result, *self._rest)

    def _process(self, frame: Frame, dropped: int, *, quick: bool) -> FrameResult:
        watch = Stopwatch()
        if self._is_cut(frame.rgb):
            self.reset()
        looked = self._tracker.wants_detection()
        if looked:
            self._detect(frame, watch)
        hands = self._follow(frame, watch, quick)
        if not hands and not looked:
            # All tracks were lost on this very frame: look again at once, so that a jump costs no frame.
            self._detect(frame, watch)
            hands = self._follow(frame, watch, quick)
        if self.config.smoothing:
            with watch.stage("smooth"):
                hands = [self._smooth(hand, frame.t_capture_s) for hand in hands]
        result = self._result(frame, hands, watch, dropped, quick=quick)
        self._watch_pace(frame, dropped, watch if hands else None)
        return result

    def _watch_pace(self, frame: Frame, dropped: int, watch: Stopwatch | None) -> None:
        """Tell ``auto`` how long a frame with hands took; frames without say nothing about the estimator."""
        last, self._last_t_s = self._last_t_s, frame.t_capture_s
        if watch is not None and last is not None and frame.t_capture_s > last:
            own_ms = sum(ms for stage, ms in watch.ms.items() if stage != "compare")
            self._estimators.saw(own_ms, (frame.t_capture_s - last) * 1e3 / (dropped + 1))

    def _result(
        self, frame: Frame, hands: list[HandEstimate], watch: Stopwatch, dropped: int = 0, *, quick: bool = False
    ) -> FrameResult:
        compared: tuple[HandEstimate, ...] = ()
        if self._second is not None:
            with watch.stage("compare"):
                compared = self._compare(frame, hands, self._second, quick)
        return FrameResult(
            frame=frame,
            hands=tuple(hands),
            timings_ms=watch.ms,
            dropped=dropped,
            estimator=self._estimator.name,
            compared=compared,
        )

    def _compare(self, frame: Frame, hands: list[HandEstimate], second: Estimator, quick: bool) -> tuple[HandEstimate, ...]:
        """Ask the second estimator about the hands that the first one found."""
        if not hands:
            return ()
        spec = second.crop_spec
        crops = [
            cut_crop(frame.rgb, frame.camera, window_from_joints(h.joints.joints_px, spec), h.side, spec.size) for h in hands
        ]
        answers, _ = _answers(second, crops, [hand.track_id for hand in hands], quick)
        return tuple(
            _hand(hand.track_id, hand.side, crop, answer) for hand, crop, answer in zip(hands, crops, answers, strict=True)
        )

    def process_still(self, frame: Frame) -> FrameResult:
        """Analyse a picture on its own: no tracking, no smoothing, and a hand that fills the picture is found too."""
        watch = Stopwatch()
        with watch.stage("detect"):
            sure = self._detector.detect_thoroughly(frame.rgb)
            detections = sure or self._detector.detect_eagerly(frame.rgb)
        hands: list[HandEstimate] = []
        for detection in detections:
            crop, result = self._look_at(frame, detection, watch)
            # What the detector is not sure of must convince the estimator twice.
            belief = result.score if sure else min(result.score, _sureness(result))
            if belief >= LOST_SCORE and np.isfinite(result.joints.joints_px).all():
                hands.append(_hand(len(hands), crop.side, crop, result))
        return self._result(frame, hands, watch)

    def _look_at(self, frame: Frame, detection: HandDetection, watch: Stopwatch) -> tuple[HandCrop, CropResult]:
        """Estimate one hand of a picture on its own: in a crop around the detector's joints, then around what was found there.

        A closer look is no smaller than the one before: where first joints fall short, it would cut the fingertips off.
        """
        assert detection.joints_px is not None
        spec = self._estimator.crop_spec
        window = window_from_joints(detection.joints_px, spec)
        crop, result = self._look_as_it_fits(detection.side, frame, window, watch)
        for _ in range(CLOSER_LOOKS):
            if not np.isfinite(result.joints.joints_px).all():
                break
            around = window_from_joints(result.joints.joints_px, spec)
            window = replace(around, side=max(around.side, window.side))
            crop, result = self._look_as(crop.side, frame, window, watch)
        return crop, result

    def _look_as_it_fits(self, side: Side, frame: Frame, window: CropWindow, watch: Stopwatch) -> tuple[HandCrop, CropResult]:
        """Estimate a hand as one of this side, and of the other where that is not likely; return what fits better."""
        crop, result = self._look_as(side, frame, window, watch)
        belief, margin = _side_belief(result, self._estimator.crop_spec)
        if margin is None or belief > 1.0 - margin:
            return crop, result
        other_crop, other_result = self._look_as(other_side(side), frame, window, watch)
        if _side_belief(other_result, self._estimator.crop_spec)[0] > belief + margin:
            return other_crop, other_result
        return crop, result

    def _look_as(self, side: Side, frame: Frame, window: CropWindow, watch: Stopwatch) -> tuple[HandCrop, CropResult]:
        spec = self._estimator.crop_spec
        rolls = [window.roll + math.radians(roll) for roll in spec.still_rolls_deg]
        with watch.stage("crop"):
            crops = [cut_crop(frame.rgb, frame.camera, replace(window, roll=r), side, spec.size) for r in rolls]
        with watch.stage("estimate"):
            results = self._estimator.estimate(crops, [None] * len(crops))
        return crops[0], averaged(results)

    def _detect(self, frame: Frame, watch: Stopwatch) -> None:
        with watch.stage("detect"):
            self._tracker.detected(self._detector.detect(frame.rgb))

    def _follow(self, frame: Frame, watch: Stopwatch, quick: bool) -> list[HandEstimate]:
        tracks = list(self._tracker.tracks)
        if not tracks:
            self._tracker.estimated([], [])
            return []
        joints, sides, ids = [t.joints_px for t in tracks], [t.side for t in tracks], [t.track_id for t in tracks]
        for track_id, side in zip(ids, sides, strict=True):
            if self._sides.setdefault(track_id, side) != side:
                # What was answered for a hand of the other side helps no more.
                self._sides[track_id] = side
                self._forget_answers(track_id)
        crops, results = self._estimate(frame, joints, sides, ids, watch, quick)
        sureness = [_sureness(r) for r in results]
        ended = self._tracker.estimated(
            [r.joints.joints_px for r in results],
            [r.score for r in results],
            sureness,
            [r.side_chance for r in results],
        )
        self._end(ended)
        together = zip(tracks, crops, results, strict=True)
        return [_hand(t.track_id, t.side, crop, result) for t, crop, result in together if t.track_id not in ended]

    def _estimate(
        self, frame: Frame, joints: list[FloatArray], sides: list[Side], ids: list[int], watch: Stopwatch, quick: bool
    ) -> tuple[list[HandCrop], list[CropResult]]:
        spec = self._estimator.crop_spec
        with watch.stage("crop"):
            windows = [self._windows(i, window_from_joints(j, spec)) for i, j in zip(ids, joints, strict=True)]
            crops = [
                cut_crop(frame.rgb, frame.camera, window, side, spec.size) for window, side in zip(windows, sides, strict=True)
            ]
        with watch.stage("estimate"):
            results, finish = _answers(self._estimator, crops, ids, quick)
        self._rest = None if finish is None else (ids, finish)
        return crops, results

    def _smooth(self, hand: HandEstimate, t_s: float) -> HandEstimate:
        smoother = self._smoothers.get(hand.track_id)
        if smoother is None:
            palm_px = float(palm_length(hand.joints.joints_px))
            smoother = self._smoothers[hand.track_id] = HandSmoother(self.config.smoothing_strength, palm_px)
        return smoother(hand, t_s)


def _as_seen(hand: HandEstimate) -> Track:
    """Return a track for a hand of a result; the side that was shown is believed until the network says something."""
    belief = SideBelief(chance=1.0)
    return Track(track_id=hand.track_id, side=hand.side, joints_px=hand.joints.joints_px, score=hand.score, side_belief=belief)


def _smoothed_by(config: SessionConfig) -> tuple[object, ...]:
    """Return what a filter's past belongs to: parameters mean something else for another hand model."""
    return config.smoothing, config.smoothing_strength, config.estimator, config.hand_model


def _answers(
    estimator: Estimator, crops: list[HandCrop], ids: Sequence[int], quick: bool
) -> tuple[list[CropResult], Finish | None]:
    if quick and isinstance(estimator, Resumable):
        return estimator.estimate_quickly(crops, ids)
    return estimator.estimate(crops, ids), None


def _finished(result: FrameResult, ids: list[int], finish: Finish) -> FrameResult:
    """Return a result with its hands as the rest of the work left them."""
    full = dict(zip(ids, finish(), strict=True))
    hands = tuple(
        replace(
            hand,
            joints=full[hand.track_id].joints,
            mesh=full[hand.track_id].mesh,
            box_xyxy_px=box_of(full[hand.track_id].joints.joints_px),
            stage="refined",
        )
        for hand in result.hands
    )
    return replace(result, hands=hands)


def _sureness(result: CropResult) -> float:
    return float(np.mean(result.joints.confidence))


def _side_belief(result: CropResult, spec: CropSpec) -> tuple[float, float | None]:
    """Return what speaks for the side a crop was cut for, and how much more must speak for the other one (None: nothing can).

    A network that can not tell sides is less sure of the joints of a hand of the wrong one.
    """
    if result.side_chance is not None:
        return result.side_chance, SIDE_MARGIN
    return _sureness(result), spec.still_side_margin


def _hand(track_id: int, side: Side, crop: HandCrop, result: CropResult) -> HandEstimate:
    return HandEstimate(
        track_id=track_id,
        side=side,
        score=result.score,
        box_xyxy_px=box_of(result.joints.joints_px),
        joints=result.joints,
        crop=crop,
        mesh=result.mesh,
        groups=result.groups,
        heatmaps=result.heatmaps,
        mask=result.mask,
        features=result.features,
    )
