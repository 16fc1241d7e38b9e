"""Visibility on the CPU: one compiled loop over triangles with a depth buffer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from handviz.render.compiled import compiled, for_batch
from handviz.render.cover import cover, edge_at
from handviz.render.grid import SUBPIXEL
from handviz.render.screen import Screen

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


def nearest_numba(screen: Screen, height: int, width: int, *, orthographic: bool) -> tuple[Tensor, Tensor]:
    """Return face ids (B, H, W) int32 and depths (B, H, W) float32; see ``nearest``."""
    size = screen.drawn_BF.shape[0]
    face, depth = np.full((size, height, width), -1, np.int32), np.full((size, height, width), np.inf, np.float32)
    corner, z, drawn = screen.corner_BF32.numpy(), screen.depth_BF3.numpy(), screen.drawn_BF.numpy()

    def work(start: int, stop: int) -> None:
        for b in range(start, stop):
            cover(corner[b], z[b], drawn[b], orthographic, depth[b], face[b])

    for_batch(work, size, torch.get_num_threads())
    return torch.from_numpy(face), torch.from_numpy(depth)


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
