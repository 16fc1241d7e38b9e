"""Joints as means of the skin around them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from handviz.geometry.camera import FloatArray

_NEIGHBOURS, _WRIST_NEIGHBOURS = 28, 56
_EVENNESS = 0.02


def joint_regressor(vertices_V3: FloatArray, joints_J3: FloatArray) -> FloatArray:
    """Return (J, V): each joint as a mean, with weights at least zero, of the vertices nearest to it. Metres.

    Exact for these vertices as far as a mean of them can reach the joint; what freedom remains makes the weights as even as
    possible, so that the joint follows the shape of the skin around it.
    """
    rows = np.zeros((len(joints_J3), len(vertices_V3)))
    for j, joint in enumerate(joints_J3):
        count = _WRIST_NEIGHBOURS if j == 0 else _NEIGHBOURS
        near = np.argsort(np.linalg.norm(vertices_V3 - joint, axis=1), kind="stable")[:count]
        system = np.concatenate([(vertices_V3[near] - joint).T * 1e3, np.ones((1, len(near))), _EVENNESS * np.eye(len(near))])
        target = np.concatenate([np.zeros(3), [1.0], np.zeros(len(near))])
        weights, _ = nnls(system, target)
        rows[j, near] = weights / weights.sum()
    return rows
