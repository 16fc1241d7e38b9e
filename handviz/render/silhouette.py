"""Which edges of a mesh bound its picture, and which pixels lie close to them. Nothing here carries gradients.

An edge can bound the picture where one of its triangles is seen from outside and the other from inside, or where it has only
one. It does bound it, at a pixel, where the picture is empty just beyond its nearest point.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from handviz.render.compiled import compiled, for_batch, have_numba
from handviz.render.raster import Backend

Array = npt.NDArray[Any]
# How far beyond an edge the picture must be empty, in pixels.
_BEYOND_PX = 1.0
_PAIRS_PER_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Edges of a mesh: corners (E, 2), the triangles on their sides (E, 2), the second -1 where there is none, and the first
    triangle's third corner (E,)."""

    corner_E2: Tensor
    triangle_E2: Tensor
    third_E: Tensor


def edges_of(faces_F3: Tensor) -> Edges:
    """Return the edges of triangles (F, 3), on the CPU; edges with more than two triangles keep two."""
    return _edges_cached(np.ascontiguousarray(faces_F3.cpu().numpy(), np.int64).tobytes())


@lru_cache(maxsize=16)
def _edges_cached(faces: bytes) -> Edges:
    faces_F3 = np.frombuffer(faces, np.int64).reshape(-1, 3)
    both = np.concatenate([faces_F3[:, [0, 1]], faces_F3[:, [1, 2]], faces_F3[:, [2, 0]]])
    owner = np.tile(np.arange(len(faces_F3)), 3)
    corners, number = np.unique(np.sort(both, 1), axis=0, return_inverse=True)
    triangles = np.full((len(corners), 2), -1, np.int64)
    triangles[number, 0] = owner
    reverse = np.arange(len(owner))[::-1]
    triangles[number[reverse], 1] = owner[reverse]
    triangles[triangles[:, 0] == triangles[:, 1], 1] = -1
    third = faces_F3[triangles[:, 0]].sum(1) - corners.sum(1)
    return Edges(torch.from_numpy(corners.copy()), torch.from_numpy(triangles), torch.from_numpy(third))


@torch.no_grad()
def bounding_edges(pixels_BV2: Tensor, drawn_BV: Tensor, faces_F3: Tensor) -> tuple[Tensor, Tensor]:
    """Return batch entries (N,) and corners (N, 2) of the edges that can bound the picture.

    Corners are ordered so that the outside lies to the left of the direction from the first to the second, as seen on the screen.
    """
    edges = edges_of(faces_F3)
    corner_E2, triangle_E2, third_E = (t.to(pixels_BV2.device) for t in (edges.corner_E2, edges.triangle_E2, edges.third_E))
    seen_from_outside_BF = _cross(pixels_BV2, *faces_F3.long().unbind(1)) < 0
    first, second = triangle_E2.unbind(1)
    turns_BE = (second < 0) | (seen_from_outside_BF[:, first] != seen_from_outside_BF[:, second.clamp(min=0)])
    turns_BE &= drawn_BV[:, corner_E2].all(-1)
    batch, edge = turns_BE.nonzero(as_tuple=True)
    corner = corner_E2[edge]
    # Both triangles of such an edge lie on the same side of it; y points down.
    flip = _cross(pixels_BV2, corner_E2[:, 0], corner_E2[:, 1], third_E)[batch, edge] < 0
    return batch, torch.where(flip[:, None], corner.flip(1), corner)


