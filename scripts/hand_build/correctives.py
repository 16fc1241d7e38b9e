"""Pose correctives: what keeps a bent joint round where plain blending of bones would let it collapse.

Plain blending moves skin on the straight line between the two bones' motions, so at a sharp bend it cuts the corner. The
target turns skin with share s of a joint about the joint's centre by s times the joint's rotation, which keeps its distance
from the centre. The difference, taken back to the rest pose, is fitted over sampled bends by the joint's rotation minus
identity, as MANO's correctives are; every joint is fitted on its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from hand_build.anatomy import Array
from handviz.hand.limits import ANATOMICAL_FROM_POSE, POSE_HIGH, POSE_LOW
from handviz.hand.skeleton import MANO_PARENTS

RIDGE = 2e-3
# The share of the target that skin takes: on the back of a joint, and on the side it bends to, where flesh gives way.
BACK_SHARE, BEND_SHARE = 1.0, 0.35
SAMPLES = 40
KNUCKLES = (1, 4, 7, 10)
KNUCKLE_WIDTH_M = 0.010


def subtree_weights(weights_VJ: Array) -> Array:
    """Return (V, 16): the weight of each joint together with all joints beyond it."""
    total = weights_VJ.copy()
    for j in range(len(MANO_PARENTS) - 1, 0, -1):
        total[:, MANO_PARENTS[j]] += total[:, j]
    return total


def pose_correctives(p: Array, joints: Array, weights_VJ: Array) -> Array:
    """Return pose_dirs (V, 3, 135) for vertices p (V, 3), rest joints (16, 3) and skin weights (V, 16)."""
    share_VJ = subtree_weights(weights_VJ)
    dirs = np.zeros((len(p), 3, 135))
    for j in range(1, 16):
        touched = np.flatnonzero((share_VJ[:, j] > 0.005) & (share_VJ[:, j] < 0.995))
        axes = ANATOMICAL_FROM_POSE[3 * j - 3 : 3 * j, 3 * j - 3 : 3 * j]
        block = _fit_joint(p[touched] - joints[j], share_VJ[touched, j], axes, j)
        dirs[touched, :, 9 * (j - 1) : 9 * j] = block
    return dirs


def _sample_rotations(axes: Array, j: int) -> Array:
    """Return rotation vectors (SAMPLES, 3) over the joint's own range, most of them pure bends."""
    low, high = POSE_LOW[3 * j - 3 : 3 * j], POSE_HIGH[3 * j - 3 : 3 * j]
    angles = np.zeros((SAMPLES, 3))
    angles[:, 0] = np.linspace(low[0], high[0], SAMPLES)
    rng = np.random.default_rng(j)
    side = rng.uniform(low, high, size=(SAMPLES, 3))
    angles[1::3, 1:] = side[1::3, 1:]
    return np.asarray(angles @ axes)


def _fit_joint(q: Array, share: Array, axes: Array, j: int) -> Array:
    """Return (N, 3, 9) for points q relative to the joint, by ridge regression over sampled rotations."""
    rotvecs = _sample_rotations(axes, j)
    R = Rotation.from_rotvec(rotvecs).as_matrix()
    features = (R - np.eye(3)).reshape(len(R), 9)
    blended = (1 - share)[:, None, None, None] * np.eye(3) + share[:, None, None, None] * R  # (N, S, 3, 3)
    turned = np.stack([Rotation.from_rotvec(s * rotvecs).as_matrix() for s in share])
    gap = np.einsum("nskl,nl->nsk", turned - blended, q)
    offset = np.linalg.solve(blended, gap[..., None])[..., 0]
    take = _back_share(q, axes)
    if j in KNUCKLES:
        # Between the knuckles the skin stays down.
        take *= np.exp(-(((q @ axes[0]) / KNUCKLE_WIDTH_M) ** 2))
    offset *= take[:, None, None]
    gram = features.T @ features + RIDGE * len(R) * np.eye(9)
    return np.asarray(np.einsum("fs,nsk->nkf", np.linalg.solve(gram, features.T), offset))


def _back_share(q: Array, axes: Array) -> npt.NDArray[np.float64]:
    """Return how much of the target each point takes, from its side of the joint: back, flank or bend."""
    across = q - (q @ axes[2])[:, None] * axes[2]
    height = across @ axes[1] / np.maximum(np.linalg.norm(across, axis=1), 1e-6)
    t = np.clip(0.5 + 0.8 * height, 0.0, 1.0)
    return np.asarray(BEND_SHARE + (BACK_SHARE - BEND_SHARE) * t * t * (3 - 2 * t))
