"""Depth maps of batches of scenes along parallel light: shadows of the sun, and soft occlusion of each vertex.

The maps, biases and look-ups are those of ``shade_loops``, for many scenes at once in torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from handviz.render.light import fibonacci_sphere
from handviz.render.raster import Backend, nearest
from handviz.render.screen import to_screen
from handviz.render.shade_loops import OCCLUSION_BIAS

_NEAR = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class DepthMap:
    """Depths (B, S, S), the views (B, 3, 4) from space to map pixels and depth, and a map pixel's size (B,) in metres."""

    depth_BSS: Tensor
    view_B34: Tensor
    pixel_B: Tensor

    def lit(self, points_BN3: Tensor, bias_px: float) -> Tensor:
        """Return how much of the light (B, N) reaches points of each scene: four samples, weighted; all of it beyond the map."""
        owner = torch.arange(len(points_BN3), device=points_BN3.device)[:, None].expand(points_BN3.shape[:2])
        at = points_BN3 @ self.view_B34[:, :, :3].transpose(1, 2) + self.view_B34[:, None, :, 3]
        return self._weighed(owner, at, bias_px)

    def lit_points(self, owner_N: Tensor, points_N3: Tensor, bias_px: float) -> Tensor:
        """Return how much of the light (N,) reaches points of the scenes that ``owner_N`` names."""
        view = self.view_B34[owner_N]
        return self._weighed(owner_N, (view[..., :3] @ points_N3[..., None])[..., 0] + view[..., 3], bias_px)

    def _weighed(self, owner: Tensor, at: Tensor, bias_px: float) -> Tensor:
        size = self.depth_BSS.shape[-1]
        limit = at[..., 2] - bias_px * self.pixel_B[owner]
        first = at[..., :2].floor()
        share = at[..., :2] - first
        u, v = first.long().unbind(-1)
        inside = (u >= 0) & (v >= 0) & (u + 1 < size) & (v + 1 < size)
        base = (owner * size + v.clamp(0, size - 2)) * size + u.clamp(0, size - 2)
        depth, total = self.depth_BSS.flatten(), torch.zeros_like(limit)
        for dy in (0, 1):
            for dx in (0, 1):
                weight = (share[..., 0] if dx else 1 - share[..., 0]) * (share[..., 1] if dy else 1 - share[..., 1])
                total += weight * (depth[base + (dy * size + dx)] > limit)
        return torch.where(inside, total, 1.0)


def depth_along(
    vertices_BV3: Tensor,
    mapped_V: Tensor,
    faces_F3: Tensor,
    flipped_BF: Tensor,
    towards_B3: Tensor,
    size: int,
    backend: Backend,
) -> DepthMap:
    """Draw depth maps of scenes along parallel light that comes from ``towards_B3`` (unit).

    The maps span the vertices that ``mapped_V`` marks, always including the first; what lies outside counts as lit.
    Only triangles that face the light are drawn, so that a surface does not shadow itself from behind.
    """
    z = -towards_B3
    x = F.normalize(torch.linalg.cross(F.one_hot(z.abs().argmin(-1), 3).to(z), z), dim=-1)
    R_B33 = torch.stack([x, torch.linalg.cross(z, x), z], 1)
    turned = vertices_BV3 @ R_B33.transpose(1, 2)
    spanned = torch.where(mapped_V[:, None], turned, turned[:, :1])
    low, high = spanned.amin(1), spanned.amax(1)
    low[:, 2] = turned[..., 2].amin(1)
    scale = (size - 3) / (high - low)[:, :2].amax(-1).clamp(min=1e-9)
    stretch = torch.stack([scale, scale, torch.ones_like(scale)], -1)
    shift = 1 - stretch * low
    flat = turned * stretch[:, None] + shift[:, None]
    screen = to_screen(flat, faces_F3, torch.eye(3, device=z.device), orthographic=True, near=_NEAR)
    screen = replace(screen, drawn_BF=screen.drawn_BF & (screen.swapped_BF ^ flipped_BF))
    _, depth = nearest(screen, size, size, orthographic=True, backend=backend)
    view = torch.cat([R_B33 * stretch[..., None], shift[..., None]], -1)
    return DepthMap(depth, view, 1 / scale)


def occlusion(
    vertices_BV3: Tensor,
    normals_BV3: Tensor,
    mapped_V: Tensor,
    faces_F3: Tensor,
    flipped_BF: Tensor,
    *,
    views: int,
    size: int,
    backend: Backend,
) -> Tensor:
    """Return the share (B, V) of light from all around that reaches each vertex, weighted by the cosine; one for no views."""
    if views == 0:
        return torch.ones_like(vertices_BV3[..., 0])
    directions = _directions(views, vertices_BV3.device)
    # Each scene once for each direction.
    points = vertices_BV3.repeat_interleave(views, 0)
    towards = directions.repeat(len(vertices_BV3), 1)
    maps = depth_along(points, mapped_V, faces_F3, flipped_BF.repeat_interleave(views, 0), towards, size, backend)
    light = maps.lit(points, OCCLUSION_BIAS).unflatten(0, (-1, views))
    facing = (normals_BV3 @ directions.T).clamp(min=0).transpose(1, 2)
    return ((facing * light).sum(1) + 1e-3) / (facing.sum(1) + 1e-3)


@lru_cache(maxsize=8)
def _directions(count: int, device: torch.device) -> Tensor:
    return torch.from_numpy(fibonacci_sphere(count)).float().to(device)
