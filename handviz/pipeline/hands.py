"""From an estimator's answer about a crop to a hand of a frame."""

from __future__ import annotations

import numpy as np

from handviz.detect.mediapipe_detector import box_of
from handviz.hand.mirror import Side
from handviz.records import CropResult, HandCrop, HandEstimate


def hand_of(track_id: int, side: Side, crop: HandCrop, result: CropResult) -> HandEstimate:
    """Return a hand as an answer about its crop describes it."""
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


def sureness(result: CropResult) -> float:
    """Return how sure an estimator is of a hand's joints, on average."""
    return float(np.mean(result.joints.confidence))
