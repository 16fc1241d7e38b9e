"""Joints of a picture on its own, between a mesh's and those that the network saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from handviz.geometry.camera import FloatArray, unproject
from handviz.hand.skeleton import palm_length
from handviz.records import HandJoints


def between(joints: HandJoints, seen_px: FloatArray, K: FloatArray) -> HandJoints:
    """Return joints at the mesh's depths, on rays half way between the mesh's pixels and those (21, 2) that were seen.

    A mesh knows depths better, a network directions, above all of hands that are not quite like the hand model. Both are of the
    full picture, whose intrinsics are ``K``. The palm stays as long as the mesh's. Where a joint has no place before the camera
    all stay the mesh's.
    """
    pixels = 0.5 * (joints.joints_px + seen_px)
    moved_m = unproject(pixels, joints.joints_camera_m[:, 2], K)
    if not np.isfinite(moved_m).all() or (joints.joints_camera_m[:, 2] <= 0).any():
        return joints
    # Larger and further away by the same factor: the picture stays.
    same_palm = palm_length(joints.joints_camera_m) / max(float(palm_length(moved_m)), 1e-6)
    return replace(joints, joints_px=pixels, joints_camera_m=same_palm * moved_m)
