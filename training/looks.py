"""Crops as pictures on their own, which some estimators look at more than once."""

from __future__ import annotations

from collections.abc import Sequence

from handviz.estimate.base import Estimator
from handviz.estimate.looks import Look, averaged, look_again
from handviz.records import CropResult, HandCrop


def looked_at(method: Estimator, crops: Sequence[HandCrop]) -> list[CropResult]:
    """Return an estimator's answers: the mean over the rolls at which it wants to see a picture on its own."""
    looks = []
    for roll in method.crop_spec.still_rolls_deg:
        rolled = [look_again(crop, Look(roll_deg=roll)) if roll else crop for crop in crops]
        looks.append(method.estimate(rolled, [None] * len(crops)))
    return [averaged(list(answers)) for answers in zip(*looks, strict=True)]
