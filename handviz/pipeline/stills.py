"""Hands in a still picture: no tracks, no smoothing, and as many looks (network passes) as a hand needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from handviz.crop import CropWindow, cut_crop, window_from_joints
from handviz.detect.mediapipe_detector import USUAL_HANDS, MediaPipeDetector
from handviz.estimate.base import Estimator, Glancing
from handviz.estimate.looks import averaged
from handviz.geometry.camera import narrowed_for
from handviz.hand.mirror import Side, other_side
from handviz.hand.skeleton import ROOT
from handviz.pipeline.hands import hand_of, sureness
from handviz.pipeline.sights import Sight, agree, distinct_sights, hand_belief, is_same, lower_belief
from handviz.pipeline.stopwatch import Stopwatch
from handviz.postprocess.sides import SideHabit
from handviz.postprocess.tracking import LOST_SCORE, PART_SCORE
from handviz.records import CropResult, Frame, HandDetection, HandEstimate, UInt8Array

SIDES: tuple[Side, ...] = ("left", "right")
Detect = Callable[[UInt8Array], list[HandDetection]]

# Further looks at a still picture around the joints found in it, after the one around the detector's joints. With none, one and
# two of them the error of `groups-fit` was 10.37, 10.17, 10.12 mm on webcam-like pictures, 13.16, 12.73, 12.59 on those of the
# training recipe (400 of each, with the hands' sides given), and 6.02, 5.98, 5.93 to the labels of 398 photographs.
CLOSER_LOOKS = 2
# A hand in a still picture is taken for one of the other side if that is likelier by this much.
SIDE_MARGIN = 0.2
# If the detector finds nothing likely: windows in the middle, as fractions of the picture's shorter side, the number of rolls of
# each, and the least likelihood of a hand that is found there (of the beliefs in it and its joints, if sides are not told).
SCAN_SIDES = (0.75, 1.05)
SCAN_ROLLS = 8
SCAN_SCORE = 0.8
# After that the whole picture is searched: in smaller windows, spaced by this fraction of their side, for hands that point up or
# nearly so. What both ways find counts from a lower likelihood on. In 200 cuts of panoramas without a hand the three accept 5,
# and 112 of 131 hands that the detector does not find in 400 pictures of the training recipe; the lower of the beliefs in the
# hand and its joints instead of the likelihood, which has to be 0.8 or 0.9, accepted 12 and 89.
SEARCH_SCORE = 0.9
AGREED_SCORE = 0.5
SEARCH_SIDE = 0.6
SEARCH_STEP = 0.6
SEARCH_ROLLS_DEG = (-45.0, 0.0, 45.0)
# At most this many windows along a side, for pictures that are far longer than high.
SEARCH_MOST = 8
# Crops per batch of glances: more would only take memory.
GLANCES = 32
# A hand less sure than this is also looked for in wider windows, in this many rolls each; it must be so much likelier there.
SURE = 0.9
WIDER = (1.0, 1.5, 2.25)
WIDER_ROLLS = 4
WIDER_GAIN = 1.25
# Focal lengths whose logarithms differ by less than this count as the same, given how well distances are known.
SAME_VIEW = 0.1


# A function that gives first looks, one that gives the belief in a look, and the least belief that a hand needs.
Stage = tuple[Callable[[], list[Sight]], Callable[[Sight], float], float]


@dataclass(frozen=True, slots=True)
class StillLooker:
    """Analyses one picture with a detector and an estimator, and times the stages."""

    frame: Frame
    detector: MediaPipeDetector
    estimator: Estimator
    watch: Stopwatch
    habit: SideHabit | None = None

    def look(self) -> tuple[Frame, list[HandEstimate]]:
        """Return all hands, the surest first, and the frame with the camera that they were estimated with.

        What the detector is sure of is accepted; what it only suspects, and what is found without it, must convince the
        estimator twice: by its belief in a hand and by its confidence in the joints. If no hand is likely, it is looked for
        without the detector, which takes part of a hand or something else for one now and then.
        """
        small: Stage = (partial(self._around_what, self.detector.detect_in_parts), lower_belief, PART_SCORE)
        detected: tuple[Stage, ...] = (
            (partial(self._around_what, self.detector.detect_thoroughly), hand_belief, LOST_SCORE),
            (partial(self._around_what, self.detector.detect_eagerly), lower_belief, LOST_SCORE),
            small,
        )
        for stage in detected:
            seen_by, hands = self._found(*stage)
            if hands:
                break
        seen_by, hands = self._with_likelier(seen_by, hands)
        if self.detector.max_hands > USUAL_HANDS and 0 < len(hands) < self.detector.max_hands:
            hands = self._with_others(seen_by, hands, small)
        if not hands:
            return self.frame, []
        self._learn_habit(hands)
        return seen_by, [hand_of(i, look.crop.side, look.crop, look.result) for i, look in enumerate(hands)]

    def _with_likelier(self, seen_by: Frame, hands: list[Sight]) -> tuple[Frame, list[Sight]]:
        """Return what ``_found`` does with a hand that is found without the detector before the others, if it is likelier.

        It replaces those that it shows better; if it shows none of them, it must be likely on its own, or be found twice.
        """
        suspect: Sight | None = None
        for first_looks, least in ((self._scanned, SCAN_SCORE), (self._searched, SEARCH_SCORE)):
            if not self._are_unlikely(hands):
                break
            frame, found = self._found(first_looks, lower_belief, 0.0)
            if self._best_likelihood(found) <= self._best_likelihood(hands):
                continue
            look = found[0]
            different = [hand for hand in hands if not is_same(hand, look)]
            tells_sides = look.result.side_chance is not None
            if tells_sides and suspect is not None and agree(suspect, look):
                least = AGREED_SCORE
            belief = self._likelihood_of(look) if tells_sides else lower_belief(look)
            if len(different) < len(hands) or belief >= least:
                looked = [other for other in map(replace(self, frame=frame)._look_closer, different) if other.is_whole]
                seen_by, hands = frame, distinct_sights([look, *looked])[: self.detector.max_hands]
            elif not hands:
                suspect = look
        return seen_by, hands

    def _with_others(self, seen_by: Frame, hands: list[Sight], stage: Stage) -> list[Sight]:
        """Return the hands together with those that another stage finds with the same camera, the surest first."""
        told = replace(seen_by, camera=replace(seen_by.camera, source="told"))
        _, others = replace(self, frame=told)._found(*stage)
        seen = [replace(look, crop=replace(look.crop, camera=seen_by.camera)) for look in others]
        return sorted(distinct_sights([*hands, *seen])[: self.detector.max_hands], key=lower_belief, reverse=True)

    def _found(
        self, first_looks: Callable[[], list[Sight]], belief: Callable[[Sight], float], least: float
    ) -> tuple[Frame, list[Sight]]:
        """Return the hands whose belief is at least ``least``, the surest first, and the frame as ``look`` does."""
        seen_by, found = self._looked_into([look for look in first_looks() if look.is_whole])
        kept = sorted((look for look in found if look.is_whole and belief(look) >= least), key=lower_belief, reverse=True)
        return seen_by, distinct_sights(kept)

    def _looked_into(self, looks: Sequence[Sight]) -> tuple[Frame, list[Sight]]:
        """Return closer and, if those are unsure, wider looks, and the frame with the camera that they were estimated with."""
        closer = self._by_camera_for(looks)
        found = [closer._look_closer(look) for look in looks]
        wider = [closer._look_wider(look, [other for other in found if other is not look]) for look in found]
        # A hand larger than thought is nearer, too, and a first look may have taken a part for a hand that is far too near.
        settled = self._by_camera_for(wider)
        if abs(math.log(settled.frame.camera.K[0, 0] / closer.frame.camera.K[0, 0])) < SAME_VIEW:
            return closer.frame, wider
        return settled.frame, [settled._look_closer(look) for look in wider]

    def _learn_habit(self, looks: Sequence[Sight]) -> None:
        for look in looks:
            if self.habit is not None and look.result.side_chance is not None:
                self.habit.saw(look.crop.side, look.result.side_chance)

    def _by_camera_for(self, looks: Sequence[Sight]) -> StillLooker:
        """Return a looker whose camera, if it is an assumed one, puts no hand too near."""
        believed = [look for look in looks if look.is_whole and look.result.score >= LOST_SCORE]
        # With a narrower camera a hand is further away in proportion.
        focal = self.frame.camera.K[0, 0]
        distances = [float(x.result.joints.joints_camera_m[ROOT, 2] * focal / x.crop.camera.K[0, 0]) for x in believed]
        camera = narrowed_for(self.frame.camera, min(distances)) if distances else self.frame.camera
        return self if camera is self.frame.camera else replace(self, frame=replace(self.frame, camera=camera))

    def _around_what(self, detect: Detect) -> list[Sight]:
        with self.watch.stage("detect"):
            detections = detect(self.frame.rgb)
        return [self._look_around(detection) for detection in detections]

    def _scanned(self) -> list[Sight]:
        """Return the likeliest look at the middle of the picture, at any roll, as a left or a right hand."""
        height, width = self.frame.rgb.shape[:2]
        middle = CropWindow(u=(width - 1) / 2, v=(height - 1) / 2, side=min(width, height))
        likeliest = self._likeliest(_turned(middle, SCAN_SIDES, SCAN_ROLLS), SIDES)
        return [] if likeliest is None else [likeliest]

    def _searched(self) -> list[Sight]:
        """Return the likeliest look at any part of the picture, as a left or a right hand that points up or nearly so."""
        height, width = self.frame.rgb.shape[:2]
        side = SEARCH_SIDE * min(width, height)
        windows = [
            CropWindow(u=u, v=v, side=side, roll=math.radians(roll))
            for v in _spread(side, height)
            for u in _spread(side, width)
            for roll in SEARCH_ROLLS_DEG
        ]
        likeliest = self._likeliest(windows, SIDES)
        return [] if likeliest is None else [likeliest]

    def _look_wider(self, look: Sight, beside: Sequence[Sight]) -> Sight:
        """For an unsure look, which may show part of a hand or a turned one, return a wider look if likelier; else the look.

        The detector takes a finger for a hand now and then. The hands ``beside`` it are other hands, however likely.
        """
        if not look.is_whole or lower_belief(look) >= SURE:
            return look
        around = window_from_joints(look.result.joints.joints_px, self.estimator.crop_spec)
        can_tell_sides = self._side_belief(look)[1] is not None
        other = self._likeliest(_turned(around, WIDER, WIDER_ROLLS), SIDES if can_tell_sides else (look.crop.side,))
        if other is None:
            return look
        other = self._look_closer(other)
        if not (other.is_whole and is_same(other, look)) or any(is_same(other, hand) for hand in beside if hand.is_whole):
            return look
        likelihood, before = (self._likelihood(one.crop.side, one.result) for one in (other, look))
        return other if likelihood > WIDER_GAIN * before else look

    def _likeliest(self, windows: Sequence[CropWindow], sides: Sequence[Side]) -> Sight | None:
        """Return a look at the likeliest hand of these sides in these windows; None if its joints are not all finite."""
        tries = [(side, window) for window in windows for side in sides]
        spec = self.estimator.crop_spec
        glances = [glance for at in range(0, len(tries), GLANCES) for glance in self._glance(tries[at : at + GLANCES])]
        best = max(range(len(tries)), key=lambda i: self._likelihood(tries[i][0], glances[i]))
        joints_px = glances[best].joints.joints_px
        return self._look_as(tries[best][0], window_from_joints(joints_px, spec)) if np.isfinite(joints_px).all() else None

    def _glance(self, tries: Sequence[tuple[Side, CropWindow]]) -> list[CropResult]:
        estimator, size = self.estimator, self.estimator.crop_spec.size
        with self.watch.stage("crop"):
            crops = [cut_crop(self.frame.rgb, self.frame.camera, window, side, size) for side, window in tries]
        with self.watch.stage("estimate"):
            return estimator.glance(crops) if isinstance(estimator, Glancing) else estimator.estimate(crops, [None] * len(crops))

    def _look_around(self, detection: HandDetection) -> Sight:
        return self._look_as_it_fits(detection.side, window_from_joints(detection.joints_px, self.estimator.crop_spec))

    def _look_closer(self, look: Sight) -> Sight:
        """Look again around the joints found.

        A closer look is no smaller than the one before: if the first joints fall short, it would cut off the fingertips.
        """
        for _ in range(CLOSER_LOOKS):
            if not look.is_whole:
                break
            around = window_from_joints(look.result.joints.joints_px, self.estimator.crop_spec)
            look = self._look_as(look.crop.side, replace(around, side=max(around.side, look.window.side)))
        return look

    def _look_as_it_fits(self, side: Side, window: CropWindow) -> Sight:
        """Estimate a hand as one of this side and, if that is unlikely, as one of the other; return what fits better."""
        look = self._look_as(side, window)
        belief, margin = self._side_belief(look)
        if margin is None or belief > 1.0 - margin:
            return look
        other = self._look_as(other_side(side), window)
        return other if self._side_belief(other)[0] > belief + margin else look

    def _side_belief(self, look: Sight) -> tuple[float, float | None]:
        """Return the belief in a crop's side, and how much higher that in the other one must be to win (None: it cannot win).

        A network that does not tell sides is less sure of the joints of a hand of the wrong side.
        """
        chance = self._side_chance(look.crop.side, look.result)
        if chance is None:
            return sureness(look.result), self.estimator.crop_spec.still_side_margin
        return chance, SIDE_MARGIN

    def _side_chance(self, side: Side, result: CropResult) -> float | None:
        """Return the chance that a hand is of this side, from its crop and from the pictures before."""
        if result.side_chance is None or self.habit is None:
            return result.side_chance
        return self.habit.belief(side, result.side_chance)

    def _are_unlikely(self, hands: Sequence[Sight]) -> bool:
        """Say whether there is no hand, or none that is likely.

        An estimator that does not tell sides is believed: it would as well find the hand of the other side.
        """
        return self._best_likelihood(hands) < SURE and all(look.result.side_chance is not None for look in hands)

    def _best_likelihood(self, looks: Sequence[Sight]) -> float:
        return max(map(self._likelihood_of, looks), default=0.0)

    def _likelihood_of(self, look: Sight) -> float:
        return self._likelihood(look.crop.side, look.result)

    def _likelihood(self, side: Side, result: CropResult) -> float:
        """Return the likelihood of a hand of this side at this roll: the product, because all of it must hold."""
        chance = self._side_chance(side, result)
        return result.score * sureness(result) * (1.0 if chance is None else chance)

    def _look_as(self, side: Side, window: CropWindow) -> Sight:
        frame, spec = self.frame, self.estimator.crop_spec
        rolls = [window.roll + math.radians(roll) for roll in spec.still_rolls_deg]
        with self.watch.stage("crop"):
            crops = [cut_crop(frame.rgb, frame.camera, replace(window, roll=r), side, spec.size) for r in rolls]
        with self.watch.stage("estimate"):
            results = self.estimator.estimate(crops, [None] * len(crops))
        return Sight(window=window, crop=crops[0], result=averaged(results))


def _turned(window: CropWindow, sizes: Sequence[float], rolls: int) -> list[CropWindow]:
    """Return a window in several sizes, each in this many rolls."""
    return [
        replace(window, side=size * window.side, roll=window.roll + 2 * math.pi * turn / rolls)
        for size in sizes
        for turn in range(rolls)
    ]


def _spread(side: float, length: int) -> list[float]:
    """Return the centres of windows of this side, spread over a length in pixels."""
    count = min(1 + math.ceil((length - side) / (SEARCH_STEP * side)), SEARCH_MOST)
    first = (side - 1) / 2
    return [float(middle) for middle in np.linspace(first, length - 1 - first, count)]
