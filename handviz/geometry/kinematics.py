"""Rotations in a tree of joints: from positions, and between local and global frames.

Legend of shape suffixes: T frames, J joints. A tree is given by each joint's parent; the first joint is the root
and parents come before their children. Rotations turn a joint's rest frame, which is parallel to the global frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from handviz.geometry.camera import FloatArray

_TINY = 1e-12


def turn_by(axis_angle_3: FloatArray) -> FloatArray:
    """Return the rotation (3, 3) about a vector (3,) by its length in radians.

    For a single rotation OpenCV takes a tenth of scipy's time, and refinement needs many.
    """
    return np.asarray(cv2.Rodrigues(np.asarray(axis_angle_3, float).reshape(3, 1))[0], float)


def axis_angle(R: FloatArray) -> FloatArray:
    """Return the vector (3,) about which a rotation (3, 3) turns by its length in radians; NaN for one that is not finite."""
    if not np.isfinite(R).all():
        return np.full(3, np.nan)
    return np.asarray(cv2.Rodrigues(np.asarray(R, float))[0], float)[:, 0]


def swing_between(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the rotations (..., 3, 3) that take the directions of ``a`` (..., 3) to those of ``b`` without twist.

    A vector of no length gives the identity; opposite vectors give a half turn about some axis across them.
    """
    a_unit = a / np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), _TINY)
    b_unit = b / np.maximum(np.linalg.norm(b, axis=-1, keepdims=True), _TINY)
    # Two reflections make a rotation: first at the plane across the half-way vector, then at the one across b.
    half = a_unit + b_unit
    opposite = np.linalg.norm(half, axis=-1, keepdims=True) < 1e-8
    half = np.where(opposite, _across(b_unit), half)
    half = half / np.maximum(np.linalg.norm(half, axis=-1, keepdims=True), _TINY)
    both = _mirror_at(b_unit) @ _mirror_at(half)
    turn = np.where(opposite[..., None], -_mirror_at(half), both)
    lost = (np.linalg.norm(a, axis=-1) < _TINY) | (np.linalg.norm(b, axis=-1) < _TINY)
    return np.where(lost[..., None, None], np.eye(3), turn)


def _mirror_at(normal: FloatArray) -> FloatArray:
    return np.asarray(np.eye(3) - 2 * normal[..., :, None] * normal[..., None, :])


def _across(v: FloatArray) -> FloatArray:
    axis = np.where(np.abs(v[..., :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    return np.cross(v, axis)


def fit_rotation(source: FloatArray, target: FloatArray) -> FloatArray:
    """Return the rotations (..., 3, 3) that best take vectors (..., N, 3) to others, in least squares (Kabsch 1976)."""
    U, _, Vt = np.linalg.svd(np.swapaxes(target, -1, -2) @ source)
    sign = np.ones((*U.shape[:-2], 3))
    sign[..., 2] = np.where(np.linalg.det(U @ Vt) < 0, -1.0, 1.0)
    return np.asarray((U * sign[..., None, :]) @ Vt)


def rotations_from_joints(joints_TJ3: FloatArray, rest_J3: FloatArray, parents: Sequence[int]) -> FloatArray:
    """Return global rotations (T, J, 3, 3) that turn the rest pose's bones into the bones of each frame.

    The root follows all its bones in least squares; a joint with one bone swings from where its parent would leave
    it, without twist; a joint without bones keeps its parent's rotation.
    """
    R_TJ33 = np.empty((*joints_TJ3.shape[:2], 3, 3))
    for joint in range(len(parents)):
        children = [c for c in range(1, len(parents)) if parents[c] == joint]
        rest = rest_J3[children] - rest_J3[joint]
        now = joints_TJ3[:, children] - joints_TJ3[:, joint, None]
        if joint == 0:
            R_TJ33[:, 0] = fit_rotation(np.broadcast_to(rest, now.shape), now)
        elif not children:
            R_TJ33[:, joint] = R_TJ33[:, parents[joint]]
        else:
            carried = R_TJ33[:, parents[joint]]
            R_TJ33[:, joint] = swing_between(carried @ rest[0], now[:, 0]) @ carried
    return R_TJ33


def to_local(R_TJ33: FloatArray, joints_TJ3: FloatArray, parents: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Return each joint's rotation (T, J, 3, 3) and position (T, J, 3) in its parent's frame; the root's are unchanged."""
    above = list(parents[1:])
    R_up = np.swapaxes(R_TJ33[:, above], -1, -2)
    R_local, x_local = R_TJ33.copy(), joints_TJ3.copy()
    R_local[:, 1:] = R_up @ R_TJ33[:, 1:]
    x_local[:, 1:] = (R_up @ (joints_TJ3[:, 1:] - joints_TJ3[:, above])[..., None])[..., 0]
    return R_local, x_local


def to_global(R_local_TJ33: FloatArray, x_local_TJ3: FloatArray, parents: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Return the global rotations and positions of all joints: the inverse of ``to_local``."""
    R, x = R_local_TJ33.copy(), x_local_TJ3.copy()
    for joint in range(1, len(parents)):
        up = parents[joint]
        R[:, joint] = R[:, up] @ R_local_TJ33[:, joint]
        x[:, joint] = x[:, up] + (R[:, up] @ x_local_TJ3[:, joint, :, None])[..., 0]
    return R, x
