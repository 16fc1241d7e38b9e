"""Joints of a still picture, half way between a mesh's and those that the network saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from handviz.geometry.camera import FloatArray, unproject
from handviz.hand.skeleton import palm_length
from handviz.records import HandJoints


def between(joints: HandJoints, seen_px: FloatArray, K: FloatArray) -> HandJoints:
    """Return joints at the mesh's depths, on rays half way between the mesh's pixels and those (21, 2) that were seen.

    The mesh has better depths, the network better directions, above all for hands that differ from the hand model. Pixels are in
    the full picture, whose intrinsics are ``K``. The palm keeps the mesh's length. If a joint is not in front of the camera,
    the mesh's joints are returned.
    """
    pixels = 0.5 * (joints.joints_px + seen_px)
    moved_m = unproject(pixels, joints.joints_camera_m[:, 2], K)
    if not np.isfinite(moved_m).all() or (joints.joints_camera_m[:, 2] <= 0).any():
        return joints
    # Larger and further away by the same factor: the picture stays the same.
    same_palm = palm_length(joints.joints_camera_m) / max(float(palm_length(moved_m)), 1e-6)
    return replace(joints, joints_px=pixels, joints_camera_m=same_palm * moved_m)
