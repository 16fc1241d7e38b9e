"""How far a set's hands lean towards the camera: a test of depths that needs no depth labels, and a way to correct the lean.

A palm looks longest relative to its width when it faces the camera. So over many pictures of one person's hands, the tilt at
which palms look longest shows how far the given tilts are off: it should equal that of exact labels (``EXACT_DEG``: not zero,
because what is nearer looks larger). Tilt is positive with the fingers towards the camera. Joints are those of right hands in
their cameras' frames, in metres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import INDEX_MCP, LITTLE_MCP, MIDDLE_MCP, WRIST
from handviz.records import BoolArray, IntArray

Face = Literal["palm", "back"]
# Of the exact labels of 1,000 webcam-like rendered hands.
EXACT_DEG: Mapping[Face, float] = {"palm": -11.0, "back": -6.0}
# Only hands that show at least this much of a face, within these angles, are judged.
_FACING, _WITHIN, _TURN_WITHIN = 0.4, np.radians(50.0), np.radians(35.0)
_LEAST_HANDS, _LEAST_OF_ONE = 60, 8
_OUTLIER, _RESAMPLES = 2.5, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """The tilt at which palms look longest, its 10th and 90th percentiles over resampled hands (degrees), and their number."""

    tilt_deg: float
    low_deg: float
    high_deg: float
    hands: int


def lean_of(joints_m: FloatArray, persons: Sequence[str], face: Face) -> Lean | None:
    """Return the lean of the hands (N, 21, 3) that show this face; None for too few, or where their lengths have no maximum.

    Constant differences between persons are removed.
    """
    tilt, turn = palm_angles(joints_m)
    sign = 1 if face == "palm" else -1
    _, person = np.unique(np.asarray(persons), return_inverse=True)
    shown = (facing(joints_m) * sign > _FACING) & (np.abs(tilt) < _WITHIN) & (np.abs(turn) < _TURN_WITHIN)
    shown &= np.bincount(person, shown, len(person))[person] >= _LEAST_OF_ONE
    if shown.sum() < _LEAST_HANDS:
        return None
    longer = _log_length_for_width(joints_m[shown]) + np.log(np.cos(turn[shown]))
    tilt, person = tilt[shown], person[shown]
    rng, count = np.random.default_rng(0), int(shown.sum())
    top = _top(tilt, longer, person)
    again = np.array([_top(tilt[i], longer[i], person[i]) for i in rng.integers(count, size=(_RESAMPLES, count))])
    if not np.isfinite(top) or not np.isfinite(again).any():
        return None
    low, high = np.degrees(np.nanpercentile(again, [10, 90]))
    return Lean(tilt_deg=float(np.degrees(top)), low_deg=float(low), high_deg=float(high), hands=count)


def leaned_back(joints_m: FloatArray, degrees: float) -> FloatArray:
    """Return joints (21, 3) relative to the wrist, with depths sheared so that the palm's tilt is ``degrees`` smaller.

    Hands that show an edge or point at the camera move less, as the lean was not measured on such hands.
    """
    tilt, _ = (angle[0] for angle in palm_angles(joints_m[None]))
    shown = np.clip((abs(float(facing(joints_m[None])[0])) - 0.2) / 0.3, 0, 1) * np.cos(tilt) ** 2
    relative = joints_m - joints_m[WRIST]
    along = relative[MIDDLE_MCP, :2] / max(float(np.linalg.norm(relative[MIDDLE_MCP, :2])), 1e-9)
    slope = np.tan(tilt) - np.tan(tilt - shown * np.radians(degrees))
    return np.concatenate([relative[:, :2], (relative[:, 2] + slope * (relative[:, :2] @ along))[:, None]], 1)


def palm_angles(joints_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return tilts and turns (N,) of palms in radians; turn is positive where the index knuckle is further away."""
    along, across = joints_m[:, MIDDLE_MCP] - joints_m[:, WRIST], joints_m[:, INDEX_MCP] - joints_m[:, LITTLE_MCP]
    tilt, turn = (np.arcsin((d[:, 2] / np.linalg.norm(d, axis=1)).clip(-1, 1)) for d in (-along, across))
    return tilt, turn


def facing(joints_m: FloatArray) -> FloatArray:
    """Return which face hands show (N,): 1 the palm, -1 the back, 0 an edge."""
    index, little = joints_m[:, INDEX_MCP] - joints_m[:, WRIST], joints_m[:, LITTLE_MCP] - joints_m[:, WRIST]
    normal, ray = np.cross(index, little), -joints_m.mean(1)
    lengths = np.linalg.norm(normal, axis=1) * np.linalg.norm(ray, axis=1)
    return np.asarray((normal * ray).sum(1) / lengths.clip(1e-12))


def _log_length_for_width(joints_m: FloatArray) -> FloatArray:
    seen = joints_m[..., :2] / joints_m[..., 2:]
    length, width = seen[:, MIDDLE_MCP] - seen[:, WRIST], seen[:, INDEX_MCP] - seen[:, LITTLE_MCP]
    return np.asarray(np.log(np.linalg.norm(length, axis=1) / np.linalg.norm(width, axis=1)))


def _top(tilt: FloatArray, longer: FloatArray, person: IntArray) -> float:
    """Return the tilt (radians) at the top of a parabola fitted to all hands, with one constant per person; NaN without a top.

    Outliers are left out.
    """
    rows = _without_means(np.stack([tilt, tilt**2, longer], 1), person)
    kept: BoolArray = np.ones(len(tilt), bool)
    curve = np.zeros(2)
    for _ in range(3):
        curve = np.linalg.lstsq(rows[kept, :2], rows[kept, 2], rcond=None)[0]
        gap = np.abs(rows[:, 2] - rows[:, :2] @ curve)
        kept = gap <= _OUTLIER * 1.48 * np.median(gap[kept]) + 1e-9
    return float(-curve[0] / (2 * curve[1])) if curve[1] < 0 else float("nan")


def _without_means(rows: FloatArray, person: IntArray) -> FloatArray:
    counts = np.maximum(np.bincount(person), 1)
    means = np.stack([np.bincount(person, column) / counts for column in rows.T], 1)
    return np.asarray(rows - means[person])
