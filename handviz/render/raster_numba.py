"""Visibility on the CPU: one compiled loop over triangles with a depth buffer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from handviz.render.compiled import compiled, for_batch
from handviz.render.screen import SUBPIXEL, Screen

Array = npt.NDArray[Any]


def rasterize_numba(screen: Screen, height: int, width: int, *, orthographic: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return face ids (B, H, W) int32, barycentrics (B, H, W, 3) and depths (B, H, W) float64; see ``rasterize``."""
    size = screen.drawn_BF.shape[0]
    face = np.full((size, height, width), -1, np.int32)
    bary = np.zeros((size, height, width, 3))
    depth = np.full((size, height, width), np.inf)
    corner, z = screen.corner_BF32.numpy(), screen.depth_BF3.numpy()
    area, swapped, drawn = screen.area_BF.numpy(), screen.swapped_BF.numpy(), screen.drawn_BF.numpy()

    def work(start: int, stop: int) -> None:
        for b in range(start, stop):
            nearest = np.full((height, width), np.inf, np.float32)
            cover(corner[b], z[b], drawn[b], orthographic, nearest, face[b])
            _resolve(corner[b], z[b], area[b], swapped[b], orthographic, face[b], bary[b], depth[b])

    for_batch(work, size, torch.get_num_threads())
    return torch.from_numpy(face), torch.from_numpy(bary), torch.from_numpy(depth)


@compiled
def edge_at(p: Array, q: Array, x: int, y: int) -> int:
    """Return twice the area of p, q, (x, y): positive where the point lies inside of the edge from p to q."""
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


@compiled
def _resolve(
    corner: Array, z: Array, area: Array, swapped: Array, orthographic: bool, face: Array, bary: Array, depth: Array
) -> None:
    """Write perspective-correct barycentrics and depth of the triangle that each pixel shows."""
    height, width = face.shape
    for y in range(height):
        for x in range(width):
            f = face[y, x]
            if f < 0:
                continue
            p0, p1, p2 = corner[f, 0], corner[f, 1], corner[f, 2]
            w0 = float(edge_at(p1, p2, x * SUBPIXEL, y * SUBPIXEL))
            w1 = float(edge_at(p2, p0, x * SUBPIXEL, y * SUBPIXEL))
            w2 = float(edge_at(p0, p1, x * SUBPIXEL, y * SUBPIXEL))
            if not orthographic:
                w0, w1, w2 = w0 / z[f, 0], w1 / z[f, 1], w2 / z[f, 2]
            total = w0 + w1 + w2
            w0, w1, w2 = w0 / total, w1 / total, w2 / total
            depth[y, x] = w0 * z[f, 0] + w1 * z[f, 1] + w2 * z[f, 2]
            bary[y, x, 0] = w0
            bary[y, x, 1] = w2 if swapped[f] else w1
            bary[y, x, 2] = w1 if swapped[f] else w2
