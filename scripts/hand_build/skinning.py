"""Rest joints and skin weights of the default hand, from its anatomy and its surface."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags

from hand_build.anatomy import FINGER_BY_NAME, FINGER_LIST, WRIST, Array, Finger, unit
from handviz.hand.skeleton import MANO_JOINT_NAMES

Ints = npt.NDArray[np.int64]

# How far on both sides of each joint, base to tip, the skin blends from one bone to the next. Metres.
_FINGER_BLEND = (0.013, 0.0085, 0.0065)
_THUMB_BLEND = (0.020, 0.012, 0.008)


def rest_joints() -> Array:
    """Return the 16 joints (16, 3) in MANO order."""
    joints = {"wrist": WRIST}
    for finger in FINGER_LIST:
        parts = ("cmc", "mcp", "ip") if finger.name == "thumb" else ("mcp", "pip", "dip")
        joints |= {f"{finger.name}_{part}": finger.joints[k] for k, part in enumerate(parts)}
    return np.array([joints[name] for name in MANO_JOINT_NAMES])


def adjacency(faces: Ints, count: int) -> csr_matrix:
    """Return the symmetric 0/1 matrix of edges."""
    i = np.concatenate([faces[:, 0], faces[:, 1], faces[:, 2]])
    j = np.concatenate([faces[:, 1], faces[:, 2], faces[:, 0]])
    A = csr_matrix((np.ones(len(i)), (i, j)), shape=(count, count))
    A = A + A.T
    A.data[:] = 1.0
    return A


def neighbour_mean(faces: Ints, count: int) -> csr_matrix:
    """Return the matrix that replaces each vertex value by the mean over its neighbours."""
    A = adjacency(faces, count)
    return diags(1.0 / np.asarray(A.sum(1)).ravel()) @ A


def _smoothstep(x: Array) -> Array:
    t = np.clip(0.5 + 0.5 * x, 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


def _segment_distance(p: Array, a: Array, b: Array) -> Array:
    t = np.clip((p - a) @ (b - a) / float((b - a) @ (b - a)), 0, 1)
    return np.asarray(np.linalg.norm(p - a - t[:, None] * (b - a), axis=-1))


def _chain_steps(p: Array, finger: Finger) -> list[Array]:
    """Return for each of three joints how far (0 to 1) the skin at p follows the bone beyond it."""
    blend = _THUMB_BLEND if finger.name == "thumb" else _FINGER_BLEND
    steps = unit(np.diff(finger.joints, axis=0))
    before = steps[0] if finger.name == "thumb" else unit(finger.joints[0] - WRIST)
    axes = [unit(before + steps[0]), unit(steps[0] + steps[1]), unit(steps[1] + steps[2])]
    return [_smoothstep((p - finger.joints[k]) @ axes[k] / blend[k]) for k in range(3)]


def skin_weights(p: Array, faces: Ints, rounds: int = 2) -> Array:
    """Return weights (V, 16), at least zero and summing to one."""
    order = ["index", "middle", "little", "ring", "thumb"]
    near = []
    for name in order:
        joints = FINGER_BY_NAME[name].joints
        lines = [_segment_distance(p, joints[k], joints[k + 1]) for k in range(3)]
        near.append(np.min(lines, axis=0))
    share = np.exp(-(np.array(near) - np.min(near, 0)) / 0.0022)
    share /= share.sum(0)
    # A web hangs between two fingers and follows both of them less than it follows the palm.
    first, second = np.sort(share, axis=0)[[-1, -2]]
    loose = 1 - 0.45 * np.clip(2 * second / (first + second), 0, 1)
    weights = np.zeros((len(p), 16))
    for f, name in enumerate(order):
        s1, s2, s3 = _chain_steps(p, FINGER_BY_NAME[name])
        parts = [s1 * (1 - s2), s1 * s2 * (1 - s3), s1 * s2 * s3]
        for k, part in enumerate(parts):
            weights[:, 1 + 3 * f + k] = loose * share[f] * part
    weights[:, 0] = 1 - weights.sum(1)
    mean = neighbour_mean(faces, len(p))
    for _ in range(rounds):
        weights = 0.5 * weights + 0.5 * (mean @ weights)
    weights[weights < 0.01] = 0
    return np.asarray(weights / weights.sum(1, keepdims=True))
