"""Estimator ``groups-fit``: a hand mesh fitted to our groups network's joints, live on an ordinary laptop.

Its joints are those of the mesh, as ``fit``'s are; for a still picture they lie between the mesh's and the network's. The
groups, heatmaps and the selector are the network's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from handviz.estimate.base import EstimatorOptions
from handviz.estimate.between import between
from handviz.estimate.fit import FitEstimator, Trust
from handviz.estimate.groups import STILL_ROLLS_DEG, GroupsEstimator
from handviz.estimate.looks import Look, averaged, look_again
from handviz.fit.problem import FitSettings
from handviz.geometry.camera import FloatArray
from handviz.records import CropResult, HandCrop

# Best of seven tried: 15.1 mm PA-MPJPE on 300 rendered hands (15.6 with MediaPipe's trust), 6.1 (6.4) on 300 photographed ones.
_TRUST = Trust(palm=0.04, metres=0.008, doubt=2.0)
# Hands in photographs are less like the default hand than its renderings: shapes get twice the usual freedom, poses less.
# PA-MPJPE 8.45 -> 8.41 mm on 500 webcam-like rendered hands, 12.41 -> 12.38 on 400 of the training recipe, and 5.87 -> 5.71 mm,
# 4.48 -> 4.40 px on 500 photographed ones.
_SETTINGS = FitSettings(pose_prior=0.4, shape_sigma=2.0)
_MORE_LOOKS = tuple(Look(roll_deg=roll) for roll in STILL_ROLLS_DEG if roll)


class GroupsFitEstimator(FitEstimator):
    """The hand model fitted to the joints of a groups network."""

    name = "groups-fit"

    def __init__(self, options: EstimatorOptions | None = None) -> None:
        self._groups = GroupsEstimator(options)
        super().__init__(options, landmarks=self._groups, trust=_TRUST, settings=_SETTINGS)
        # It rolls still pictures itself: an average of meshes would not be a valid mesh.
        self.crop_spec = replace(self._groups.crop_spec, still_rolls_deg=(0.0,))

    @property
    def selector_JK(self) -> FloatArray:
        """The network's selector; see ``handviz.estimate.base.Grouping``."""
        return self._groups.selector_JK

    def adjust(self, options: EstimatorOptions) -> bool:
        """Take over other options from the next crop on; see ``handviz.estimate.base.Adjustable``."""
        same_hand = options.hand_model == self._options.hand_model
        return same_hand and self._groups.adjust(options) and super().adjust(options)

    def _found(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        """Run the network once on a crop of a track, several times on a still picture, whose mean is then fitted."""
        answers = self._groups.estimate(crops, track_ids)
        return [
            first if track is not None else averaged([first, *self._looks_again(crop)])
            for crop, first, track in zip(crops, answers, track_ids, strict=True)
        ]

    def _one(self, crop: HandCrop, result: CropResult, track: int | None) -> CropResult:
        answer = super()._one(crop, result, track)
        if track is not None:
            return answer
        return replace(answer, joints=between(answer.joints, result.joints.joints_px, crop.camera.K))

    def _looks_again(self, crop: HandCrop) -> list[CropResult]:
        return self._groups.estimate([look_again(crop, look) for look in _MORE_LOOKS], [None] * len(_MORE_LOOKS))
