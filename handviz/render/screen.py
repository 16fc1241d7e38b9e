"""From the camera frame to the screen: projection, and corners on the sub-pixel grid that decides coverage.

Corners are rounded to 1/4096 pixel, so that both backends decide coverage by the same exact integers: no
pixel of a closed surface is missed, none is counted twice along a shared edge (top-left rule).

What is not drawn, by definition: triangles with a corner nearer than ``near`` or behind the camera,
triangles without area on the screen, and those that reach further than 32,768 pixels from the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from handviz.render.grid import REACH_PX, SUBPIXEL


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screen:
    """Triangles ready to be drawn.

    ``corner_BF32`` int64 on the grid of ``SUBPIXEL`` steps per pixel, wound so that ``area_BF`` is positive; ``swapped_BF``
    says where corners 1 and 2 were swapped for that; ``depth_BF3`` float64 metres; ``drawn_BF`` bool.
    """

    corner_BF32: Tensor
    depth_BF3: Tensor
    area_BF: Tensor
    swapped_BF: Tensor
    drawn_BF: Tensor


def project_points(points_BV3: Tensor, K_B33: Tensor, *, orthographic: bool = False) -> Tensor:
    """Project camera-frame points (B, V, 3) in metres to pixels (B, V, 2), differentiable.

    An orthographic ``K`` holds pixels per metre in place of focal lengths. A pinhole camera keeps the sign of
    z, so points behind it give meaningless pixels: the caller must leave them out by their z.
    """
    z = points_BV3[..., 2:3]
    if orthographic:
        ray = torch.cat([points_BV3[..., :2], torch.ones_like(z)], -1)
    else:
        safe = torch.where(z.abs() < 1e-9, torch.full_like(z, 1e-9), z)
        ray = torch.cat([points_BV3[..., :2] / safe, torch.ones_like(z)], -1)
    return (ray @ K_B33.transpose(-1, -2))[..., :2]


def check_scene(vertices_BV3: Tensor, faces_F3: Tensor, K_B33: Tensor, height: int, width: int) -> Tensor:
    """Check shapes and values of a scene and return K with the batch's size. Raises ValueError saying what is wrong."""
    if vertices_BV3.ndim != 3 or vertices_BV3.shape[-1] != 3:
        raise ValueError(f"vertices must have shape (B, V, 3), not {tuple(vertices_BV3.shape)}")
    if faces_F3.ndim != 2 or faces_F3.shape[-1] != 3 or faces_F3.dtype.is_floating_point:
        raise ValueError(f"faces must be integers of shape (F, 3), not {faces_F3.dtype} {tuple(faces_F3.shape)}")
    if height < 0 or width < 0:
        raise ValueError(f"a picture cannot have the size {width} x {height}")
    if K_B33.shape[-2:] != (3, 3) or K_B33.ndim not in (2, 3):
        raise ValueError(f"K must have shape (3, 3) or (B, 3, 3), not {tuple(K_B33.shape)}")
    if not torch.isfinite(vertices_BV3).all() or not torch.isfinite(K_B33).all():
        raise ValueError("vertices and K must be finite numbers")
    if faces_F3.numel() and not (int(faces_F3.min()) >= 0 and int(faces_F3.max()) < vertices_BV3.shape[1]):
        raise ValueError("a face refers to a vertex that does not exist")
    return K_B33.expand(vertices_BV3.shape[0], 3, 3)


@torch.no_grad()
def to_screen(vertices_BV3: Tensor, faces_F3: Tensor, K_B33: Tensor, *, orthographic: bool, near: float) -> Screen:
    """Bring triangles onto the sub-pixel grid; ``near`` in metres, above zero."""
    if near <= 0:
        raise ValueError(f"the near plane must lie in front of the camera, not at {near} m")
    points = vertices_BV3.detach().double()
    pixels = project_points(points, K_B33.detach().double(), orthographic=orthographic)
    faces = faces_F3.long()
    depth = points[..., 2][:, faces]
    flat = pixels[:, faces]
    drawn = (depth >= near).all(-1) & (flat.abs() < REACH_PX).all(-1).all(-1)
    corner = torch.round(torch.where(drawn[..., None, None], flat, torch.zeros_like(flat)) * SUBPIXEL).long()
    a, b = corner[:, :, 1] - corner[:, :, 0], corner[:, :, 2] - corner[:, :, 0]
    area = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    swapped = area < 0
    order = torch.where(swapped[..., None], torch.tensor([0, 2, 1], device=area.device), torch.arange(3, device=area.device))
    return Screen(
        corner_BF32=corner.gather(2, order[..., None].expand(*order.shape, 2)),
        depth_BF3=depth.gather(2, order),
        area_BF=area.abs(),
        swapped_BF=swapped,
        drawn_BF=drawn & (area != 0),
    )
