"""What is wrong with a sample, in words, so that bad samples are left out, counted by reason, and never trained on."""

from __future__ import annotations

import numpy as np

from handviz.hand.skeleton import BONES
from training.data.sample import Sample

# A joint further outside than this many picture sides cannot belong to the picture.
_FAR_SIDES = 1.0
_SHORTEST_BONE_M = 1e-3


def problem_of(sample: Sample) -> str | None:
    """Return what makes a sample unusable, or None."""
    if not sample.is_hand:
        return None
    return _label_problem(sample) or _metric_problem(sample) or _mask_problem(sample)


def _label_problem(sample: Sample) -> str | None:
    valid = np.asarray(sample.joint_valid, bool)
    side = sample.rgb.shape[0]
    if not np.isfinite(sample.K).all() or sample.K[0, 0] <= 0:
        return "camera matrix not finite"
    if valid.sum() < 2:
        return "fewer than two labelled joints"
    joints = sample.joints_px[valid]
    if not np.isfinite(joints).all() or not np.isfinite(sample.sigma_px[valid]).all():
        return "joints not finite"
    if joints.min() < -_FAR_SIDES * side or joints.max() > (1 + _FAR_SIDES) * side:
        return "joints far outside the picture"
    if (joints.max(0) - joints.min(0)).max() < 1.0:
        return "all joints in one place"
    return None


def _metric_problem(sample: Sample) -> str | None:
    if sample.joints_m is None:
        return None
    valid = np.asarray(sample.joint_valid, bool)
    if not np.isfinite(sample.joints_m[valid]).all():
        return "metric joints not finite"
    if (sample.joints_m[valid, 2] <= 0).any():
        return "joints behind the camera"
    lengths = [np.linalg.norm(sample.joints_m[a] - sample.joints_m[b]) for a, b in BONES if valid[a] and valid[b]]
    if lengths and min(lengths) < _SHORTEST_BONE_M:
        return "bone without length"
    return None


def _mask_problem(sample: Sample) -> str | None:
    return "empty mask" if sample.mask is not None and not sample.mask.any() else None
