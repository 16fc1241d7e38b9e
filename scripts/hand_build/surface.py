"""The hand's surface as a signed distance, put together from rounded bones and cushions with soft joins. Metres."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scripts.hand_build.anatomy import FINGER_BY_NAME, FINGER_LIST, UP, WRIST, Array, Finger, unit

Distance = Callable[[Array], Array]


def soft_min(a: Array, b: Array, k: float) -> Array:
    """Smooth minimum of two distances; k is the width of the join in metres."""
    h = np.maximum(k - np.abs(a - b), 0.0) / k
    return np.asarray(np.minimum(a, b) - h * h * k * 0.25)


def bone(p: Array, a: Array, b: Array, up: Array, size_a: tuple[float, float], size_b: tuple[float, float]) -> Array:
    """Distance to a rounded bar from a to b with elliptic ends: (half width, half depth) at each, depth along ``up``."""
    axis = b - a
    length = float(np.linalg.norm(axis))
    axis = axis / length
    up = unit(up - (up @ axis) * axis)
    side = np.cross(axis, up)
    q = p - a
    along = q @ axis
    t = np.clip(along / length, 0.0, 1.0)
    width = size_a[0] + t * (size_b[0] - size_a[0])
    depth = size_a[1] + t * (size_b[1] - size_a[1])
    beyond = along - t * length
    x, y = q @ side, q @ up
    return ellipsoid_like(np.stack([x, y, beyond], -1), np.stack([width, depth, 0.5 * (width + depth)], -1))


def ellipsoid_like(q: Array, radii: Array) -> Array:
    """First-order distance to an ellipsoid of these radii, in its own axes."""
    k0 = np.linalg.norm(q / radii, axis=-1)
    k1 = np.linalg.norm(q / (radii * radii), axis=-1)
    return np.asarray(np.where(k0 < 1e-3, -radii.min(-1), k0 * (k0 - 1.0) / np.maximum(k1, 1e-9)))


def cushion(p: Array, centre: Array, axis: Array, up: Array, radii: tuple[float, float, float]) -> Array:
    """Distance to an ellipsoid with radii along ``axis``, along ``up``, and across both."""
    axis = unit(axis)
    up = unit(up - (up @ axis) * axis)
    frame = np.stack([axis, up, np.cross(axis, up)])
    return ellipsoid_like((p - centre) @ frame.T, np.asarray(radii))


def finger_distance(p: Array, finger: Finger) -> Array:
    """Distance to one finger alone."""
    joints, w, d = finger.joints, finger.half_width, finger.half_depth
    tip_back = joints[3] - unit(joints[3] - joints[2]) * w[3]
    ends = [joints[0], joints[1], joints[2], tip_back]
    total = None
    for k in range(3):
        part = bone(p, ends[k], ends[k + 1], finger.dorsal[k], (w[k], d[k]), (w[k + 1], d[k + 1]))
        total = part if total is None else soft_min(total, part, 0.003)
    assert total is not None
    return total


def palm_distance(p: Array) -> Array:
    """Distance to the palm without fingers."""
    total = None
    for name in ("index", "middle", "ring", "little"):
        finger = FINGER_BY_NAME[name]
        root = WRIST + 0.35 * (finger.joints[0] - WRIST) * np.array([0.0, 0.0, 1.0])
        part = bone(p, root, finger.joints[0], UP, (0.014, 0.0145), (0.0125, 0.0125))
        total = part if total is None else soft_min(total, part, 0.008)
    assert total is not None
    thumb = FINGER_BY_NAME["thumb"].joints
    forearm = bone(p, np.array([0.14, 0.004, 0.0]), WRIST + np.array([0.0, -0.003, -0.006]), UP, (0.029, 0.020), (0.028, 0.0185))
    thenar = cushion(p, np.array([0.062, -0.012, 0.033]), thumb[1] - thumb[0], UP, (0.033, 0.0165, 0.016))
    hypothenar = cushion(p, np.array([0.066, -0.010, -0.019]), np.array([1.0, 0.0, 0.1]), UP, (0.036, 0.0145, 0.014))
    web = cushion(p, np.array([0.040, -0.004, 0.038]), np.array([1.0, 0.0, -0.9]), UP, (0.028, 0.007, 0.018))
    for part, k in ((forearm, 0.018), (thenar, 0.012), (hypothenar, 0.012), (web, 0.012)):
        total = soft_min(total, part, k)
    return total


def hand_distance(p: Array) -> Array:
    """Distance to the whole hand; fingers join the palm softly and never each other."""
    total = palm_distance(p)
    for finger in FINGER_LIST:
        total = soft_min(total, finger_distance(p, finger), 0.006)
    return total


def gradient(distance: Distance, p: Array, step: float = 2e-5) -> Array:
    """Unit outward direction of a distance at points (N, 3)."""
    offsets = np.eye(3) * step
    slopes = [distance(p + offset) - distance(p - offset) for offset in offsets]
    return unit(np.stack(slopes, -1) + 1e-12)


def project(distance: Distance, p: Array, rounds: int = 4, fixed: Array | None = None) -> Array:
    """Move points onto the zero level; ``fixed`` (3,) is an axis along which they must not move."""
    for _ in range(rounds):
        direction = gradient(distance, p)
        if fixed is not None:
            direction = direction - (direction @ fixed)[:, None] * fixed
        p = p - distance(p)[:, None] * direction
    return p
