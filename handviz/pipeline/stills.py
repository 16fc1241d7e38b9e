"""Hands of a picture on its own: no tracks, no smoothing, and as many looks as a hand is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from handviz.crop import CropSpec, CropWindow, cut_crop, window_from_joints
from handviz.detect.mediapipe_detector import MediaPipeDetector, same_hand
from handviz.estimate.base import Estimator
from handviz.estimate.looks import averaged
from handviz.hand.mirror import Side, other_side
from handviz.pipeline.hands import hand_of, sureness
from handviz.pipeline.stopwatch import Stopwatch
from handviz.postprocess.tracking import LOST_SCORE
from handviz.records import CropResult, Frame, HandCrop, HandDetection, HandEstimate

# Looks at a picture on its own around what was found in it, after the one around the detector's joints. With none, one and two of
# them `groups-fit` was 10.37, 10.17, 10.12 mm off on webcam-like pictures, 13.16, 12.73, 12.59 on those of the training recipe
# (400 of each, hands told their side), and 6.02, 5.98, 5.93 from the labels of 398 photographs.
CLOSER_LOOKS = 2
# A picture on its own is taken for a hand of the other side where that is likelier by this much.
SIDE_MARGIN = 0.2


@dataclass(frozen=True, slots=True)
class StillLooker:
    """Looks at one picture with a detector and an estimator, and stops the time."""

    frame: Frame
    detector: MediaPipeDetector
    estimator: Estimator
    watch: Stopwatch

    def hands(self) -> list[HandEstimate]:
        """Return all hands; one that fills the picture is found too."""
        with self.watch.stage("detect"):
            sure = self.detector.detect_thoroughly(self.frame.rgb)
            detections = sure or self.detector.detect_eagerly(self.frame.rgb)
        hands: list[HandEstimate] = []
        for detection in detections:
            crop, result = self._look_at(detection)
            # What the detector is not sure of must convince the estimator twice.
            belief = result.score if sure else min(result.score, sureness(result))
            joints_px = result.joints.joints_px
            # Closer looks from two places may come to the same hand.
            seen = any(same_hand(joints_px, hand.joints.joints_px) for hand in hands)
            if belief >= LOST_SCORE and np.isfinite(joints_px).all() and not seen:
                hands.append(hand_of(len(hands), crop.side, crop, result))
        return hands

    def _look_at(self, detection: HandDetection) -> tuple[HandCrop, CropResult]:
        """Estimate one hand: in a crop around the detector's joints, then around what was found there.

        A closer look is no smaller than the one before: where first joints fall short, it would cut the fingertips off.
        """
        assert detection.joints_px is not None
        spec = self.estimator.crop_spec
        window = window_from_joints(detection.joints_px, spec)
        crop, result = self._look_as_it_fits(detection.side, window)
        for _ in range(CLOSER_LOOKS):
            if not np.isfinite(result.joints.joints_px).all():
                break
            around = window_from_joints(result.joints.joints_px, spec)
            window = replace(around, side=max(around.side, window.side))
            crop, result = self._look_as(crop.side, window)
        return crop, result

    def _look_as_it_fits(self, side: Side, window: CropWindow) -> tuple[HandCrop, CropResult]:
        """Estimate a hand as one of this side, and of the other where that is not likely; return what fits better."""
        crop, result = self._look_as(side, window)
        belief, margin = _side_belief(result, self.estimator.crop_spec)
        if margin is None or belief > 1.0 - margin:
            return crop, result
        other_crop, other_result = self._look_as(other_side(side), window)
        if _side_belief(other_result, self.estimator.crop_spec)[0] > belief + margin:
            return other_crop, other_result
        return crop, result

    def _look_as(self, side: Side, window: CropWindow) -> tuple[HandCrop, CropResult]:
        frame, spec = self.frame, self.estimator.crop_spec
        rolls = [window.roll + math.radians(roll) for roll in spec.still_rolls_deg]
        with self.watch.stage("crop"):
            crops = [cut_crop(frame.rgb, frame.camera, replace(window, roll=r), side, spec.size) for r in rolls]
        with self.watch.stage("estimate"):
            results = self.estimator.estimate(crops, [None] * len(crops))
        return crops[0], averaged(results)


def _side_belief(result: CropResult, spec: CropSpec) -> tuple[float, float | None]:
    """Return what speaks for the side a crop was cut for, and how much more must speak for the other one (None: nothing can).

    A network that can not tell sides is less sure of the joints of a hand of the wrong one.
    """
    if result.side_chance is not None:
        return result.side_chance, SIDE_MARGIN
    return sureness(result), spec.still_side_margin
