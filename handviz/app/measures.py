"""Numbers that are plotted: flexion angles, fingertip speeds, pinch distance. Pure functions of joints in metres."""

from __future__ import annotations

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import FINGER_JOINTS, FINGERS, FINGERTIPS, WRIST


def flexion_deg(joints_m: FloatArray) -> FloatArray:
    """Bend (5, 3) in degrees of each finger's three joints from base to tip, 0 = straight; joints (21, 3)."""
    chains = np.array([[WRIST, *FINGER_JOINTS[finger]] for finger in FINGERS])
    bones = np.diff(joints_m[chains], axis=1)
    bones = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    cosine = (bones[:, :-1] * bones[:, 1:]).sum(-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def finger_bend_deg(joints_m: FloatArray) -> FloatArray:
    """Total bend (5,) in degrees of each finger: the sum over its three joints."""
    return np.asarray(flexion_deg(joints_m).sum(1))


def tip_speeds(before_m: FloatArray, now_m: FloatArray, seconds: float) -> FloatArray:
    """Speeds (5,) of the fingertips in metres per second between two sets of joints (21, 3); NaN if no time has passed."""
    if seconds <= 0:
        return np.full(len(FINGERTIPS), np.nan)
    moved = now_m[list(FINGERTIPS)] - before_m[list(FINGERTIPS)]
    return np.asarray(np.linalg.norm(moved, axis=1) / seconds)


def pinch_mm(joints_m: FloatArray) -> float:
    """Distance between thumb tip and index tip in millimetres."""
    return float(np.linalg.norm(joints_m[FINGERTIPS[0]] - joints_m[FINGERTIPS[1]])) * 1e3


def difference_mm(first_m: FloatArray, second_m: FloatArray) -> float:
    """Mean distance in millimetres between two estimates (21, 3) of one hand, with their wrists aligned."""
    return float(np.linalg.norm((first_m - first_m[WRIST]) - (second_m - second_m[WRIST]), axis=1).mean()) * 1e3
