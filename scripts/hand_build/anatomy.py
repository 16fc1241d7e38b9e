"""The default hand's measures: joints and thicknesses in the flat zero pose. Metres; axes of ``handviz.hand.model``.

Phalanx lengths: Buryanov and Kotiuk, Proportions of hand segments, Int. J. Morphol. 28 (2010) 755-758; the pulp in front
of the last bone is added. The fan of the fingers and the thumb's place are those of a hand laid down at ease.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WRIST: Array = np.array([0.0957, 0.0064, 0.0062])
# Where the wrist opening lies.
CUT_X = 0.112

UP: Array = np.array([0.0, 1.0, 0.0])


def unit(vector: Array) -> Array:
    """Return vectors (..., 3) at length one."""
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finger:
    """One finger: joints (4, 3) base to tip surface, dorsal directions (4, 3), half widths and half depths (4,) at those.

    ``web`` is how far from the base joint, in metres along the finger, the tube leaves the palm.
    """

    name: str
    joints: Array
    dorsal: Array
    half_width: Array
    half_depth: Array
    web: float


def _finger(
    name: str, base: list[float], fan_deg: float, lengths_mm: list[float], widths_mm: list[float], web_mm: float
) -> Finger:
    fan = np.radians(fan_deg)
    axis = np.array([-np.cos(fan), 0.0, np.sin(fan)])
    # A straight finger still sinks a little towards its tip.
    sink = np.radians([1.0, 1.5, 4.0])
    joints = [np.array(base)]
    for length, angle in zip(lengths_mm, sink, strict=True):
        joints.append(joints[-1] + length * 1e-3 * (np.cos(angle) * axis - np.sin(angle) * UP))
    width = np.array(widths_mm) * 0.5e-3
    depth = width * np.array([1.0, 0.93, 0.87, 0.8])
    return Finger(
        name=name, joints=np.array(joints), dorsal=np.tile(UP, (4, 1)), half_width=width, half_depth=depth, web=web_mm * 1e-3
    )


def _thumb() -> Finger:
    joints = [np.array([0.0775, -0.0065, 0.0300])]
    directions = unit(np.array([[-0.60, -0.16, 0.78], [-0.70, -0.03, 0.71], [-0.76, 0.0, 0.65]]))
    for length, axis in zip([0.0462, 0.0316, 0.0254], directions, strict=True):
        joints.append(joints[-1] + length * axis)
    axes = np.concatenate([directions, directions[-1:]])
    out = unit(np.array([0.7, 0.0, 0.7]))
    roll = np.radians(50.0)
    raw = np.cos(roll) * UP + np.sin(roll) * out
    dorsal = unit(raw - (axes @ raw)[:, None] * axes)
    width = np.array([26.0, 22.5, 21.0, 17.0]) * 0.5e-3
    depth = np.array([24.0, 20.5, 17.5, 12.0]) * 0.5e-3
    return Finger(name="thumb", joints=np.array(joints), dorsal=dorsal, half_width=width, half_depth=depth, web=0.030)


FINGER_LIST: tuple[Finger, ...] = (
    _thumb(),
    _finger("index", [0.0077, 0.0022, 0.0268], 4.0, [39.8, 22.4, 19.6], [22.0, 18.6, 16.4, 13.5], 21.0),
    _finger("middle", [0.0018, 0.0049, 0.0028], -1.5, [44.6, 26.3, 21.4], [21.5, 18.6, 16.4, 13.5], 24.0),
    _finger("ring", [0.0125, 0.0022, -0.0205], -9.0, [41.4, 25.7, 21.3], [20.5, 17.4, 15.4, 12.8], 23.0),
    _finger("little", [0.0258, -0.0035, -0.0372], -19.0, [32.7, 18.1, 19.7], [18.5, 15.6, 13.8, 11.2], 21.0),
)
FINGER_BY_NAME: dict[str, Finger] = {finger.name: finger for finger in FINGER_LIST}
