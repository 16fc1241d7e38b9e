"""One frame in, one result out: detect when needed, crop, estimate, track, smooth. No threads, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from handviz.crop import cut_crop, window_from_joints
from handviz.detect.mediapipe_detector import MediaPipeDetector, box_of
from handviz.estimate.base import Estimator, Finish, Resumable
from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import Side
from handviz.pipeline.beside import Look, LookBeside
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.cuts import CutWatch
from handviz.pipeline.estimators import Built, Estimators, RunningModel, Wanted
from handviz.pipeline.hands import crop_for, hand_of, sureness
from handviz.pipeline.stills import StillLooker
from handviz.pipeline.stopwatch import Stopwatch
from handviz.pipeline.where import NextLook
from handviz.pipeline.windows import SteadyWindows
from handviz.postprocess.sides import SideBelief, SideHabit
from handviz.postprocess.smoother import HandSmoother
from handviz.postprocess.tracking import Track, Tracker, TrackingConfig, is_there
from handviz.records import CropResult, Frame, FrameResult, HandCrop, HandEstimate

# After this many frames without a hand a camera's view runs the detector on every third frame: it takes a quarter of a core.
IDLE_AFTER = 30
IDLE_STEP = 3
# Replaces the id of a track that ended, in lists that keep its place.
NO_TRACK = -1


class HandPipeline:
    """Follows hands through the frames of one source, which waits for it unless it is ``paced``.

    If it ``idles``, not every frame is searched after many without a hand. Pictures of one ``collection`` share which side a
    hand is likely to be.
    """

    def __init__(self, config: SessionConfig, *, paced: bool = False, idles: bool = False, collection: bool = False) -> None:
        self.config = config
        self._detector = MediaPipeDetector(config.max_hands)
        self._beside = LookBeside()
        self._next_look = NextLook()
        self._estimators = Estimators(config, paced=paced)
        self._tracker = Tracker(TrackingConfig(max_hands=config.max_hands, detect_every=config.detect_every))
        self._smoothers: dict[int, HandSmoother] = {}
        self._windows = SteadyWindows()
        self._sides: dict[int, Side] = {}
        self._is_cut = CutWatch()
        # The next frame is known not to continue the last one.
        self._begins_anew = False
        self._last_arrival_s: float | None = None
        self._idles = idles
        self._habit = SideHabit() if collection else None
        self._empty_frames = 0
        # While a frame is answered quickly: the remaining work, with the tracks it is for.
        self._rest: list[tuple[list[int], Finish]] = []

    @property
    def running(self) -> RunningModel:
        """The estimator that runs."""
        return self._estimators.running

    @property
    def outpaced(self) -> bool:
        """Whether ``auto`` has chosen another estimator than the one that runs, until ``configure`` is called again."""
        return self._estimators.outpaced

    @property
    def resolved(self) -> SessionConfig:
        """The configuration in use, with ``auto`` replaced by the estimator it stands for now."""
        return self._estimators.config

    @property
    def _estimator(self) -> Estimator:
        return self._estimators.first

    @property
    def _second(self) -> Estimator | None:
        return self._estimators.second

    def unloaded(self, config: SessionConfig) -> tuple[Wanted, ...]:
        """Return the estimators that another configuration needs and that are not loaded."""
        return self._estimators.unloaded(config)

    def configure(self, config: SessionConfig, loaded: Mapping[Built, Estimator] | None = None) -> None:
        """Change the configuration; only what differs and is not ``loaded`` is built, and tracks go on if they can.

        Raises HandvizError and keeps the old configuration if the new one is not possible.
        """
        old = self.config
        self._estimators.configure(config, loaded)
        if config.max_hands != old.max_hands:
            detector = MediaPipeDetector(config.max_hands)
            self._beside.drop()
            self._detector.close()
            self._detector = detector
            self.reset()
        if _smoothed_by(config) != _smoothed_by(old):
            self._smoothers.clear()
        self._tracker.config = TrackingConfig(max_hands=config.max_hands, detect_every=config.detect_every)
        self.config = config

    def reset(self, seen: Sequence[HandEstimate] = ()) -> None:
        """Forget tracks and filters, as after a jump; hands ``seen`` in an earlier analysis of the next frame keep their ids."""
        self._empty_frames = 0
        self._begins_anew = True
        self._next_look.reset()
        self._beside.drop()
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
        self._beside.close()
        self._detector.close()

    def process(self, frame: Frame, *, dropped: int = 0) -> FrameResult:
        """Analyse the next frame of a recording or camera."""
        return self._process(frame, dropped, quick=False)

    def process_quickly(self, frame: Frame, *, dropped: int = 0) -> tuple[FrameResult, Callable[[], FrameResult] | None]:
        """Analyse the next frame as far as a live view waits for it.

        Also return the rest of the work, if an estimator left some: a function that may be called late, in another
        thread, or never, and returns the complete result, of stage ``refined`` and not smoothed.
        """
        self._rest = []
        result = self._process(frame, dropped, quick=True)
        return result, partial(_finished, result, self._rest) if self._rest and result.hands else None

    def _process(self, frame: Frame, dropped: int, *, quick: bool) -> FrameResult:
        watch = Stopwatch()
        if self._is_cut(frame.rgb) and not self._begins_anew:
            self.reset()
        self._begins_anew = False
        idle = self._idles and self._empty_frames >= IDLE_AFTER and self._empty_frames % IDLE_STEP != 0
        looked = self._tracker.wants_detection() and not idle and not (quick and self._left_for_later(frame))
        if looked:
            self._detect(frame, watch)
        hands = self._follow(frame, watch, quick)
        if not looked and not idle and (not hands or self._tracker.misses_one):
            # A hand was lost on this very frame: detect again at once, so that a jump costs no frame.
            self._detect(frame, watch)
            found = self._follow(frame, watch, quick, begun=bool(hands))
            # One of these may have taken an unsure one's place.
            alive = {track.track_id for track in self._tracker.tracks} - {hand.track_id for hand in found}
            hands = [*(hand for hand in hands if hand.track_id in alive), *found]
        self._empty_frames = 0 if hands else self._empty_frames + 1
        if self.config.smoothing:
            with watch.stage("smooth"):
                hands = [self._smooth(hand, frame) for hand in hands]
        result = self._result(frame, hands, watch, dropped, quick=quick)
        self._watch_pace(frame, dropped, watch if hands else None)
        return result

    def _watch_pace(self, frame: Frame, dropped: int, watch: Stopwatch | None) -> None:
        """Tell ``auto`` how long a frame with hands took; frames without hands say nothing about the estimator."""
        # At double speed a recording's frames arrive twice as fast as its own times say.
        last, self._last_arrival_s = self._last_arrival_s, frame.t_arrival_s
        if watch is not None and last is not None and frame.t_arrival_s > last:
            own_ms = sum(ms for stage, ms in watch.ms.items() if stage != "compare")
            self._estimators.saw(own_ms, (frame.t_arrival_s - last) * 1e3 / (dropped + 1))

    def _result(
        self,
        frame: Frame,
        hands: list[HandEstimate],
        watch: Stopwatch,
        dropped: int = 0,
        *,
        quick: bool = False,
        tracked: bool = True,
    ) -> FrameResult:
        compared: tuple[HandEstimate, ...] = ()
        if self._second is not None:
            with watch.stage("compare"):
                compared = self._compare(frame, hands, self._second, quick, tracked=tracked)
        return FrameResult(
            frame=frame,
            hands=tuple(hands),
            timings_ms=watch.ms,
            dropped=dropped,
            estimator=self._estimator.name,
            compared=compared,
            compared_by="" if self._second is None else self._second.name,
        )

    def _compare(
        self, frame: Frame, hands: list[HandEstimate], second: Estimator, quick: bool, *, tracked: bool
    ) -> tuple[HandEstimate, ...]:
        """Run the second estimator on the hands that the first one found."""
        if not hands:
            return ()
        crops = [crop_for(frame, hand, second.crop_spec) for hand in hands]
        # What is known of a hand in another picture says nothing about this one.
        answers, _ = _answers(second, crops, [hand.track_id if tracked else None for hand in hands], quick)
        return tuple(
            hand_of(hand.track_id, hand.side, crop, answer) for hand, crop, answer in zip(hands, crops, answers, strict=True)
        )

    def process_still(self, frame: Frame) -> FrameResult:
        """Analyse a still picture: no tracking, no smoothing; see ``handviz.pipeline.stills``."""
        watch = Stopwatch()
        seen_by, hands = StillLooker(frame, self._detector, self._estimator, watch, self._habit).look()
        return self._result(seen_by, hands, watch, tracked=False)

    def _left_for_later(self, frame: Frame) -> bool:
        """Say whether this frame needs no detection, because one in parallel to the live view is running or said enough.

        A detection takes longer than a frame may, and is due several times a second. Only if it found something whose present
        position matters, another hand or one that moved, does a frame wait for the detector.
        """
        if not self._tracker.can_wait:
            return False
        if self._beside.busy:
            return True
        seen = self._beside.take()
        if seen is None:
            self._beside.begin(self._look_at(frame), frame.rgb, self._tracker.tracks)
            return True
        if self._tracker.detected_late(*seen):
            return True
        self._next_look.again()
        return False

    def _detect(self, frame: Frame, watch: Stopwatch) -> None:
        with watch.stage("detect"):
            self._beside.drop()
            self._tracker.detected(self._look_at(frame)(frame.rgb))

    def _look_at(self, frame: Frame) -> Look:
        return self._next_look(self._detector, frame.rgb, self._tracker)

    def _follow(self, frame: Frame, watch: Stopwatch, quick: bool, *, begun: bool = False) -> list[HandEstimate]:
        """Return the hands of all tracks, or of those that were ``begun`` after the others of this frame."""
        tracks = list(self._tracker.begun if begun else self._tracker.tracks)
        if not tracks:
            self._tracker.estimated([], [], begun=begun)
            return []
        joints, sides, ids = [t.joints_px for t in tracks], [t.side for t in tracks], [t.track_id for t in tracks]
        for track_id, side in zip(ids, sides, strict=True):
            if self._sides.setdefault(track_id, side) != side:
                # Answers for a hand of the other side are of no use any more.
                self._sides[track_id] = side
                self._forget_answers(track_id)
        crops, results, finish = self._estimate(frame, joints, sides, ids, watch, quick)
        sure = [sureness(r) for r in results]
        ended = self._tracker.estimated(
            [r.joints.joints_px for r in results],
            [r.score for r in results],
            sure,
            [r.side_chance for r in results],
            begun=begun,
        )
        renamed = self._tracker.renamed
        self._end([*ended, *renamed])
        if finish is not None and not set(ids) <= set(ended):
            self._rest.append(([NO_TRACK if i in ended else renamed.get(i, i) for i in ids], finish))
        # A track that continues may still be lost in this frame.
        seen = [
            (t, crop, result)
            for t, crop, result in zip(tracks, crops, results, strict=True)
            if t.track_id not in ended and is_there(result.score, result.joints.joints_px)
        ]
        return [hand_of(renamed.get(t.track_id, t.track_id), t.side, crop, result) for t, crop, result in seen]

    def _estimate(
        self, frame: Frame, joints: list[FloatArray], sides: list[Side], ids: list[int], watch: Stopwatch, quick: bool
    ) -> tuple[list[HandCrop], list[CropResult], Finish | None]:
        spec = self._estimator.crop_spec
        with watch.stage("crop"):
            windows = [self._windows(i, window_from_joints(j, spec)) for i, j in zip(ids, joints, strict=True)]
            crops = [
                cut_crop(frame.rgb, frame.camera, window, side, spec.size) for window, side in zip(windows, sides, strict=True)
            ]
        with watch.stage("estimate"):
            results, finish = _answers(self._estimator, crops, ids, quick)
        return crops, results, finish

    def _smooth(self, hand: HandEstimate, frame: Frame) -> HandEstimate:
        smoother = self._smoothers.get(hand.track_id)
        if smoother is None:
            smoother = self._smoothers[hand.track_id] = HandSmoother(self.config.smoothing_strength)
        smooth = smoother(hand, frame.t_capture_s, frame.camera.K)
        return replace(smooth, box_xyxy_px=box_of(smooth.joints.joints_px))


def _as_seen(hand: HandEstimate) -> Track:
    """Return a track for a hand of a result; the side shown is trusted until the network says something."""
    belief = SideBelief(chance=1.0)
    return Track(track_id=hand.track_id, side=hand.side, joints_px=hand.joints.joints_px, score=hand.score, side_belief=belief)


def _smoothed_by(config: SessionConfig) -> tuple[object, ...]:
    """Return the settings that a filter's state depends on: parameters mean something else for another hand model."""
    return config.smoothing, config.smoothing_strength, config.estimator, config.hand_model


def _answers(
    estimator: Estimator, crops: list[HandCrop], ids: Sequence[int | None], quick: bool
) -> tuple[list[CropResult], Finish | None]:
    if quick and isinstance(estimator, Resumable):
        return estimator.estimate_quickly(crops, ids)
    return estimator.estimate(crops, ids), None


def _finished(result: FrameResult, rests: Sequence[tuple[list[int], Finish]]) -> FrameResult:
    """Return a result with its hands as completed by the rest of the work."""
    full = {track_id: answer for ids, finish in rests for track_id, answer in zip(ids, finish(), strict=True)}
    return replace(result, hands=tuple(_with_rest(hand, full.get(hand.track_id)) for hand in result.hands))


def _with_rest(hand: HandEstimate, full: CropResult | None) -> HandEstimate:
    if full is None:
        return hand
    box = box_of(full.joints.joints_px)
    return replace(hand, joints=full.joints, mesh=full.mesh, box_xyxy_px=box, stage="refined")
