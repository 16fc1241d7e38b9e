"""Estimators' answers for crops as still pictures, which some of them look at more than once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handviz.crop import CropWindow, cut_crop, window_from_joints
from handviz.estimate.base import Estimator
from handviz.estimate.looks import Look, averaged, look_again
from handviz.geometry.camera import Camera
from handviz.records import CropResult, HandCrop, UInt8Array


def looked_at(method: Estimator, crops: Sequence[HandCrop]) -> list[CropResult]:
    """Return an estimator's answers: the mean over the rolls at which it looks at still pictures."""
    looks: list[list[CropResult]] = []
    for roll in method.crop_spec.still_rolls_deg:
        rolled = [look_again(crop, Look(roll_deg=roll)) if roll else crop for crop in crops]
        looks.append(method.estimate(rolled, [None] * len(crops)))
    return [averaged(list(answers)) for answers in zip(*looks, strict=True)]


def looked_at_once(method: Estimator, crops: Sequence[HandCrop]) -> list[CropResult]:
    """Return an estimator's answers to the crops as they are."""
    return method.estimate(crops, [None] * len(crops))


def looked_at_twice(
    method: Estimator, pictures: Sequence[tuple[UInt8Array, Camera]], windows: Sequence[CropWindow]
) -> list[CropResult]:
    """Return answers for right hands in full pictures, found as in the app.

    The first look is at these windows, the second around the joints found there, turned upright by them; where none were
    found, at the same window again.
    """
    spec = method.crop_spec

    def look(places: Sequence[CropWindow]) -> list[CropResult]:
        return looked_at(
            method, [cut_crop(rgb, c, at, "right", spec.size) for (rgb, c), at in zip(pictures, places, strict=True)]
        )

    seen = [one.joints.joints_px for one in look(windows)]
    found = [np.isfinite(joints_px).all(-1).sum() > 1 for joints_px in seen]
    return look([window_from_joints(px, spec) if ok else at for px, ok, at in zip(seen, found, windows, strict=True)])
