"""How sure a heatmap is: the chance that its joint is right, from how widely it is spread.

Uses only what numpy's arrays and torch's tensors have in common: it takes either and returns the same type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

from handviz.errors import ModelFileError
from handviz.geometry.camera import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

Values = TypeVar("Values", FloatArray, "Tensor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Chance = sigmoid(offset - slope ln(spread)), spread in pixels of a 128 px crop.

    ``training export --calibrate`` fits both, so that the chance is that of an error below a fifth of the palm length.
    """

    offset: float = 5.0
    slope: float = 2.5

    def chance(self, spread_px: Values) -> Values:
        """Return the chance in [0, 1] for each spread."""
        # The sigmoid with its logarithm taken out of the exponent.
        return 1 / (1 + math.exp(-self.offset) * spread_px.clip(0.1) ** self.slope)


def calibration_from(notes: Mapping[str, str], source: str = "the weights") -> Calibration:
    """Return the calibration in a weights file's notes, or the default without one. Raises ModelFileError for a damaged one.

    ``source`` is what an error calls the file.
    """
    if "calibration" not in notes:
        return Calibration()
    try:
        return Calibration(**{name: float(value) for name, value in json.loads(notes["calibration"]).items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{source}: the note 'calibration' is damaged ({error}). Export it again.") from error


def calibration_note(calibration: Calibration) -> dict[str, str]:
    """Return the calibration as a note for a weights file."""
    return {"calibration": json.dumps(asdict(calibration))}


def heat_spread(heat_BJHW: Values) -> Values:
    """Return the standard deviation (B, J) of each heatmap about its mean, in pixels of a 128 px crop."""
    side = heat_BJHW.shape[-1]
    variance = 0 * heat_BJHW[:, :, 0, 0]
    for axis in (2, 3):
        share = heat_BJHW.sum(axis)
        cells = (0 * share + 1).cumsum(-1)
        mean = (share * cells).sum(-1)
        variance = variance + (share * (cells - mean[..., None]) ** 2).sum(-1)
    return variance**0.5 * (128 / side)
