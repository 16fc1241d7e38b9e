"""How sure a heatmap is: the chance that its joint is right, from how widely it is spread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from handviz.models.readout import STRIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Chance = sigmoid(offset - slope ln(spread)), spread in pixels of a 128 px crop.

    ``training export --calibrate`` fits both, so that the chance is that of an error below a fifth of the palm length.
    """

    offset: float = 5.0
    slope: float = 2.5

    def chance(self, spread_px: Tensor) -> Tensor:
        """Return the chance in [0, 1] for each spread."""
        return torch.sigmoid(self.offset - self.slope * spread_px.clamp_min(0.1).log())


def calibration_from(notes: Mapping[str, str]) -> Calibration:
    """Return what a weights file's notes hold, or the default where they hold none."""
    return Calibration(**json.loads(notes["calibration"])) if "calibration" in notes else Calibration()


def calibration_note(calibration: Calibration) -> dict[str, str]:
    """Return the calibration as a note for a weights file."""
    return {"calibration": json.dumps(asdict(calibration))}


def heat_spread(heat_BJHW: Tensor) -> Tensor:
    """Return the standard deviation (B, J) of each heatmap about its mean, in pixels of a 128 px crop."""
    side = heat_BJHW.shape[-1]
    cells = torch.arange(side, device=heat_BJHW.device, dtype=heat_BJHW.dtype)
    variance = torch.zeros_like(heat_BJHW[:, :, 0, 0])
    for axis in (2, 3):
        share = heat_BJHW.sum(axis)
        mean = share @ cells
        variance = variance + (share * (cells - mean[..., None]) ** 2).sum(-1)
    return variance.sqrt() * STRIDE * 128 / (STRIDE * side)
