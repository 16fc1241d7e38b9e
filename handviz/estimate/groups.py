"""Estimator ``groups``: our learnable-joint-groups network, 2.5D to metres by the hand's scale (Li et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from handviz.crop import CropSpec, batch_of, joints_from_crop
from handviz.errors import HandvizError, ModelFileError
from handviz.estimate.base import DeviceName, EstimatorOptions
from handviz.geometry.camera import FloatArray
from handviz.models.checkpoint import load_groups
from handviz.models.compiled import compiled_for
from handviz.models.confidence import calibration_from, heat_spread
from handviz.models.deploy import DeployedGroups, compile_for_speed
from handviz.models.recovery import DEFAULT_PALM_M, place_hand
from handviz.models.weights_files import DEFAULT_NAMES, GROUPS_KIND, shipped_folder
from handviz.records import CropResult, HandCrop, IntArray, freeze

DEFAULT_WEIGHTS = DEFAULT_NAMES[GROUPS_KIND]
STILL_ROLLS_DEG = (0.0, -10.0, 10.0)


def shipped_weights(name: str = DEFAULT_WEIGHTS) -> Path:
    """Return the path of weights that come with the package. Raises ModelFileError when they are not in this copy."""
    path = shipped_folder() / name
    if not path.is_file():
        raise ModelFileError(f"{path}: these weights are not in this copy of handviz. Install it again, or give a weights file.")
    return path


def torch_device(name: DeviceName) -> torch.device:
    """Return the device to run on. Raises HandvizError when a GPU is demanded and none is there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise HandvizError("device cuda: no GPU that this torch can use was found. Choose device cpu or auto.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


class GroupsEstimator:
    """21 joints by the deployed groups network; metres from the palm length the user gave, or an adult's mean."""

    name = "groups"

    def __init__(self, options: EstimatorOptions | None = None) -> None:
        self._options = options = options or EstimatorOptions()
        self._device = torch_device(options.device)
        self.weights = options.weights or shipped_weights()
        network, notes = load_groups(self.weights)
        deployed = DeployedGroups(network)
        self._calibration = calibration_from(notes)
        compiled = compiled_for(self.weights) if self._device.type == "cpu" else None
        self._network: Callable[[Tensor], tuple[Tensor, ...]] = compiled or compile_for_speed(deployed, self._device)
        self.crop_spec = CropSpec(size=network.config.input_size, still_rolls_deg=STILL_ROLLS_DEG)
        self.selector_JK: FloatArray = deployed.selector_JK.numpy()
        self.groups: IntArray = np.array(deployed.groups)
        freeze(self.groups)

    @property
    def device(self) -> str:
        """Where it runs: cpu or the GPU's name."""
        return "cpu" if self._device.type == "cpu" else torch.cuda.get_device_name(self._device)

    def adjust(self, options: EstimatorOptions) -> bool:
        """Take over another hand size and whether heatmaps are wanted; see ``handviz.estimate.base.Adjustable``."""
        if (options.device, options.weights) != (self._options.device, self._options.weights):
            return False
        self._options = options
        return True

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        """Estimate each crop; see ``handviz.estimate.base``."""
        if not crops:
            return []
        uv, depth, heat, presence = self._answers(crops)
        chance = self._calibration.chance(heat_spread(heat)).cpu().numpy().astype(float)
        score = chance.mean(-1) if presence is None else presence
        maps = heat.cpu().numpy() if self._options.want_heatmaps else [None] * len(crops)
        return [self._place(crop, uv[i], depth[i], chance[i], float(score[i]), maps[i]) for i, crop in enumerate(crops)]

    def forget(self, track_id: int) -> None:
        """Nothing is kept between frames."""

    def _answers(self, crops: Sequence[HandCrop]) -> tuple[FloatArray, FloatArray, Tensor, FloatArray | None]:
        # Rows of pixels as they lie in memory are channels-last already.
        rgb = torch.from_numpy(batch_of(crops)).to(self._device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            uv, depth, heat, *presence = self._network(rgb)
        believed = torch.sigmoid(presence[0]).cpu().numpy().astype(float) if presence else None
        return uv.cpu().numpy().astype(float), depth.cpu().numpy().astype(float), heat, believed

    def _place(
        self, crop: HandCrop, uv: FloatArray, depth: FloatArray, chance: FloatArray, score: float, heat: FloatArray | None
    ) -> CropResult:
        palm_m = self._options.hand_scale_m
        joints_m = place_hand(uv, depth, crop.K_crop, palm_m or DEFAULT_PALM_M, chance)
        joints = joints_from_crop(crop, joints_m, uv, chance)
        joints = replace(joints, scale_source="default" if palm_m is None else "user")
        return CropResult(score=score, joints=joints, groups=self.groups, heatmaps=heat)
