"""What the app needs to know about a groups network besides its answers, read from its weights file without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from handviz.geometry.camera import FloatArray
from handviz.models.confidence import Calibration, calibration_from
from handviz.models.weights_files import GROUPS_KIND, read_weights, unfit_configuration

_LOGITS = "selector.logits_JK"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupsFacts:
    """The crop's side in pixels, the selector's probabilities (21, K), each joint's group (21,), the heatmaps' calibration."""

    input_size: int
    selector_JK: FloatArray
    groups_J: npt.NDArray[np.integer[Any]]
    calibration: Calibration


def read_facts(weights: Path) -> GroupsFacts:
    """Read a groups network's facts. Raises ModelFileError for another model's file and for a truncated or foreign one."""
    found = read_weights(weights, GROUPS_KIND, "np", {_LOGITS})
    try:
        logits_JK, input_size = found.tensors[_LOGITS], int(found.config["input_size"])
    except (KeyError, TypeError, ValueError) as error:
        raise unfit_configuration(weights, error) from error
    return GroupsFacts(
        input_size=input_size,
        selector_JK=softmax(logits_JK.astype(np.float32), -1),
        groups_J=logits_JK.argmax(-1),
        calibration=calibration_from(found.notes, str(weights)),
    )
