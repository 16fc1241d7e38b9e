"""The hand's surface as a signed distance, put together from rounded bones and cushions with soft joins. Metres."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hand_build.anatomy import DOME, FINGER_BY_NAME, FINGER_LIST, UP, WRIST, Array, Finger, unit

Distance = Callable[[Array], Array]


def soft_min(a: Array, b: Array, k: float) -> Array:
    """Smooth minimum of two distances; k is the width of the join in metres."""
    h = np.maximum(k - np.abs(a - b), 0.0) / k
    return np.asarray(np.minimum(a, b) - h * h * k * 0.25)


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


def bar(p: Array, a: Array, b: Array, up: Array, size_a: tuple[float, float, float], size_b: tuple[float, float, float]) -> Array:
    """Distance to a rounded bar from a to b; at each end half width, height along ``up`` and depth against it."""
    axis, length = unit(b - a), float(np.linalg.norm(b - a))
    up = unit(up - (up @ axis) * axis)
    q = p - a
    along = q @ axis
    t = np.clip(along / length, 0.0, 1.0)[:, None]
    width, high, low = (np.array(size_a) + t * (np.array(size_b) - np.array(size_a))).T
    return _section(q @ np.cross(axis, up), q @ up, along - t[:, 0] * length, width, high, low, 0.5 * (high + low))


def _section(x: Array, y: Array, beyond: Array, width: Array, high: Array, low: Array, cap: Array) -> Array:
    """Distance to an egg-shaped cross-section, with an ellipsoid of length ``cap`` beyond the ends."""
    depth = np.where(y > 0, high, low)
    return ellipsoid_like(np.stack([x, y, beyond], -1), np.stack([width, depth, cap], -1))


def finger_frame(finger: Finger, p: Array) -> tuple[Array, Array, Array, Array]:
    """Return station, side, height and distance beyond the ends of points (N, 3), measured along the finger's bones."""
    best = np.full(len(p), np.inf)
    out = [np.zeros(len(p)) for _ in range(4)]
    for k in range(3):
        a, b = finger.joints[k], finger.joints[k + 1]
        axis, length = unit(b - a), float(np.linalg.norm(b - a))
        last = DOME - 2.0 if k == 2 else 1.0
        along = (p - a) @ axis / length
        t = np.clip(along, 0.0, last)
        up = finger.dorsal[k] - (finger.dorsal[k] @ axis) * axis
        up = unit(up)
        off = p - a - (t * length)[:, None] * axis
        near = np.linalg.norm(off, axis=1)
        values = (k + t, off @ np.cross(up, axis), off @ up, off @ axis)
        closer = near < best
        best = np.where(closer, near, best)
        out = [np.where(closer, new, old) for new, old in zip(values, out, strict=True)]
    return out[0], out[1], out[2], out[3]


def finger_distance(p: Array, finger: Finger) -> Array:
    """Distance to one finger alone."""
    station, side, height, beyond = finger_frame(finger, p)
    width, high, low = finger.extents(station).T
    dome = (3.0 - DOME) * float(np.linalg.norm(finger.joints[3] - finger.joints[2]))
    # In front the tip is rounded off, behind the finger ends inside the palm.
    cap = np.where(station > 1.5, dome, 0.6 * (high + low))
    return _section(side, height, np.where(np.abs(beyond) < 1e-9, 0.0, beyond), width, high, low, cap)


# Where the bones of the palm begin at the wrist, index to little.
_CARPUS = {
    "index": (0.066, 0.0065, 0.0165),
    "middle": (0.068, 0.0080, 0.0060),
    "ring": (0.069, 0.0070, -0.0050),
    "little": (0.071, 0.0035, -0.0150),
}


def palm_distance(p: Array) -> Array:
    """Distance to the palm without fingers: four bones, wrist, forearm, the balls of thumb and little finger, webs."""
    total: Array | None = None
    for name, carpus in _CARPUS.items():
        finger = FINGER_BY_NAME[name]
        root, head = np.array(carpus), finger.joints[0]
        part = bar(p, root, head, UP, (0.0120, 0.0105, 0.0135), (0.0118, 0.0098, 0.0120))
        total = part if total is None else soft_min(total, part, 0.011)
    assert total is not None
    for part, k in _cushions(p):
        total = soft_min(total, part, k)
    return total


