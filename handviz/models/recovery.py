"""From 2.5D to the camera's frame: Eqs. 1 to 3, and the root's depth from bone lengths.

Leading axes are batch axes. ``uv_J2`` are crop pixels, ``depth_J`` is (Z - Z_root) / scale, ``K`` the crop's intrinsics.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import BONES, NUM_JOINTS, ROOT, SCALE_BONE

# Real hands: medians over the 4,706 photographed hands that `training label` kept, by MediaPipe's metric landmarks. The
# palm (wrist to middle MCP), and the 20 bones (parent to joint, project order) over its length; thumb to little finger.
# The rigged CC0 hand has the same middle finger (0.415), and the default hand is built to lie near both.
DEFAULT_PALM_M = 0.0944
BONE_RATIOS: tuple[float, ...] = (
    *(0.397, 0.389, 0.353, 0.248),
    *(1.018, 0.379, 0.232, 0.249),
    *(1.000, 0.415, 0.278, 0.237),
    *(0.958, 0.367, 0.263, 0.223),
    *(0.893, 0.273, 0.207, 0.179),
)
# No hand is nearer to a camera than this, nor seen by this network from further away.
ROOT_DEPTH_RANGE_M = (0.08, 5.0)

_SCALE_BONE_INDEX = BONES.index(SCALE_BONE)


def bone_lengths_from_palm(palm_m: float) -> FloatArray:
    """Return the lengths (20,) in metres of a hand of mean proportions with this palm length (wrist to middle MCP)."""
    return palm_m * np.asarray(BONE_RATIOS)


def scale_of(joints_m: FloatArray) -> FloatArray:
    """Return the hand scale (...): the length of the middle finger's MCP to PIP bone, the unit of relative depth."""
    a, b = SCALE_BONE
    return np.asarray(np.linalg.norm(joints_m[..., a, :] - joints_m[..., b, :], axis=-1))


def scale_from_palm(palm_m: float) -> float:
    """Return the hand scale in metres of a hand of mean proportions with this palm length."""
    return palm_m * BONE_RATIOS[_SCALE_BONE_INDEX]


def rays_of(uv_J2: FloatArray, K: FloatArray) -> FloatArray:
    """Return the points (..., 21, 3) at depth 1 that are seen in these pixels."""
    ones = np.ones((*uv_J2.shape[:-1], 1))
    return np.asarray(np.concatenate([uv_J2, ones], -1) @ np.swapaxes(np.linalg.inv(K), -1, -2))


def recover_joints(
    uv_J2: FloatArray, depth_J: FloatArray, K: FloatArray, scale: npt.ArrayLike, root_depth: npt.ArrayLike
) -> FloatArray:
    """Return joints (..., 21, 3) in metres: Z = depth * scale + Z_root, X = Z (u - u0) / fx, Y likewise (Eqs. 1 to 3)."""
    z_J = depth_J * np.asarray(scale)[..., None] + np.asarray(root_depth)[..., None]
    return np.asarray(rays_of(uv_J2, K) * z_J[..., None])


def root_depth_from_bone(uv_J2: FloatArray, depth_J: FloatArray, K: FloatArray, scale: npt.ArrayLike) -> FloatArray:
    """Return the root depth (...) in metres at which the scale bone is ``scale`` metres long (Iqbal 2018; Spurr 2020).

    This is the FreiHAND protocol. A bone that points at the camera constrains it little: see ``root_depth_from_bones``.
    """
    lengths = np.zeros((*uv_J2.shape[:-2], len(BONES)))
    lengths[..., _SCALE_BONE_INDEX] = scale
    weights = np.zeros(len(BONES))
    weights[_SCALE_BONE_INDEX] = 1.0
    return root_depth_from_bones(uv_J2, depth_J, K, scale, lengths, weights)


def root_depth_from_bones(
    uv_J2: FloatArray,
    depth_J: FloatArray,
    K: FloatArray,
    scale: npt.ArrayLike,
    lengths_m: FloatArray,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Return the root depth (...) at which the sum of all squared bone lengths (..., 20) is the given one.

    With rays r and bone (a, b): P_a - P_b = Z (r_a - r_b) + s (d_a r_a - d_b r_b) = Z A + B, so that
    sum w |Z A + B|^2 = sum w L^2 is one quadratic in Z. Its larger root is taken; where depths alone already
    exceed the lengths there is none, and the parabola's vertex is the nearest answer. Clipped to ``ROOT_DEPTH_RANGE_M``.
    """
    rays = rays_of(uv_J2, K)
    deep = rays * (depth_J * np.asarray(scale)[..., None])[..., None]
    parents, children = np.asarray(BONES).T
    A, B = (x[..., children, :] - x[..., parents, :] for x in (rays, deep))
    w = np.ones(len(BONES)) if weights is None else weights
    a = (w * (A**2).sum(-1)).sum(-1)
    b = (w * (A * B).sum(-1)).sum(-1)
    c = (w * ((B**2).sum(-1) - lengths_m**2)).sum(-1)
    a = np.maximum(a, 1e-12)
    z = (-b + np.sqrt(np.maximum(b**2 - a * c, 0.0))) / a
    return np.asarray(np.clip(z, *ROOT_DEPTH_RANGE_M))


def place_hand(
    uv_J2: FloatArray, depth_J: FloatArray, K: FloatArray, palm_m: float = DEFAULT_PALM_M, confidence_J: FloatArray | None = None
) -> FloatArray:
    """Return joints (21, 3) in metres of a hand whose palm length alone is known: all bones vote on its distance.

    ``confidence_J`` in [0, 1] gives less weight to the bones of joints that were hard to see.
    """
    lengths = bone_lengths_from_palm(palm_m)
    scale = scale_from_palm(palm_m)
    weights = None
    if confidence_J is not None:
        parents, children = np.asarray(BONES).T
        weights = np.maximum(confidence_J[parents] * confidence_J[children], 1e-3)
    root = root_depth_from_bones(uv_J2, depth_J, K, scale, lengths, weights)
    return recover_joints(uv_J2, depth_J, K, scale, root)


def relative_depth(joints_m: FloatArray, scale: FloatArray | None = None) -> FloatArray:
    """Return the 2.5D target (..., 21): (Z - Z_root) / scale of joints (..., 21, 3), by default of their own scale (Eq. 2)."""
    scale = np.maximum(scale_of(joints_m) if scale is None else scale, 1e-6)
    return np.asarray((joints_m[..., 2] - joints_m[..., ROOT : ROOT + 1, 2]) / scale[..., None])


assert len(BONE_RATIOS) == len(BONES) == NUM_JOINTS - 1
