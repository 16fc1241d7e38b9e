"""The default hand's measurements: joints and thicknesses in the flat zero pose. Metres; axes of ``handviz.hand.model``.

Lengths are those that people and hand trackers mark as joints, not those of the bones: the means of the photographed hands
of ``handviz.models.recovery`` and the rigged CC0 hand, for a palm of 95 mm. A knuckle is marked where it bends the skin,
some 8 mm further out than the bone's own centre (Buryanov and Kotiuk, Int. J. Morphol. 28, 2010). Breadths are near the
middle of adult men and women. The fan of the fingers and the thumb's place are those of a hand laid down at ease.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

Array = npt.NDArray[np.float64]

WRIST: Array = np.array([0.0957, 0.0064, 0.0062])
# Where the wrist opening lies.
CUT_X = 0.114

UP: Array = np.array([0.0, 1.0, 0.0])


def unit(vector: Array) -> Array:
    """Return vectors (..., 3) at length one."""
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


# A finger's outline at stations along it (0 base joint, 1 and 2 the next joints, 3 tip), as multiples of its half breadth:
# half width, height of the back above the bone's axis, depth of the pad below it. Joints are a little wider, creases cut
# in below them, pads swell between.
STATIONS = np.array([-1.0, 0.0, 0.5, 0.8, 1.0, 1.2, 1.5, 1.8, 2.0, 2.2, 2.5, 2.8, 3.0])
_FINGER_OUTLINE = {
    "width": [1.05, 1.10, 1.03, 1.00, 1.05, 0.98, 0.92, 0.91, 0.94, 0.90, 0.87, 0.80, 0.74],
    "back": [0.95, 0.98, 0.86, 0.86, 0.90, 0.82, 0.74, 0.74, 0.74, 0.68, 0.62, 0.52, 0.45],
    "pad": [1.05, 1.12, 1.12, 1.00, 0.90, 0.97, 1.00, 0.88, 0.80, 0.92, 1.00, 0.86, 0.74],
}
_THUMB_OUTLINE = {
    "width": [1.10, 1.15, 1.02, 0.98, 1.02, 0.95, 0.92, 0.97, 1.02, 1.02, 1.03, 0.95, 0.88],
    "back": [0.90, 0.95, 0.92, 0.92, 0.95, 0.86, 0.76, 0.76, 0.78, 0.70, 0.62, 0.50, 0.42],
    "pad": [1.00, 1.25, 1.30, 1.12, 1.00, 0.98, 0.94, 0.86, 0.82, 0.98, 1.05, 0.90, 0.76],
}
# Where the rounding of the tip begins.
DOME = 2.60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finger:
    """One finger: joints (4, 3) base to tip surface, the direction of the back at each (4, 3), and its outline.

    ``half_breadth`` is in metres; ``outline`` gives half width, back and pad at a station; ``rings`` are the stations of
    its rings of vertices, the first where the finger leaves the palm.
    """

    name: str
    joints: Array
    dorsal: Array
    half_breadth: float
    outline: PchipInterpolator
    rings: tuple[float, ...]

    def extents(self, station: Array) -> Array:
        """Return half width, back and pad (..., 3) in metres at stations (...)."""
        return np.asarray(self.half_breadth * self.outline(np.clip(station, -1.0, 3.0)))


def _outline(table: dict[str, list[float]]) -> PchipInterpolator:
    return PchipInterpolator(STATIONS, np.array([table["width"], table["back"], table["pad"]]).T)


def _finger(name: str, base: list[float], fan_deg: float, lengths_mm: list[float], breadth_mm: float, web: float) -> Finger:
    fan = np.radians(fan_deg)
    axis = np.array([-np.cos(fan), 0.0, np.sin(fan)])
    # A straight finger still sinks a little towards its tip.
    sink = np.radians([0.5, 1.5, 4.0])
    joints = [np.array(base)]
    for length, angle in zip(lengths_mm, sink, strict=True):
        joints.append(joints[-1] + length * 1e-3 * (np.cos(angle) * axis - np.sin(angle) * UP))
    return Finger(
        name=name,
        joints=np.array(joints),
        dorsal=np.tile(UP, (4, 1)),
        half_breadth=breadth_mm * 0.5e-3,
        outline=_outline(_FINGER_OUTLINE),
        rings=(web, 0.64, 0.91, 1.07, 1.28, 1.60, 1.88, 2.04, 2.32, 2.66, 2.90),
    )


def _thumb() -> Finger:
    joints = [np.array([0.0765, -0.0065, 0.0308])]
    directions = unit(np.array([[-0.62, -0.15, 0.77], [-0.71, -0.05, 0.70], [-0.76, 0.0, 0.65]]))
    for length, axis in zip([0.0387, 0.0348, 0.0247], directions, strict=True):
        joints.append(joints[-1] + length * axis)
    axes = np.concatenate([directions, directions[-1:]])
    roll = np.radians(50.0)
    raw = np.cos(roll) * UP + np.sin(roll) * unit(np.array([0.7, 0.0, 0.7]))
    return Finger(
        name="thumb",
        joints=np.array(joints),
        dorsal=unit(raw - (axes @ raw)[:, None] * axes),
        half_breadth=0.0108,
        outline=_outline(_THUMB_OUTLINE),
        rings=(0.55, 0.70, 0.86, 1.0, 1.14, 1.42, 1.74, 1.92, 2.07, 2.36, 2.68, 2.90),
    )


FINGER_LIST: tuple[Finger, ...] = (
    _thumb(),
    _finger("index", [0.0013, 0.0022, 0.0268], 4.0, [35.0, 24.0, 23.6], 19.6, 0.31),
    _finger("middle", [0.0008, 0.0049, 0.0028], -2.0, [39.4, 27.1, 22.2], 19.8, 0.30),
    _finger("ring", [0.0089, 0.0024, -0.0205], -9.5, [35.0, 25.0, 21.8], 18.6, 0.30),
    _finger("little", [0.0225, -0.0030, -0.0370], -19.0, [27.2, 18.6, 18.4], 16.8, 0.36),
)
FINGER_BY_NAME: dict[str, Finger] = {finger.name: finger for finger in FINGER_LIST}
