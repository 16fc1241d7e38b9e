"""From first positions to a smooth, even mesh that lies on the surface."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from hand_build.anatomy import CUT_X, FINGER_BY_NAME, UP, Array, unit
from hand_build.skinning import Ints, neighbour_mean
from hand_build.surface import gradient, hand_distance, project
from hand_build.topology import Mesh

ROUNDS = 120


def relax(mesh: Mesh, faces: Ints) -> Array:
    """Return vertices (V, 3) on the surface: finger rings stay in their planes, all others spread evenly."""
    p = np.array(mesh.points)
    mean = neighbour_mean(faces, len(p))
    webs = place_webs(mesh, p)
    free = np.setdiff1d(free_vertices(mesh), webs)
    wrist = np.array(mesh.rings["wrist"][0])
    p[free] = project(hand_distance, p[free], 8)
    for step in range(ROUNDS):
        move = (mean @ p - p)[free]
        normal = gradient(hand_distance, p[free])
        # Along the surface only; the first rounds may also unfold across it.
        if step > ROUNDS // 3:
            move -= (move * normal).sum(1, keepdims=True) * normal
        p[free] += 0.6 * move
        p[free] = project(hand_distance, p[free], 1)
        p[wrist] = _wrist(p[wrist])
    p[free] = project(hand_distance, p[free], 4)
    return p


def free_vertices(mesh: Mesh) -> Ints:
    """Return the vertices that may slide over the surface: palm, webs, and the root of the thumb."""
    held: set[int] = set(mesh.tips.values()) | set(mesh.rings["wrist"][0])
    for name in FINGER_BY_NAME:
        for ring in mesh.rings[name][4 if name == "thumb" else 1 :]:
            held |= set(ring)
    return np.array([v for v in range(len(mesh.points)) if v not in held])


def place_webs(mesh: Mesh, p: Array) -> Ints:
    """Put the three vertices that neighbouring fingers share at the edge of each web; return all of them."""
    long_fingers = [FINGER_BY_NAME[name] for name in ("index", "middle", "ring", "little")]
    placed = []
    for near, far in pairwise(long_fingers):
        line = 0.5 * (near.joints[:2] + far.joints[:2])
        t = np.linspace(1.0, 0.0, 400)[:, None]
        along = line[0] + t * (line[1] - line[0]) - 0.002 * UP
        edge = along[np.argmax(hand_distance(along) < 0)]
        back, middle, pad = (mesh.rings[near.name][0][slot] for slot in (4, 5, 6))
        inward = unit(line[0] - line[1])
        p[middle] = edge
        p[[back, pad]] = project(
            hand_distance, edge + np.array([[0.006], [0.0035]]) * inward + np.array([[0.012], [-0.012]]) * UP, 8
        )
        placed += [back, middle, pad]
    return np.array(placed)


def _wrist(ring: Array) -> Array:
    ring = project(hand_distance, ring, 1)
    ring[:, 0] = CUT_X
    return ring
