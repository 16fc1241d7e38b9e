"""A camera's exposure in milliseconds, whatever the driver's unit.

Drivers differ: Video4Linux counts in 0.1 ms and calls automatic 3 and manual 1, DirectShow uses powers of two of a second and
calls them 1 and 0, AVFoundation gives OpenCV no access to the exposure at all. A driver rounds, and may
refuse; then the camera keeps its exposure.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2

# Milliseconds, or the camera's own choice.
Exposure = float | Literal["auto"]
# What may be asked for, in milliseconds.
EXPOSURE_MS = (0.01, 10_000)


@dataclass(frozen=True, slots=True)
class DriverUnits:
    """How a driver expresses exposures: its values for automatic and manual, and milliseconds converted to its unit."""

    automatic: float
    manual: float
    from_ms: Callable[[float], float]


_UNITS = {
    "linux": DriverUnits(3, 1, lambda ms: max(1.0, round(ms * 10))),
    "win32": DriverUnits(1, 0, lambda ms: round(math.log2(ms / 1e3))),
}
NOT_HERE = "its driver does not let programs set the exposure. Use the camera maker's own program, or turn on a light"


def set_exposure(capture: Any, wanted: Exposure, platform: str = sys.platform) -> str | None:
    """Set an open ``cv2.VideoCapture``'s exposure; returns why it could not be set."""
    units = _UNITS.get(platform)
    if units is None:
        return NOT_HERE
    automatic = wanted == "auto"
    if not capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, units.automatic if automatic else units.manual):
        return NOT_HERE
    if not isinstance(wanted, str) and not capture.set(cv2.CAP_PROP_EXPOSURE, units.from_ms(wanted)):
        return f"its driver refuses an exposure of {wanted:g} ms. Choose another value"
    return None
