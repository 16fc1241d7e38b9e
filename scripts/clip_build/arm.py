"""The forearm and sleeve of the bundled clip: they grow out of the hand's open wrist without a seam."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from handviz.fit.rig import Rig
from handviz.geometry.camera import FloatArray
from handviz.records import IntArray

RINGS = 24
# The arm's girth relative to the wrist's, along the arm; and where along it the sleeve begins.
_SWELL_AT, _SWELL = (0.0, 0.12, 0.35, 0.7, 1.0), (1.0, 0.97, 1.12, 1.4, 1.5)
SLEEVE_FROM, SLEEVE_WIDTH = 0.34, 1.16
# How far the arm runs straight on from the hand before it turns to the elbow, metres.
_STRAIGHT_M, _BEFORE_ELBOW_M = 0.06, 0.10


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """Vertices (V, 3) in the camera's frame, faces (F, 3) wound outwards, uv (V, 2)."""

    vertices: FloatArray
    faces: IntArray
    uv: FloatArray


def rim_loop(rig: Rig) -> IntArray:
    """Return the vertices of the open wrist in order round it, the first one again at the end."""
    rim = np.flatnonzero(rig.rim)
    points = rig.template_V3[rim] - rig.template_V3[rim].mean(0)
    order = np.argsort(np.arctan2(points[:, 2], points[:, 1]))
    return np.append(rim[order], rim[order[0]])


def forearm(rim_N3: FloatArray, hand_axis: FloatArray, elbow_m: FloatArray) -> tuple[Tube, Tube]:
    """Return forearm and sleeve between the posed rim (N, 3) and the elbow; ``hand_axis`` (3,) points out of the wrist."""
    centres = _path(rim_N3.mean(0), hand_axis, elbow_m)
    along = np.linspace(0, 1, RINGS)
    rings = _carried(rim_N3 - rim_N3.mean(0), centres) * np.interp(along, _SWELL_AT, _SWELL)[:, None, None]
    first = int(SLEEVE_FROM * RINGS)
    sleeve = centres[first:, None] + SLEEVE_WIDTH * rings[first:]
    return _tube(centres[:, None] + rings), _tube(sleeve)


def _path(start: FloatArray, axis: FloatArray, elbow: FloatArray) -> FloatArray:
    """Return ring centres (R, 3) on a Bezier curve that leaves the wrist along the hand and ends at the elbow."""
    t = np.linspace(0, 1, RINGS)[:, None]
    straight = start + _STRAIGHT_M * axis
    before = elbow + _BEFORE_ELBOW_M * (straight - elbow) / np.linalg.norm(straight - elbow)
    return np.asarray((1 - t) ** 3 * start + 3 * t * (1 - t) ** 2 * straight + 3 * t * t * (1 - t) * before + t**3 * elbow)


def _carried(ring_N3: FloatArray, centres_R3: FloatArray) -> FloatArray:
    """Return the ring (R, N, 3) carried along a path without twist: each step turns it as the path turns."""
    forward = np.gradient(centres_R3, axis=0)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    rings = [ring_N3]
    for before, after in pairwise(forward):
        axis, cosine = np.cross(before, after), float(before @ after)
        last = rings[-1]
        # Rodrigues' rotation by the angle between two unit vectors.
        rings.append(last * cosine + np.cross(axis, last) + np.outer(last @ axis, axis) / (1 + cosine))
    return np.stack(rings)


def _tube(rings_RN3: FloatArray) -> Tube:
    rows, columns = rings_RN3.shape[:2]
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None]).ravel()
    b, c, d = a + 1, a + columns, a + columns + 1
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    return Tube(rings_RN3.reshape(-1, 3), faces, np.stack([u, v], -1).reshape(-1, 2))