def _cushions(p: Array) -> list[tuple[Array, float]]:
    thumb = FINGER_BY_NAME["thumb"].joints
    index, middle, ring, little = (FINGER_BY_NAME[n].joints for n in ("index", "middle", "ring", "little"))
    x = np.array([1.0, 0.0, 0.0])
    parts = [
        (
            bar(
                p,
                np.array([0.150, 0.0035, -0.0005]),
                WRIST + np.array([0.004, -0.0025, -0.0055]),
                UP,
                (0.0285, 0.0190, 0.0190),
                (0.0270, 0.0165, 0.0175),
            ),
            0.030,
        ),
        # the thumb's side of the wrist
        (cushion(p, np.array([0.0930, -0.0005, 0.0225]), np.array([1.0, 0.0, -0.35]), UP, (0.0260, 0.0120, 0.0085)), 0.018),
        # ball of the thumb and of the little finger
        (cushion(p, np.array([0.0610, -0.0130, 0.0325]), thumb[1] - thumb[0], UP, (0.0300, 0.0155, 0.0160)), 0.018),
        (cushion(p, np.array([0.0640, -0.0090, -0.0235]), np.array([1.0, 0.0, 0.14]), UP, (0.0380, 0.0155, 0.0140)), 0.014),
        # cushions below the knuckles
        (
            cushion(
                p,
                (index[0] + middle[0]) / 2 + np.array([-0.003, -0.0080, 0.0]),
                np.array([0.0, 0.0, 1.0]),
                UP,
                (0.0200, 0.0068, 0.0120),
            ),
            0.010,
        ),
        (
            cushion(
                p,
                (ring[0] + little[0]) / 2 + np.array([-0.003, -0.0065, 0.0]),
                np.array([0.4, 0.0, 1.0]),
                UP,
                (0.0180, 0.0066, 0.0120),
            ),
            0.010,
        ),
        # the web between thumb and index finger
        (cushion(p, np.array([0.0400, -0.0030, 0.0400]), np.array([1.0, 0.1, -0.95]), UP, (0.0270, 0.0065, 0.0170)), 0.014),
    ]
    for near, far in ((index, middle), (middle, ring), (ring, little)):
        # webs between the fingers
        centre = 0.5 * (near[0] + far[0]) + 0.045 * (near[1] - near[0] + far[1] - far[0]) - 0.002 * UP
        parts.append((cushion(p, centre, x, UP, (0.0090, 0.0075, 0.0085)), 0.006))
    knuckle = np.array([0.001, 0.0045, 0.0])
    parts += [
        (cushion(p, joints[0] + knuckle, x, UP, (0.0085, 0.0068, 0.0075)), 0.006) for joints in (index, middle, ring, little)
    ]
    return parts


def hand_distance(p: Array) -> Array:
    """Distance to the whole hand; fingers blend softly into the palm and hardly into each other."""
    thumb, *long_fingers = FINGER_LIST
    fingers = np.full(len(p), 1.0)
    for finger in long_fingers:
        fingers = soft_min(fingers, finger_distance(p, finger), 0.002)
    return soft_min(soft_min(palm_distance(p), fingers, 0.006), finger_distance(p, thumb), 0.012)


def gradient(distance: Distance, p: Array, step: float = 2e-5) -> Array:
    """Unit outward direction of a distance at points (N, 3)."""
    offsets = np.eye(3) * step
    slopes = [distance(p + offset) - distance(p - offset) for offset in offsets]
    return unit(np.stack(slopes, -1) + 1e-12)


def project(distance: Distance, p: Array, rounds: int = 4) -> Array:
    """Move points onto the zero level along the gradient, at most 4 mm a round."""
    for _ in range(rounds):
        p = p - np.clip(distance(p), -0.004, 0.004)[:, None] * gradient(distance, p)
    return p
