"""Looks at windows of a still picture: how much one is believed, and which of them show the same hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handviz.crop import CropWindow
from handviz.detect.mediapipe_detector import box_of, same_hand
from handviz.geometry.camera import FloatArray
from handviz.pipeline.hands import sureness
from handviz.records import CropResult, HandCrop

# Two detections that share more than this fraction of the smaller one's box are one hand.
SAME_SHARE = 0.6
# Two looks whose joints are closer than this fraction of the hand's extent, on average, found the same.
AGREE_WITHIN = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """An estimator's answer about one window of the picture, and its crop."""

    window: CropWindow
    crop: HandCrop
    result: CropResult

    @property
    def is_whole(self) -> bool:
        """Whether all joints are finite."""
        return bool(np.isfinite(self.result.joints.joints_px).all())


def hand_belief(look: Sight) -> float:
    """Return the belief in the hand."""
    return look.result.score


def lower_belief(look: Sight) -> float:
    """Return the lower of the beliefs in the hand and in its joints."""
    return min(look.result.score, sureness(look.result))


def distinct_sights(looks: Sequence[Sight]) -> list[Sight]:
    """Return the looks in their order, each hand once: two looks may end at one hand, or one of them at a part of it."""
    hands: list[Sight] = []
    for look in looks:
        if not any(is_same(look, hand) for hand in hands):
            hands.append(look)
    return hands


def is_same(a: Sight, b: Sight) -> bool:
    """Say whether two looks show the same hand, or one of them a part of what the other shows."""
    joints_a, joints_b = a.result.joints.joints_px, b.result.joints.joints_px
    return same_hand(joints_a, joints_b) or _shared(box_of(joints_a), box_of(joints_b)) > SAME_SHARE


def agree(a: Sight, b: Sight) -> bool:
    """Say whether two looks found nearly the same joints."""
    joints_a, joints_b = a.result.joints.joints_px, b.result.joints.joints_px
    return float(np.linalg.norm(joints_a - joints_b, axis=-1).mean()) < AGREE_WITHIN * float(np.ptp(joints_a, axis=0).max())


def _shared(a: FloatArray, b: FloatArray) -> float:
    """Return the fraction of the smaller of two boxes (x0, y0, x1, y1) that lies in the other."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    areas = [np.prod(box[2:] - box[:2]) for box in (a, b)]
    return float(np.prod(np.maximum(sides, 0)) / max(min(areas), 1e-9))