def _cross(pixels_BV2: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    a, b = pixels_BV2[:, second] - pixels_BV2[:, first], pixels_BV2[:, third] - pixels_BV2[:, first]
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


@torch.no_grad()
def near_edges(
    pixels_BV2: Tensor, drawn_BV: Tensor, faces_F3: Tensor, mask_BHW: Tensor, reach: float, backend: Backend = "auto"
) -> tuple[Tensor, Tensor]:
    """Return pixels (N,) of the flattened pictures within ``reach`` of the outline, and the edge (N, 2) nearest to each.

    ``mask_BHW`` is the hard mask; nothing is known where the outline leaves it, so give it a margin.
    """
    batch, corner = bounding_edges(pixels_BV2, drawn_BV, faces_F3)
    start, end = pixels_BV2[batch, corner[:, 0]].double(), pixels_BV2[batch, corner[:, 1]].double()
    use_numba = have_numba() and pixels_BV2.device.type == "cpu" if backend == "auto" else backend == "numba"
    nearest = _nearest_numba if use_numba else _nearest_torch
    pixel, edge = nearest(batch, start, end, mask_BHW, reach)
    return pixel, corner[edge]


def _nearest_numba(batch: Tensor, start: Tensor, end: Tensor, mask_BHW: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    mask, first = mask_BHW.numpy(), torch.searchsorted(batch, torch.arange(len(mask_BHW) + 1)).numpy()
    p, q = start.numpy(), end.numpy()
    edge = np.full(mask.shape, -1, np.int64)

    def work(low: int, high: int) -> None:
        for b in range(low, high):
            _mark_nearest(p, q, first[b], first[b + 1], mask[b], reach, np.full(mask[b].shape, np.inf), edge[b])

    for_batch(work, len(mask), torch.get_num_threads())
    flat = torch.from_numpy(edge).flatten()
    pixel = (flat >= 0).nonzero()[:, 0]
    return pixel, flat[pixel]


@compiled
def _mark_nearest(start: Array, end: Array, low: int, high: int, mask: Array, reach: float, best: Array, edge: Array) -> None:
    """Write, for each pixel within reach of edges ``low`` to ``high``, the nearest that bounds the picture there."""
    height, width = mask.shape
    for e in range(low, high):
        ax, ay, bx, by = start[e, 0], start[e, 1], end[e, 0], end[e, 1]
        dx, dy = bx - ax, by - ay
        length2 = dx * dx + dy * dy
        if length2 < 1e-12:
            continue
        length = length2**0.5
        nx, ny = dy / length * _BEYOND_PX, -dx / length * _BEYOND_PX
        for y in range(max(0, int(min(ay, by) - reach)), min(height - 1, int(max(ay, by) + reach) + 1) + 1):
            for x in range(max(0, int(min(ax, bx) - reach)), min(width - 1, int(max(ax, bx) + reach) + 1) + 1):
                t = min(max(((x - ax) * dx + (y - ay) * dy) / length2, 0.0), 1.0)
                qx, qy = ax + t * dx, ay + t * dy
                distance2 = (x - qx) ** 2 + (y - qy) ** 2
                if distance2 < min(reach * reach, best[y, x]) and not _filled(mask, qx + nx, qy + ny):
                    best[y, x] = distance2
                    edge[y, x] = e


@compiled
def _filled(mask: Array, x: float, y: float) -> bool:
    i, j = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
    return 0 <= i < mask.shape[0] and 0 <= j < mask.shape[1] and mask[i, j]


def _nearest_torch(batch: Tensor, start: Tensor, end: Tensor, mask_BHW: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Lay out (edge, pixel) pairs chunk by chunk and keep the nearest edge of each pixel by a scatter-minimum."""
    size, height, width = mask_BHW.shape
    limit = torch.tensor([width - 1, height - 1], device=start.device)
    low = (torch.minimum(start, end) - reach).trunc().long().clamp(min=0)
    high = torch.minimum((torch.maximum(start, end) + reach).trunc().long() + 1, limit)
    box = (high - low + 1).clamp(min=0)
    last = box.prod(1).cumsum(0)
    total = int(last[-1]) if len(last) else 0
    best = torch.full((size * height * width,), torch.iinfo(torch.int64).max, device=start.device)
    for first in range(0, total, _PAIRS_PER_CHUNK):
        pair = torch.arange(first, min(first + _PAIRS_PER_CHUNK, total), device=start.device)
        e = torch.searchsorted(last, pair, right=True)
        offset = pair - (last - box.prod(1))[e]
        at = torch.stack([low[e, 0] + offset % box[e, 0], low[e, 1] + offset // box[e, 0]], -1).double()
        step = end[e] - start[e]
        length2 = step.square().sum(-1)
        t = (((at - start[e]) * step).sum(-1) / length2.clamp(min=1e-12)).clamp(0, 1)
        nearest = start[e] + t[:, None] * step
        distance2 = (at - nearest).square().sum(-1)
        beyond = torch.stack([step[:, 1], -step[:, 0]], -1) / length2.clamp(min=1e-12).sqrt()[:, None] * _BEYOND_PX
        bounds = ~_filled_torch(mask_BHW, batch[e], nearest + beyond)
        good = (length2 >= 1e-12) & (distance2 < reach * reach) & bounds
        place = (batch[e] * height + at[:, 1].long()) * width + at[:, 0].long()
        key = (distance2[good].float().view(torch.int32).long() << 32) | e[good]
        best.scatter_reduce_(0, place[good], key, "amin")
    pixel = (best < torch.iinfo(torch.int64).max).nonzero()[:, 0]
    return pixel, best[pixel] & 0xFFFFFFFF


def _filled_torch(mask_BHW: Tensor, batch: Tensor, at_N2: Tensor) -> Tensor:
    x, y = torch.floor(at_N2 + 0.5).long().unbind(-1)
    inside = (x >= 0) & (y >= 0) & (x < mask_BHW.shape[2]) & (y < mask_BHW.shape[1])
    clamped = mask_BHW[batch, y.clamp(0, mask_BHW.shape[1] - 1), x.clamp(0, mask_BHW.shape[2] - 1)]
    return inside & clamped
