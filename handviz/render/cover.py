"""Which triangle each pixel shows: the compiled loop with a depth buffer, on plain arrays and without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.render.compiled import compiled
from handviz.render.grid import SUBPIXEL

Array = npt.NDArray[Any]


@compiled
def edge_at(p: Array, q: Array, x: int, y: int) -> int:
    """Return twice the area of p, q, (x, y): positive where the point lies on the inner side of the edge from p to q."""
    return (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])


@compiled
def _bias(p: Array, q: Array) -> int:
    """Return 0 for a top or left edge, whose own pixels belong to the triangle, else -1."""
    dx, dy = q[0] - p[0], q[1] - p[1]
    return 0 if dy < 0 or (dy == 0 and dx > 0) else -1


@compiled
def cover(corner: Array, z: Array, drawn: Array, orthographic: bool, nearest: Array, face: Array) -> None:
    """Write the nearest triangle of each pixel; of equally near ones the first."""
    height, width = face.shape
    for f in range(len(corner)):
        if not drawn[f]:
            continue
        p0, p1, p2 = corner[f, 0], corner[f, 1], corner[f, 2]
        x_low = max(0, -(-min(p0[0], p1[0], p2[0]) // SUBPIXEL))
        y_low = max(0, -(-min(p0[1], p1[1], p2[1]) // SUBPIXEL))
        x_high = min(width - 1, max(p0[0], p1[0], p2[0]) // SUBPIXEL)
        y_high = min(height - 1, max(p0[1], p1[1], p2[1]) // SUBPIXEL)
        bias0, bias1, bias2 = _bias(p1, p2), _bias(p2, p0), _bias(p0, p1)
        z0, z1, z2 = z[f, 0], z[f, 1], z[f, 2]
        q0, q1, q2 = (1.0, 1.0, 1.0) if orthographic else (1.0 / z0, 1.0 / z1, 1.0 / z2)
        m0, m1, m2 = q0 * z0, q1 * z1, q2 * z2
        step0, step1, step2 = (p1[1] - p2[1]) * SUBPIXEL, (p2[1] - p0[1]) * SUBPIXEL, (p0[1] - p1[1]) * SUBPIXEL
        for y in range(y_low, y_high + 1):
            e0 = edge_at(p1, p2, x_low * SUBPIXEL, y * SUBPIXEL)
            e1 = edge_at(p2, p0, x_low * SUBPIXEL, y * SUBPIXEL)
            e2 = edge_at(p0, p1, x_low * SUBPIXEL, y * SUBPIXEL)
            for x in range(x_low, x_high + 1):
                if ((e0 + bias0) | (e1 + bias1) | (e2 + bias2)) >= 0:
                    w0, w1, w2 = float(e0), float(e1), float(e2)
                    d = np.float32((w0 * m0 + w1 * m1 + w2 * m2) / (w0 * q0 + w1 * q1 + w2 * q2))
                    if d < nearest[y, x]:
                        nearest[y, x] = d
                        face[y, x] = f
                e0 += step0
                e1 += step1
                e2 += step2
