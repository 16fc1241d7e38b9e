"""Texture coordinates without a seam: the mesh is a disc, and is laid flat as one.

The wrist opening becomes the border of the picture. Each finger is a set of nested ovals around its tip, the back above and
the pad below; the palm fills what is between, back of the hand above, palm below.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hand_build.anatomy import Array
from hand_build.skinning import Ints
from hand_build.topology import COLUMNS, FULL_ROWS, SIDES, THIN_ROWS, Mesh

# Centre and radii of the patches of the four fingers, which touch.
_PATCH = {
    "index": (0.360, 0.500, 0.083, 0.215),
    "middle": (0.526, 0.500, 0.083, 0.220),
    "ring": (0.692, 0.500, 0.083, 0.215),
    "little": (0.851, 0.500, 0.076, 0.205),
}
# Where on the border of the picture each column of the palm ends: degrees from the left, clockwise.
_BORDER_COLUMNS = np.array([-1, 0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27])
_BORDER_DEG = np.array([0, 32, 48, 62, 75, 118, 136, 146, 180, 214, 224, 242, 285, 298, 312, 328, 360])
# Rows of the palm crowd a little towards the fingers, and leave room for the coarse rings at the wrist.
_ROW_POWER, _ROW_REACH = 0.85, 0.65
# Below one, fingertips get more of the picture than their share.
_TIP_POWER = 0.75
_COARSE_REACH = {THIN_ROWS[0][0]: 0.72, 1.0: 1.0}


def unwrap(mesh: Mesh, p: Array) -> Array:
    """Return texture coordinates (V, 2), u to the right and v downwards, both in [0, 1]."""
    total, count = np.zeros((len(p), 2)), np.zeros(len(p))
    for name, (u, v, ru, rv) in _PATCH.items():
        angle = np.arange(SIDES) * 2 * np.pi / SIDES
        circle = np.stack([-ru * np.cos(angle), -rv * np.sin(angle)], -1)
        _lay_finger(total, count, mesh, name, p, np.array([u, v]), circle)
    uv = np.zeros((len(p), 2))
    laid = count > 0
    uv[laid] = total[laid] / count[laid, None]
    outline = uv[mesh.rings["palm"][0]]
    rows = [*zip(FULL_ROWS, mesh.rings["palm"], strict=True), *zip([t for t, _ in THIN_ROWS], mesh.rings["thin"], strict=True)]
    for t, ring in [*rows[1:], (1.0, mesh.rings["wrist"][0])]:
        column = np.arange(len(ring)) * COLUMNS / len(ring)
        low = np.floor(column).astype(int)
        part = (column - low)[:, None]
        inner = outline[low] * (1 - part) + outline[(low + 1) % COLUMNS] * part
        outer = _border(column)
        reach = _COARSE_REACH.get(t, _ROW_REACH * t**_ROW_POWER)
        kept = np.array(ring) >= 0
        uv[np.array(ring)[kept]] = (inner + reach * (outer - inner))[kept]
    hole = uv[mesh.rings["thumb"][0]]
    total[:], count[:] = 0, 0
    _lay_finger(total, count, mesh, "thumb", p, hole.mean(0), hole - hole.mean(0))
    uv[count > 0] = total[count > 0]
    return uv


def _border(column: Array) -> Array:
    """Return points on the border of the picture, a square with round corners, at the palm's columns."""
    around = np.radians(np.interp(np.where(column > 27, column - COLUMNS, column), _BORDER_COLUMNS, _BORDER_DEG))
    direction = np.stack([-np.cos(around), -np.sin(around)], -1)
    return np.asarray(0.5 + 0.496 * direction / (np.abs(direction) ** 4).sum(1, keepdims=True) ** 0.25)


def _lay_finger(total: Array, count: Array, mesh: Mesh, name: str, p: Array, centre: Array, circle: Array) -> None:
    rings, tip = mesh.rings[name], mesh.tips[name]
    total[tip] += centre
    count[tip] += 1
    for ring, reach in zip(rings, _reach(p, rings, tip), strict=True):
        total[ring] += centre + reach * circle
        count[ring] += 1


def _reach(p: Array, rings: list[list[int]], tip: int) -> Array:
    """Return for each ring, base first, its distance from the tip along the skin over that of the base."""
    centres = np.array([p[ring].mean(0) for ring in rings] + [p[tip]])
    spread = np.array([np.linalg.norm(p[ring] - p[ring].mean(0), axis=1).mean() for ring in rings] + [0.0])
    steps = np.hypot(np.linalg.norm(np.diff(centres, axis=0), axis=1), np.diff(spread))
    from_tip = np.cumsum(steps[::-1])[::-1]
    return np.asarray((from_tip / from_tip[0]) ** _TIP_POWER)


def _turned(uv: Array, faces: Ints) -> npt.NDArray[np.bool_]:
    a, b, c = (uv[faces[:, k]] for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    return np.asarray(np.sign(area) != np.sign(np.median(area)))


def folded(uv: Array, faces: Ints) -> int:
    """Return how many triangles are turned over in the picture."""
    return int(_turned(uv, faces).sum())
