"""From an estimator's answer about a crop to a hand of a frame."""

from __future__ import annotations

import numpy as np

from handviz.crop import CropSpec, cut_crop, window_from_joints
from handviz.detect.mediapipe_detector import box_of
from handviz.hand.mirror import Side
from handviz.records import CropResult, Frame, HandCrop, HandEstimate


def hand_of(track_id: int, side: Side, crop: HandCrop, result: CropResult) -> HandEstimate:
    """Return a hand as an estimator's answer about its crop describes it."""
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


def crop_for(frame: Frame, hand: HandEstimate, spec: CropSpec) -> HandCrop:
    """Return the crop that the hand was estimated from, or one around its joints if none of this size was kept."""
    if hand.crop is not None and hand.crop.size == spec.size:
        return hand.crop
    return cut_crop(frame.rgb, frame.camera, window_from_joints(hand.joints.joints_px, spec), hand.side, spec.size)


def sureness(result: CropResult) -> float:
    """Return an estimator's mean confidence in a hand's joints."""
    return float(np.mean(result.joints.confidence))
