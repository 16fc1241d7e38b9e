"""A first guess without any start: palm first, then each finger, then the position in front of the camera.

The palm's rest joints (wrist and five knuckles) are aligned rigidly with the seen ones. Then each finger joint, from base to tip,
is given the rotation that carries its rest bone onto the seen bone, clamped to the joint limits.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from handviz.fit.problem import HandState, Observations
from handviz.fit.rig import Rig
from handviz.geometry.alignment import similarity_align, solve_translation
from handviz.geometry.camera import FloatArray
from handviz.geometry.kinematics import axis_angle, fit_rotation, swing_between
from handviz.hand.gestures import GESTURE_BY_NAME
from handviz.hand.limits import clamp_pose
from handviz.hand.prior import pose_prior
from handviz.hand.skeleton import FINGERS, JOINT_INDEX, MANO_JOINT_NAMES

_FROM_PROJECT = [JOINT_INDEX[name] for name in MANO_JOINT_NAMES]
_PALM = [0, 1, 4, 7, 10, 13]
_CHAINS = tuple(zip((13, 1, 4, 10, 7), FINGERS, strict=True))
DEFAULT_DEPTH_M = 0.5
# Gestures that between them hold each finger straight, half bent, in a fist, bent at the base alone and hooked, and the
# thumb out, in the palm, over the fingers and against them.
_OTHER_GESTURES = ("flat", "fist", "claw", "bent flat", "hook", "loose curl", "four", "thumb up", "ok")
# Palms that face the camera, turn away, or show an edge, for pixels without any depth.
_LOOKS = Rotation.from_euler("yzx", [(y, z, x) for y in (0, 180) for z in (0, 90, 180, 270) for x in (-40, 40)], degrees=True)


def guess_from_metres(rig: Rig, joints_m_J3: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return pose (45,), root rotation (3, 3) and the position of the rest origin (3,) for finite 3D joints (21, 3)."""
    seen = joints_m_J3[_FROM_PROJECT]
    rest = rig.rest_J3
    tips = rig.template_V3[rig.tips]
    palm = similarity_align(rest[_PALM], seen[_PALM], with_scale=False)
    at_rest = rest[_PALM]
    R_root = fit_rotation(at_rest - at_rest.mean(0), palm - palm.mean(0))
    pose = np.zeros(45)
    for (first, finger), tip in zip(_CHAINS, tips, strict=True):
        R = R_root
        for j in range(first, first + 3):
            bone_rest = (rest[j + 1] if j < first + 2 else tip) - rest[j]
            end = seen[j + 1] if j < first + 2 else joints_m_J3[JOINT_INDEX[f"{finger}_tip"]]
            local = swing_between(bone_rest, R.T @ (end - seen[j]))
            pose[3 * (j - 1) : 3 * j] = axis_angle(local)
            R = R @ local
    return clamp_pose(pose), R_root, palm[0] - rest[0]


def starts_for(rig: Rig, seen: Observations, index: int, shape: FloatArray) -> HandState:
    """Return first guesses for one hand: one from 3D joints, several from pixels or a mask alone."""
    K = seen.K_B33 if seen.K_B33.ndim == 2 else seen.K_B33[index]
    metres = None if seen.joints_m_BJ3 is None else seen.joints_m_BJ3[index]
    if metres is not None and np.isfinite(metres).all():
        pose, R, offset = guess_from_metres(rig, metres)
        poses, turns = pose[None], R[None]
    else:
        mean = pose_prior().mean
        poses, turns = np.repeat(mean[None], len(_LOOKS), 0), _LOOKS.as_matrix()
        offset = np.zeros(3)
    pixels = None if seen.joints_px_BJ2 is None else seen.joints_px_BJ2[index]
    count = len(poses)
    places = np.empty((count, 3))
    for i in range(count):
        places[i] = _place(
            rig, poses[i], turns[i], K, pixels, offset, metres is not None and seen.metres == "camera", seen, index
        )
    return HandState(
        pose_BP=poses,
        shape_BS=np.repeat(shape[None], count, 0),
        root_rotation_B3=Rotation.from_matrix(turns).as_rotvec(),
        translation_B3=places,
        scale_B=np.ones(count),
    )


def other_bends(pose: FloatArray) -> FloatArray:
    """Return poses (N, 45), each with one finger as in another gesture and everything else kept."""
    poses = []
    for first, _ in _CHAINS:
        joints = slice(3 * (first - 1), 3 * (first + 2))
        for gesture in _OTHER_GESTURES:
            other = pose.copy()
            other[joints] = _gesture_pose(gesture)[joints]
            poses.append(other)
    return np.array(poses)


@cache
def _gesture_pose(name: str) -> FloatArray:
    return GESTURE_BY_NAME[name].pose()


def _place(
    rig: Rig, pose: FloatArray, R: FloatArray, K: FloatArray, pixels: FloatArray | None, offset: FloatArray, placed: bool,
    seen: Observations, index: int,
) -> FloatArray:  # fmt: skip
    """Return the translation of a guess: from the pixels, else from camera-frame joints, else the middle of the mask."""
    joints = rig.joints((pose, np.zeros(10), R, np.zeros(3), np.ones(1)))
    if pixels is not None and np.isfinite(pixels).all(-1).sum() >= 2:
        return solve_translation(joints, pixels, K)
    if placed:
        return offset
    centre = np.array([K[0, 2], K[1, 2]])
    depth = DEFAULT_DEPTH_M
    if seen.mask_BHW is not None and seen.mask_BHW[index].any():
        y, x = seen.mask_BHW[index].nonzero()
        centre = np.array([x.mean(), y.mean()])
        # A hand shows about 0.011 square metres.
        depth = float(np.sqrt(0.011 * K[0, 0] * K[1, 1] / len(x)))
    ray = np.linalg.solve(K, np.array([*centre, 1.0]))
    return np.asarray(ray * depth - joints.mean(0))
