"""One frame in, one result out: detect when needed, crop, estimate, track, smooth. No threads, no clock of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handviz.crop import cut_crop, window_from_joints
from handviz.detect.mediapipe_detector import MediaPipeDetector, box_of
from handviz.errors import HandvizError
from handviz.estimate.base import Adjustable, DeviceName, Estimator, EstimatorOptions
from handviz.estimate.registry import create_estimator
from handviz.geometry.camera import DEFAULT_FOV_DEG, FloatArray
from handviz.hand.mirror import Side
from handviz.hand.skeleton import palm_length
from handviz.postprocess.one_euro import HandSmoother
from handviz.postprocess.tracking import LOST_SCORE, Tracker, TrackingConfig
from handviz.records import CropResult, Frame, FrameResult, HandCrop, HandDetection, HandEstimate

# The most accurate one that gives a mesh; see the results in README.
DEFAULT_ESTIMATOR = "fit"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Everything a user may choose about the analysis."""

    estimator: str = DEFAULT_ESTIMATOR
    max_hands: int = 2
    smoothing: bool = True
    smoothing_strength: float = 0.5
    device: DeviceName = "auto"
    fov_deg: float = DEFAULT_FOV_DEG
    intrinsics: Path | None = None
    hand_model: str = "default"
    hand_scale_m: float | None = None
    hand_shape: tuple[float, ...] | None = None
    detect_every: int = 15
    want_heatmaps: bool = False
    want_features: bool = False
    refine_iterations: int = 0
    compare_with: str | None = None

    def options(self) -> EstimatorOptions:
        """Return the part that concerns the estimator."""
        return EstimatorOptions(
            device=self.device,
            hand_model=self.hand_model,
            hand_scale_m=self.hand_scale_m,
            hand_shape=self.hand_shape,
            want_heatmaps=self.want_heatmaps,
            want_features=self.want_features,
            refine_iterations=self.refine_iterations,
        )


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
    """Follows hands through the frames of one source."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self._detector = MediaPipeDetector(config.max_hands)
        self._estimator: Estimator = create_estimator(config.estimator, config.options())
        self._second = _second_estimator(config)
        self._tracker = Tracker(TrackingConfig(max_hands=config.max_hands, detect_every=config.detect_every))
        self._smoothers: dict[int, HandSmoother] = {}

    @property
    def device(self) -> str:
        """Where the estimator runs."""
        return self._estimator.device

    def configure(self, config: SessionConfig) -> None:
        """Change the choices; only what differs is built anew, and the tracks go on where they can.

        Raises HandvizError and keeps the old choices when the new ones can not be met.
        """
        old = self.config
        self._choose_estimators(config)
        if config.max_hands != old.max_hands:
            detector = MediaPipeDetector(config.max_hands)
            self._detector.close()
            self._detector = detector
            self.reset()
        if (config.smoothing, config.smoothing_strength) != (old.smoothing, old.smoothing_strength):
            self._smoothers.clear()
        self._tracker.config = TrackingConfig(max_hands=config.max_hands, detect_every=config.detect_every)
        self.config = config

    def _choose_estimators(self, config: SessionConfig) -> None:
        old, options = self.config, config.options()
        first, second = self._estimator, self._second
        try:
            if (config.estimator, options) != (old.estimator, old.options()):
                first = _adjusted(first, config.estimator, options)
            if config.compare_with is None:
                second = None
            elif (config.compare_with, options) != (old.compare_with, old.options()):
                second = _adjusted(second, config.compare_with, options)
        except HandvizError:
            if first is self._estimator:
                # It may have taken the new options over before the other one could not be met.
                self._estimator = _adjusted(first, old.estimator, old.options())
            raise
        self._estimator, self._second = first, second

    def reset(self) -> None:
        """Forget tracks and filters, as after a jump."""
        self._end(self._tracker.reset())

    def _end(self, track_ids: list[int]) -> None:
        for track_id in track_ids:
            self._smoothers.pop(track_id, None)
            self._estimator.forget(track_id)
            if self._second is not None:
                self._second.forget(track_id)

    def close(self) -> None:
        """Release native resources."""
        self._detector.close()

    def process(self, frame: Frame, *, dropped: int = 0) -> FrameResult:
        """Analyse the next frame of a recording or camera."""
        watch = Stopwatch()
        looked = self._tracker.wants_detection()
        if looked:
            self._detect(frame, watch)
        hands = self._follow(frame, watch)
        if not hands and not looked:
            # All tracks were lost on this very frame: look again at once, so that a jump costs no frame.
            self._detect(frame, watch)
            hands = self._follow(frame, watch)
        if self.config.smoothing:
            with watch.stage("smooth"):
                hands = [self._smooth(hand, frame.t_capture_s) for hand in hands]
        return self._result(frame, hands, watch, dropped)

    def _result(self, frame: Frame, hands: list[HandEstimate], watch: Stopwatch, dropped: int = 0) -> FrameResult:
        compared: tuple[HandEstimate, ...] = ()
        if self._second is not None:
            with watch.stage("compare"):
                compared = self._compare(frame, hands, self._second)
        return FrameResult(
            frame=frame,
            hands=tuple(hands),
            timings_ms=watch.ms,
            dropped=dropped,
            estimator=self._estimator.name,
            compared=compared,
        )

    def _compare(self, frame: Frame, hands: list[HandEstimate], second: Estimator) -> tuple[HandEstimate, ...]:
        """Ask the second estimator about the hands that the first one found."""
        if not hands:
            return ()
        spec = second.crop_spec
        crops = [
            cut_crop(frame.rgb, frame.camera, window_from_joints(h.joints.joints_px, spec), h.side, spec.size) for h in hands
        ]
        answers = second.estimate(crops, [hand.track_id for hand in hands])
        return tuple(
            _hand(hand.track_id, hand.side, crop, answer) for hand, crop, answer in zip(hands, crops, answers, strict=True)
        )

    def process_still(self, frame: Frame) -> FrameResult:
        """Analyse a picture on its own: no tracking, no smoothing, and a hand that fills the picture is found too."""
        watch = Stopwatch()
        with watch.stage("detect"):
            detections = self._detector.detect_thoroughly(frame.rgb)
        hands: list[HandEstimate] = []
        for number, detection in enumerate(detections):
            crop, result = self._look_at(frame, detection, watch)
            if result.score >= LOST_SCORE and np.isfinite(result.joints.joints_px).all():
                hands.append(_hand(number, detection.side, crop, result))
        return self._result(frame, hands, watch)

    def _look_at(self, frame: Frame, detection: HandDetection, watch: Stopwatch) -> tuple[HandCrop, CropResult]:
        """Estimate one hand of a picture on its own, in crops around the detector's joints.

        A second crop around the network's own first joints was worse: where those fall short, it cuts the fingertips off.
        """
        assert detection.joints_px is not None
        spec = self._estimator.crop_spec
        window = window_from_joints(detection.joints_px, spec)
        rolls = [window.roll + math.radians(roll) for roll in spec.still_rolls_deg]
        with watch.stage("crop"):
            crops = [cut_crop(frame.rgb, frame.camera, replace(window, roll=r), detection.side, spec.size) for r in rolls]
        with watch.stage("estimate"):
            results = self._estimator.estimate(crops, [None] * len(crops))
        return crops[0], _averaged(results)

    def _detect(self, frame: Frame, watch: Stopwatch) -> None:
        with watch.stage("detect"):
            self._tracker.detected(self._detector.detect(frame.rgb))

    def _follow(self, frame: Frame, watch: Stopwatch) -> list[HandEstimate]:
        tracks = list(self._tracker.tracks)
        if not tracks:
            self._tracker.estimated([], [])
            return []
        joints, sides, ids = [t.joints_px for t in tracks], [t.side for t in tracks], [t.track_id for t in tracks]
        crops, results = self._estimate(frame, joints, sides, ids, watch)
        sureness = [float(np.mean(r.joints.confidence)) for r in results]
        ended = self._tracker.estimated([r.joints.joints_px for r in results], [r.score for r in results], sureness)
        self._end(ended)
        together = zip(tracks, crops, results, strict=True)
        return [_hand(t.track_id, t.side, crop, result) for t, crop, result in together if t.track_id not in ended]

    def _estimate(
        self, frame: Frame, joints: list[FloatArray], sides: list[Side], ids: list[int] | list[None], watch: Stopwatch
    ) -> tuple[list[HandCrop], list[CropResult]]:
        spec = self._estimator.crop_spec
        with watch.stage("crop"):
            windows = [window_from_joints(j, spec) for j in joints]
            crops = [
                cut_crop(frame.rgb, frame.camera, window, side, spec.size) for window, side in zip(windows, sides, strict=True)
            ]
        with watch.stage("estimate"):
            return crops, self._estimator.estimate(crops, ids)

    def _smooth(self, hand: HandEstimate, t_s: float) -> HandEstimate:
        smoother = self._smoothers.get(hand.track_id)
        if smoother is None:
            palm_px = float(palm_length(hand.joints.joints_px))
            smoother = self._smoothers[hand.track_id] = HandSmoother(self.config.smoothing_strength, palm_px)
        return smoother(hand, t_s)


def _averaged(results: list[CropResult]) -> CropResult:
    """Average joints, confidence and score of several looks at one hand; the rest comes from the first."""
    if len(results) == 1:
        return results[0]
    joints = replace(
        results[0].joints,
        joints_camera_m=np.mean([r.joints.joints_camera_m for r in results], axis=0),
        joints_px=np.mean([r.joints.joints_px for r in results], axis=0),
        confidence=np.mean([r.joints.confidence for r in results], axis=0),
    )
    return replace(results[0], joints=joints, score=float(np.mean([r.score for r in results])))


def _adjusted(present: Estimator | None, name: str, options: EstimatorOptions) -> Estimator:
    """Return the present estimator with other options where it can take them as it runs, else a new one."""
    if present is not None and present.name == name and isinstance(present, Adjustable) and present.adjust(options):
        return present
    return create_estimator(name, options)


def _second_estimator(config: SessionConfig) -> Estimator | None:
    return create_estimator(config.compare_with, config.options()) if config.compare_with else None


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
