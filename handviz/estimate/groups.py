"""Estimator ``groups``: our learnable-joint-groups network, 2.5D to metres by the hand's scale (Li et al. 2021).

On a CPU, with the network's export next to its weights, it runs without torch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from handviz.crop import CropSpec, batch_of, joints_from_crop
from handviz.errors import HandvizError, ModelFileError
from handviz.estimate.base import DeviceName, EstimatorOptions
from handviz.geometry.camera import FloatArray
from handviz.models.compiled import CompiledNetwork, Float32Array, compiled_for
from handviz.models.confidence import heat_spread
from handviz.models.groups_facts import read_facts
from handviz.models.recovery import DEFAULT_PALM_M, place_hand, scale_from_palm
from handviz.models.weights_files import DEFAULT_NAMES, GROUPS_KIND, shipped_folder
from handviz.records import CropResult, HandCrop, HandJoints, UInt8Array, freeze

if TYPE_CHECKING:
    import torch

# From pictures (B, S, S, 3): pixels (B, J, 2), depths (B, J), heatmaps (B, J, H, W) and, for some networks, logits of presence
# and side.
Network = Callable[[UInt8Array], Sequence[Float32Array]]

DEFAULT_WEIGHTS = DEFAULT_NAMES[GROUPS_KIND]
STILL_ROLLS_DEG = (0.0, -10.0, 10.0)
# The detector got the side of one in seven of 400 rendered hands wrong. Estimating both sides with this margin corrects 59 % of
# these and makes 5 % of the others wrong (1.5 % of 400 photographed ones); with 0.03 it was 75 and 10 %.
STILL_SIDE_MARGIN = 0.08


def shipped_weights(name: str = DEFAULT_WEIGHTS) -> Path:
    """Return the path of weights that come with the package. Raises ModelFileError if they are not in this copy."""
    path = shipped_folder() / name
    if not path.is_file():
        raise ModelFileError(f"{path}: these weights are not in this copy of handviz. Install it again, or give a weights file.")
    return path


def torch_device(name: DeviceName) -> torch.device:
    """Return the device to run on. Raises HandvizError if a GPU is demanded and there is none."""
    import torch

    return torch.device("cuda" if gpu_chosen(name) else "cpu")


def gpu_chosen(name: DeviceName) -> bool:
    """Return whether to run on a GPU. Raises HandvizError if one is demanded and there is none.

    Torch is imported, which takes a second, only if there may be a GPU to find.
    """
    if name == "cpu" or (name == "auto" and not _gpu_driver()):
        return False
    import torch

    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise HandvizError("device cuda: no GPU that this torch can use was found. Choose device cpu or auto.")
    return found


def _gpu_driver() -> bool:
    """Return whether there is a GPU driver: NVIDIA's library, or AMD's device."""
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return True
    return Path("/dev/kfd").exists()


class GroupsEstimator:
    """21 joints from the deployed groups network; metres from the palm length that the user gave, or an adult's mean."""

    name = "groups"

    def __init__(self, options: EstimatorOptions | None = None) -> None:
        self._options = options = options or EstimatorOptions()
        self.weights = options.weights or shipped_weights()
        facts = read_facts(self.weights)
        self._network, self.device = _network_for(self.weights, options.device)
        self._calibration = facts.calibration
        self.crop_spec = CropSpec(size=facts.input_size, still_rolls_deg=STILL_ROLLS_DEG, still_side_margin=STILL_SIDE_MARGIN)
        self.selector_JK = facts.selector_JK
        self.groups = facts.groups_J
        freeze(self.groups)

    def adjust(self, options: EstimatorOptions) -> bool:
        """Take over the hand size and whether heatmaps are wanted; see ``handviz.estimate.base.Adjustable``."""
        if options.network != self._options.network:
            return False
        self._options = options
        return True

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        """Estimate each crop; see ``handviz.estimate.base``."""
        if not crops:
            return []
        uv, depth, heat, *beliefs = self._network(batch_of(crops))
        chance = self._calibration.chance(heat_spread(heat)).astype(float)
        score = expit(beliefs[0]) if beliefs else chance.mean(-1)
        sides = [float(side) for side in expit(beliefs[1])] if len(beliefs) > 1 else [None] * len(crops)
        maps = heat if self._options.want_heatmaps else [None] * len(crops)
        return [
            CropResult(
                score=float(score[i]),
                side_chance=sides[i],
                scale_m=scale_from_palm(self._palm_m),
                joints=self._place(crop, uv[i].astype(float), depth[i].astype(float), chance[i]),
                groups=self.groups,
                heatmaps=maps[i],
            )
            for i, crop in enumerate(crops)
        ]

    def forget(self, track_id: int) -> None:
        """Nothing is kept between frames."""

    @property
    def _palm_m(self) -> float:
        return self._options.hand_scale_m or DEFAULT_PALM_M

    def _place(self, crop: HandCrop, uv: FloatArray, depth: FloatArray, chance: FloatArray) -> HandJoints:
        joints_m = place_hand(uv, depth, crop.K_crop, self._palm_m, chance)
        joints = joints_from_crop(crop, joints_m, uv, chance)
        return replace(joints, scale_source="default" if self._options.hand_scale_m is None else "user")


def _network_for(weights: Path, device: DeviceName) -> tuple[Network, str]:
    """Return the network ready to run, and where it runs: cpu or the GPU's name.

    It never runs on eight bits, not even in a live view: the time they save costs jitter (0.88 px at rest instead of 0.36).
    """
    gpu = gpu_chosen(device)
    if not gpu and (compiled := compiled_for(weights)) is not None:
        return Exported(compiled), "cpu"
    from handviz.models.deploy import TorchGroups

    network = TorchGroups(weights, "cuda" if gpu else "cpu")
    return network, network.device


class Exported:
    """An exported network that takes pictures as bytes."""

    def __init__(self, compiled: CompiledNetwork) -> None:
        self._compiled = compiled

    def __call__(self, rgb_BSS3: UInt8Array) -> Sequence[Float32Array]:
        """Return its answers; see ``Network``."""
        planes_B3SS = np.ascontiguousarray(rgb_BSS3.transpose(0, 3, 1, 2)).astype(np.float32) * np.float32(1 / 255)
        each = [self._compiled.answers(crop_3SS[None]) for crop_3SS in planes_B3SS]
        return [np.concatenate(column) for column in zip(*each, strict=True)]
