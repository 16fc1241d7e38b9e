"""What the pixels of a mesh carry: attributes, depth, mask and part labels, differentiable where that makes sense."""

from __future__ import annotations

import torch
from torch import Tensor

from handviz.render.raster import Fragments

UNLABELLED = -1


def interpolate(fragments: Fragments, faces_F3: Tensor, attributes_BVC: Tensor) -> Tensor:
    """Return attributes (B, H, W, C) at each pixel, zero where there is no triangle.

    Differentiable in the attributes; the position of the surface is held fixed. ``attributes_BVC`` may be (V, C).
    """
    return _blend(fragments, faces_F3, attributes_BVC, fragments.bary_BHW3[fragments.mask_BHW])


def interpolate_moving(
    fragments: Fragments,
    faces_F3: Tensor,
    attributes_BVC: Tensor,
    vertices_BV3: Tensor,
    K_B33: Tensor,
    *,
    orthographic: bool = False,
) -> Tensor:
    """Return attributes (B, H, W, C) as ``interpolate`` does, differentiable in the vertices too.

    The triangle that a pixel shows is held fixed; the point where its plane meets the pixel's ray follows the vertices.
    """
    bary = moving_barycentrics(fragments, faces_F3, vertices_BV3, K_B33, orthographic=orthographic)
    return _blend(fragments, faces_F3, attributes_BVC, bary)


def moving_barycentrics(
    fragments: Fragments, faces_F3: Tensor, vertices_BV3: Tensor, K_B33: Tensor, *, orthographic: bool = False
) -> Tensor:
    """Return barycentrics (N, 3) of the N pixels that show a triangle, in row order, differentiable in the vertices.

    They solve b0 p0 + b1 p1 + b2 p2 = t r, with r the pixel's ray and p the corners: by Cramer's rule each b is a
    triple product of the other two corners with the ray.
    """
    b, y, x = fragments.mask_BHW.nonzero(as_tuple=True)
    corner = vertices_BV3[b[:, None], faces_F3.long()[fragments.face_id_BHW[b, y, x].long()]]
    pixel = torch.stack([x, y, torch.ones_like(x)], -1).to(corner.dtype)
    ray = torch.linalg.solve(K_B33.expand(len(vertices_BV3), 3, 3)[b], pixel[..., None])[..., 0]
    if orthographic:
        # A parallel ray passes through (ray_x, ray_y) at any depth: drop z and look along it.
        corner = torch.cat([corner[..., :2], torch.ones_like(corner[..., :1])], -1)
    p0, p1, p2 = corner.unbind(1)
    area = torch.stack([_triple(ray, p1, p2), _triple(ray, p2, p0), _triple(ray, p0, p1)], -1)
    return area / area.sum(-1, keepdim=True)


def _triple(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return (a * torch.linalg.cross(b, c)).sum(-1)


def _blend(fragments: Fragments, faces_F3: Tensor, attributes_BVC: Tensor, bary_N3: Tensor) -> Tensor:
    mask = fragments.mask_BHW
    attributes = attributes_BVC if attributes_BVC.ndim == 3 else attributes_BVC.expand(len(mask), *attributes_BVC.shape)
    b = mask.nonzero()[:, 0]
    corner = attributes[b[:, None], faces_F3.long()[fragments.face_id_BHW[mask].long()]]
    values = (corner * bary_N3[..., None].to(corner.dtype)).sum(1)
    empty = torch.zeros(*mask.shape, attributes.shape[-1], dtype=values.dtype, device=values.device)
    return empty.masked_scatter(mask[..., None], values)


def depth_picture(
    fragments: Fragments, faces_F3: Tensor, vertices_BV3: Tensor, K_B33: Tensor, *, orthographic: bool = False
) -> Tensor:
    """Return z (B, H, W) in metres, infinite where there is no triangle, differentiable in the vertices."""
    z = interpolate_moving(fragments, faces_F3, vertices_BV3[..., 2:3], vertices_BV3, K_B33, orthographic=orthographic)
    return torch.where(fragments.mask_BHW, z[..., 0], torch.inf)


def part_labels(fragments: Fragments, faces_F3: Tensor, part_V: Tensor) -> Tensor:
    """Return the part label (B, H, W) int64 of the corner nearest to each pixel, -1 where there is no triangle."""
    mask = fragments.mask_BHW
    nearest = fragments.bary_BHW3[mask].argmax(-1)
    face = faces_F3.long()[fragments.face_id_BHW[mask].long()]
    labels = torch.full(mask.shape, UNLABELLED, dtype=torch.int64, device=mask.device)
    labels[mask] = part_V.long()[face.gather(1, nearest[:, None])[:, 0]]
    return labels


def vertex_normals(vertices_BV3: Tensor, faces_F3: Tensor) -> Tensor:
    """Return unit normals (B, V, 3), area-weighted over faces wound outwards; zero at a vertex without area."""
    corner = vertices_BV3[:, faces_F3.long()]
    normal = torch.linalg.cross(corner[:, :, 1] - corner[:, :, 0], corner[:, :, 2] - corner[:, :, 0])
    total = torch.zeros_like(vertices_BV3)
    for k in range(3):
        total = total.index_add(1, faces_F3[:, k].long(), normal)
    return torch.nn.functional.normalize(total, dim=-1, eps=1e-20)
