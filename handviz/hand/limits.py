"""How far each joint of a hand can bend: anatomical angles, their ranges, a check and a projection.

Anatomical angles (45,) describe the same pose as the model's 45 axis-angle values, in meaningful axes: for each of
the 15 joints, in the model's order, flexion (positive bends towards the palm), abduction (fingers: positive swings
towards the thumb's side; thumb: positive lifts it out of the palm's plane; at its root,
flexion draws it towards the index finger) and twist about the bone, in radians. The map
is one orthogonal matrix: each joint's rotation vector is expressed in the joint's axes, so the map is linear and the limits
are a box. Rotation vectors are not Euler angles, but for a hand's small abduction and twist the difference is a degree or two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import MANO_JOINT_NAMES

MOTIONS = ("flexion", "abduction", "twist")
POSE_JOINT_NAMES: tuple[str, ...] = MANO_JOINT_NAMES[1:]
ANGLE_NAMES: tuple[str, ...] = tuple(f"{joint} {motion}" for joint in POSE_JOINT_NAMES for motion in MOTIONS)
ANGLE_INDEX: dict[str, int] = {name: i for i, name in enumerate(ANGLE_NAMES)}

# Degrees between -x and each straight finger in the flat pose, positive towards the thumb's side.
_FAN_DEG = {"index": 4.0, "middle": -2.0, "ring": -10.0, "little": -20.0}
# Directions of the thumb's three bones in the flat pose, and the direction away from which each bends: the root within the
# palm's plane (so that abduction is the lift out of it), the outer joints away from the nail.
_THUMB_BONES = {"thumb_cmc": (-0.60, -0.16, 0.78), "thumb_mcp": (-0.70, -0.03, 0.71), "thumb_ip": (-0.76, 0.0, 0.65)}
_THUMB_BACKS = {"thumb_cmc": (0.78, 0.0, 0.60), "thumb_mcp": (0.54, 0.64, 0.54), "thumb_ip": (0.54, 0.64, 0.54)}

# Ranges in degrees: flexion, abduction, twist, each (low, high).
# Fingers: passive ranges of healthy adults (AAOS; Kapandji, The Physiology of the Joints, vol. 1), widened by a few degrees,
# because a fit to a picture should not fight a supple hand. Thumb: from the flat pose, where it lies half abducted.
_Range = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
_FINGER_RANGES: dict[str, _Range] = {
    "mcp": ((-30, 95), (-22, 22), (-12, 12)),
    "pip": ((-10, 115), (-6, 6), (-6, 6)),
    "dip": ((-15, 85), (-6, 6), (-6, 6)),
}
_THUMB_RANGES: dict[str, _Range] = {
    "thumb_cmc": ((-25, 50), (-25, 60), (-50, 20)),
    "thumb_mcp": ((-20, 65), (-15, 15), (-15, 15)),
    "thumb_ip": ((-30, 90), (-6, 6), (-6, 6)),
}


def _joint_axes(joint: str) -> FloatArray:
    """Return rows flexion, abduction, twist axis of a joint, in the model's frame."""
    if joint in _THUMB_BONES:
        bone, back = np.array(_THUMB_BONES[joint]), np.array(_THUMB_BACKS[joint])
    else:
        fan = np.radians(_FAN_DEG[joint.split("_")[0]])
        bone, back = np.array([-np.cos(fan), 0.0, np.sin(fan)]), np.array([0.0, 1.0, 0.0])
    bone = bone / np.linalg.norm(bone)
    flexion = np.cross(back, bone)
    flexion /= np.linalg.norm(flexion)
    return np.stack([flexion, np.cross(bone, flexion), bone])


def _ranges() -> tuple[FloatArray, FloatArray]:
    table = [_THUMB_RANGES[j] if j in _THUMB_RANGES else _FINGER_RANGES[j.split("_")[1]] for j in POSE_JOINT_NAMES]
    bounds = np.radians(np.array(table)).reshape(45, 2)
    return bounds[:, 0].copy(), bounds[:, 1].copy()


def _block_matrix() -> FloatArray:
    matrix = np.zeros((45, 45))
    for j, joint in enumerate(POSE_JOINT_NAMES):
        matrix[3 * j : 3 * j + 3, 3 * j : 3 * j + 3] = _joint_axes(joint)
    return matrix


# anatomical = ANATOMICAL_FROM_POSE @ pose; orthogonal, so the transpose goes back.
ANATOMICAL_FROM_POSE: FloatArray = _block_matrix()
# Limits of the anatomical angles (45,), radians.
POSE_LOW, POSE_HIGH = _ranges()
for _constant in (ANATOMICAL_FROM_POSE, POSE_LOW, POSE_HIGH):
    _constant.flags.writeable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitViolation:
    """One angle outside its range; degrees. ``excess_deg`` is how far outside, always positive."""

    joint: str
    motion: str
    angle_deg: float
    low_deg: float
    high_deg: float

    @property
    def excess_deg(self) -> float:
        """Degrees beyond the nearer end of the range."""
        return max(self.low_deg - self.angle_deg, self.angle_deg - self.high_deg)

    def __str__(self) -> str:
        return (
            f"{self.joint} {self.motion} {self.angle_deg:.0f} deg is {self.excess_deg:.0f} deg outside "
            f"{self.low_deg:.0f} to {self.high_deg:.0f} deg"
        )


def to_anatomical(pose: FloatArray) -> FloatArray:
    """Return the anatomical angles (..., 45) of axis-angle poses (..., 45), radians."""
    return np.asarray(pose @ ANATOMICAL_FROM_POSE.T.astype(pose.dtype))


def from_anatomical(angles: FloatArray) -> FloatArray:
    """Return the axis-angle poses (..., 45) of anatomical angles (..., 45), radians."""
    return np.asarray(angles @ ANATOMICAL_FROM_POSE.astype(angles.dtype))


def check_pose(pose: FloatArray, tolerance_deg: float = 3.0) -> list[LimitViolation]:
    """Return what is impossible in one pose (45,), worst first; empty when nothing is.

    Raises ValueError for a pose that is not 45 finite values.
    """
    if pose.shape != (45,):
        raise ValueError(f"a pose is 45 values, not an array of shape {pose.shape}")
    if not np.isfinite(pose).all():
        raise ValueError("a pose must hold finite values")
    angles = np.degrees(to_anatomical(pose))
    low, high = np.degrees(POSE_LOW), np.degrees(POSE_HIGH)
    outside = np.flatnonzero((angles < low - tolerance_deg) | (angles > high + tolerance_deg))
    found = [
        LimitViolation(
            joint=POSE_JOINT_NAMES[i // 3],
            motion=MOTIONS[i % 3],
            angle_deg=float(angles[i]),
            low_deg=float(low[i]),
            high_deg=float(high[i]),
        )
        for i in outside
    ]
    return sorted(found, key=lambda violation: -violation.excess_deg)


def clamp_pose(pose: FloatArray) -> FloatArray:
    """Return poses (..., 45) with every anatomical angle moved into its range; the nearest possible pose."""
    angles = np.clip(to_anatomical(pose), POSE_LOW, POSE_HIGH)
    return from_anatomical(angles).astype(pose.dtype)
