"""Visibility in plain torch, for CUDA and for machines without numba.

Every triangle's bounding box is laid out as (triangle, pixel) pairs, a chunk of pairs at a time, and the nearest
triangle of a pixel is found by a scatter-minimum of 64-bit keys: depth bits above, face number below. Memory is
bounded by the chunk and the work grows with the pixels covered, never with pixels times triangles.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from handviz.render.grid import SUBPIXEL
from handviz.render.screen import Screen

PAIRS_PER_CHUNK = 1 << 23
_NOTHING = torch.iinfo(torch.int64).max


def rasterize_torch(screen: Screen, height: int, width: int, *, orthographic: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return face ids (B, H, W) int32, barycentrics (B, H, W, 3) and depths (B, H, W) float64; see ``rasterize``."""
    return _resolve(screen, _keys(screen, height, width, orthographic), orthographic)


def nearest_torch(screen: Screen, height: int, width: int, *, orthographic: bool) -> tuple[Tensor, Tensor]:
    """Return face ids (B, H, W) int32 and depths (B, H, W) float32; see ``nearest``."""
    key = _keys(screen, height, width, orthographic)
    empty, depth = key == _NOTHING, (key >> 32).int().view(torch.float32)
    return _face_of(key), torch.where(empty, torch.full_like(depth, torch.inf), depth)


def _keys(screen: Screen, height: int, width: int, orthographic: bool) -> Tensor:
    """Return depth bits and face number (B, H, W) int64 of what each pixel shows."""
    size, num_faces = screen.drawn_BF.shape
    corner, z = screen.corner_BF32.reshape(-1, 3, 2), screen.depth_BF3.reshape(-1, 3)
    key = torch.full((size * height * width,), _NOTHING, dtype=torch.int64, device=corner.device)
    for triangle, x, y in _pairs(corner, screen.drawn_BF.reshape(-1), height, width):
        own = corner[triangle]
        edge = _edges(own, x, y)
        inside = (edge + _bias(own) >= 0).all(-1)
        triangle, x, y, edge = triangle[inside], x[inside], y[inside], edge[inside].double()
        bits = _depth(edge, z[triangle], orthographic).float().view(torch.int32).long()
        place = (triangle // num_faces * height + y) * width + x
        key.scatter_reduce_(0, place, (bits << 32) | (triangle % num_faces), "amin")
    return key.reshape(size, height, width)


def _face_of(key: Tensor) -> Tensor:
    return torch.where(key == _NOTHING, -1, key & 0xFFFFFFFF).int()


def _pairs(corner: Tensor, drawn: Tensor, height: int, width: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield chunks of (triangle, x, y) over the bounding boxes of the triangles that are drawn."""
    limit = torch.tensor([width - 1, height - 1], device=corner.device)
    low = (-(-corner.amin(1)).div(SUBPIXEL, rounding_mode="floor")).clamp(min=0)
    high = torch.minimum(corner.amax(1).div(SUBPIXEL, rounding_mode="floor"), limit)
    box = (high - low + 1).clamp(min=0)
    count = torch.where(drawn, box.prod(-1), torch.zeros_like(box[:, 0]))
    index = count.nonzero()[:, 0]
    low, columns, count = low[index], box[index, 0], count[index]
    end = count.cumsum(0)
    total = int(end[-1]) if len(end) else 0
    for start in range(0, total, PAIRS_PER_CHUNK):
        pair = torch.arange(start, min(start + PAIRS_PER_CHUNK, total), device=corner.device)
        row = torch.searchsorted(end, pair, right=True)
        offset = pair - (end - count)[row]
        yield index[row], low[row, 0] + offset % columns[row], low[row, 1] + offset // columns[row]


def _edges(corner_N32: Tensor, x_N: Tensor, y_N: Tensor) -> Tensor:
    """Return the three edge functions (N, 3) at pixel centres, exact int64."""
    start, end = corner_N32[:, [1, 2, 0]], corner_N32[:, [2, 0, 1]]
    step = end - start
    return step[..., 0] * (y_N[:, None] * SUBPIXEL - start[..., 1]) - step[..., 1] * (x_N[:, None] * SUBPIXEL - start[..., 0])


def _bias(corner_N32: Tensor) -> Tensor:
    """Return 0 for a top or left edge, whose own pixels belong to the triangle, else -1."""
    step = corner_N32[:, [2, 0, 1]] - corner_N32[:, [1, 2, 0]]
    owned = (step[..., 1] < 0) | ((step[..., 1] == 0) & (step[..., 0] > 0))
    return owned.long() - 1


def _depth(edge_N3: Tensor, z_N3: Tensor, orthographic: bool) -> Tensor:
    # The order of operations is that of raster_numba, so that both round alike.
    q = torch.ones_like(z_N3) if orthographic else 1.0 / z_N3
    m = q * z_N3
    above = edge_N3[:, 0] * m[:, 0] + edge_N3[:, 1] * m[:, 1] + edge_N3[:, 2] * m[:, 2]
    below = edge_N3[:, 0] * q[:, 0] + edge_N3[:, 1] * q[:, 1] + edge_N3[:, 2] * q[:, 2]
    return above / below


def _resolve(screen: Screen, key_BHW: Tensor, orthographic: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Turn keys into face ids, and find barycentrics and depth of the triangle that each pixel shows."""
    face = _face_of(key_BHW)
    bary = torch.zeros(*face.shape, 3, dtype=torch.float64, device=face.device)
    depth = torch.full(face.shape, torch.inf, dtype=torch.float64, device=face.device)
    b, y, x = (face >= 0).nonzero(as_tuple=True)
    f = face[b, y, x].long()
    z = screen.depth_BF3[b, f]
    w = _edges(screen.corner_BF32[b, f], x, y).double()
    if not orthographic:
        w = w / z
    w = w / (w[:, 0] + w[:, 1] + w[:, 2])[:, None]
    depth[b, y, x] = w[:, 0] * z[:, 0] + w[:, 1] * z[:, 1] + w[:, 2] * z[:, 2]
    bary[b, y, x] = torch.where(screen.swapped_BF[b, f][:, None], w[:, [0, 2, 1]], w)
    return face, bary, depth
