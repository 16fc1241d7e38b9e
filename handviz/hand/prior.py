"""What hands usually do: random natural poses, and a Gaussian over poses learned from them.

Both are based on the gesture library. A random pose lies between two gestures, sometimes with a finger borrowed from a third;
it is varied a little in ways that tendons allow, then clamped to the joint limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.gestures import gesture_poses
from handviz.hand.limits import ANGLE_NAMES, POSE_HIGH, POSE_LOW, from_anatomical, to_anatomical

_FINGER_OF_ANGLE = np.repeat(np.arange(5), 9)
_IS = {motion: np.array([name.endswith(motion) for name in ANGLE_NAMES]) for motion in ("flexion", "abduction", "twist")}
# Standard deviations, in degrees, of each angle's random variation.
_SHAKE_DEG = np.where(_IS["flexion"], 5.0, np.where(_IS["abduction"], 3.0, 1.0))
# The curl of a whole finger also varies, all its joints at once.
_CURL_DEG = np.where(_IS["flexion"], 9.0, 0.0)
_OPEN_HAND_SHARE = 0.15
_BORROW_SHARE = 0.35
_PRIOR_SAMPLES = 6000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PosePrior:
    """A Gaussian over poses: ``mean`` (45,) axis-angle, ``whiten`` (45, 45) so that |whiten @ (pose - mean)|^2 is the
    squared Mahalanobis distance, which is about 30 for the poses it was learned from (45 without the floor below)."""

    mean: FloatArray
    whiten: FloatArray

    def distance2(self, pose: FloatArray) -> FloatArray:
        """Return the squared Mahalanobis distance (...) of poses (..., 45)."""
        return np.asarray((((pose - self.mean) @ self.whiten.T) ** 2).sum(-1))


def sample_poses(rng: np.random.Generator, count: int) -> FloatArray:
    """Return natural random poses (count, 45), axis-angle in radians, all inside the joint limits."""
    library = to_anatomical(np.asarray(gesture_poses()))
    first, second, third = library[rng.integers(len(library), size=(3, count))]
    # Most poses are near a gesture, some half-way between two.
    mix = rng.beta(0.5, 0.5, size=(count, 1))
    angles = first * (1 - mix) + second * mix
    borrowed = (rng.random((count, 5)) < 0.5) & (rng.random((count, 1)) < _BORROW_SHARE)
    angles = np.where(borrowed[:, _FINGER_OF_ANGLE], third, angles)
    toward_open = (rng.random((count, 1)) < _OPEN_HAND_SHARE) * rng.random((count, 1))
    angles = angles * (1 - toward_open)
    curl = rng.normal(size=(count, 5))[:, _FINGER_OF_ANGLE] * np.radians(_CURL_DEG)
    spread = rng.normal(size=(count, 1)) * np.radians(3.0) * _fan()
    shake = rng.normal(size=angles.shape) * np.radians(_SHAKE_DEG)
    inside = np.clip(angles + curl + spread + shake, POSE_LOW, POSE_HIGH)
    return from_anatomical(_keep_fingers_apart(inside))


def _fan() -> FloatArray:
    """Weights (45,) by which all fingers open like a fan."""
    weights = np.zeros(45)
    for finger, weight in (("index", 1.0), ("middle", 0.2), ("ring", -0.5), ("little", -1.0)):
        weights[ANGLE_NAMES.index(f"{finger}_mcp abduction")] = weight
    return weights


def _keep_fingers_apart(angles: FloatArray) -> FloatArray:
    """Bring the spread of bent fingers back towards zero: bending tightens the side ligaments."""
    out = angles.copy()
    for finger in ("index", "middle", "ring", "little"):
        flexion = angles[:, ANGLE_NAMES.index(f"{finger}_mcp flexion")]
        out[:, ANGLE_NAMES.index(f"{finger}_mcp abduction")] *= np.clip(1.25 - flexion / np.radians(90), 0.35, 1.0)
    return out


@lru_cache(maxsize=1)
def pose_prior() -> PosePrior:
    """Return the Gaussian of the natural random poses, the same in every process."""
    poses = sample_poses(np.random.default_rng(0), _PRIOR_SAMPLES)
    mean = poses.mean(0)
    # A floor of two degrees, so that directions the library hardly uses stay possible.
    covariance = np.cov(poses.T) + np.radians(2.0) ** 2 * np.eye(45)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    return PosePrior(mean=mean, whiten=whiten)
