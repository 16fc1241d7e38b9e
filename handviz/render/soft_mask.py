"""A mask that passes gradients: exact inside and outside, smooth across the outline.

Near the outline a pixel's value is a smooth step of its signed distance to the nearest edge that bounds the picture; the edge is
found without gradients, the distance is differentiable in the vertices. ``mask_loss`` adds a term that pulls from afar.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from handviz.render.grid import NEAR_M
from handviz.render.raster import Backend, rasterize
from handviz.render.screen import project_points
from handviz.render.silhouette import near_edges

WIDTH_PX = 1.0
_TARGET_POINTS = 192
# This near to an edge the hard mask may be on either side of it, because it rounds corners.
_GRID_PX = 1e-3


def soft_mask(
    vertices_BV3: Tensor,
    faces_F3: Tensor,
    K_B33: Tensor,
    height: int,
    width: int,
    *,
    softness_px: float = WIDTH_PX,
    orthographic: bool = False,
    backend: Backend = "auto",
) -> Tensor:
    """Return masks (B, H, W) in [0, 1], differentiable in the vertices.

    One further than ``softness_px`` inside the outline, zero as far outside, one half on it. Arguments and errors as
    in ``rasterize``. A hand behind the camera or outside the picture gives zeros, without gradients.
    """
    K = K_B33.expand(len(vertices_BV3), 3, 3)
    # The outline just outside the picture softens pixels inside: draw a margin and cut it off.
    margin = math.ceil(softness_px) + 2
    wide_K = K.clone()
    wide_K[:, :2, 2] += margin
    size = (height + 2 * margin, width + 2 * margin)
    hard = rasterize(vertices_BV3.detach(), faces_F3, wide_K, *size, orthographic=orthographic, backend=backend).mask_BHW
    pixels = project_points(vertices_BV3, wide_K, orthographic=orthographic)
    pixel, edge = near_edges(pixels.detach(), vertices_BV3[..., 2] >= NEAR_M, faces_F3, hard, softness_px, backend)
    value = _step_across(pixels, hard, pixel, edge, softness_px)
    mask = hard.to(vertices_BV3.dtype).flatten().index_put((pixel,), value).view(-1, *size)
    return mask[:, margin : margin + height, margin : margin + width]


def _step_across(pixels_BV2: Tensor, hard_BHW: Tensor, pixel_N: Tensor, edge_N2: Tensor, softness: float) -> Tensor:
    """Return the value (N,) of pixels near their nearest edge: a smooth step of the signed distance."""
    _, height, width = hard_BHW.shape
    b, place = pixel_N // (height * width), pixel_N % (height * width)
    at = torch.stack([place % width, place // width], -1).to(pixels_BV2.dtype)
    start, end = pixels_BV2[b, edge_N2[:, 0]], pixels_BV2[b, edge_N2[:, 1]]
    sign = hard_BHW.flatten()[pixel_N].to(at.dtype) * 2 - 1
    t = _signed_distance(at, start, end, sign) / softness
    return 0.5 + t * (0.75 - 0.25 * t * t)


def _signed_distance(at_N2: Tensor, start_N2: Tensor, end_N2: Tensor, sign_N: Tensor) -> Tensor:
    """Return the distance (N,) to segments whose outside lies to the left, positive inside, smooth also on the segment."""
    step = end_N2 - start_N2
    length = step.square().sum(-1).sqrt()
    offset = at_N2 - start_N2
    along = (offset * step).sum(-1) / length.square()
    # Alongside the segment the distance is that to its line, whose derivative does not vanish on it.
    line = (step[:, 0] * offset[:, 1] - step[:, 1] * offset[:, 0]) / length
    line = torch.where(line.detach() * sign_N < -_GRID_PX, -line, line)
    nearest = torch.where((along > 0.5)[:, None], end_N2, start_N2)
    corner = ((at_N2 - nearest).square().sum(-1) + 1e-18).sqrt() * sign_N
    return torch.where((along > 0) & (along < 1), line, corner)


def soft_iou(mask_BHW: Tensor, target_BHW: Tensor) -> Tensor:
    """Return the soft intersection over union (B,) of masks with values in [0, 1]; one for two empty ones."""
    both = (mask_BHW * target_BHW).sum((-1, -2))
    union = mask_BHW.sum((-1, -2)) + target_BHW.sum((-1, -2)) - both
    return (both + 1e-6) / (union + 1e-6)


def mask_loss(
    vertices_BV3: Tensor,
    faces_F3: Tensor,
    K_B33: Tensor,
    target_BHW: Tensor,
    *,
    softness_px: float = WIDTH_PX,
    far_weight: float = 1.0,
    backend: Backend = "auto",
) -> Tensor:
    """Return the loss (B,) of meshes against target masks: one minus soft IoU, plus a distance that pulls from anywhere.

    ``target_BHW`` in [0, 1]. The distance, a share of the picture's diagonal, is the mean over vertices of how far they project
    from the target, and the mean over target pixels of how far the nearest vertex is, both less the spacing of the points
    compared: it pulls where the masks do not touch, even from outside the picture, and vanishes near a fit. The loss is zero
    where the target is empty.
    """
    height, width = target_BHW.shape[-2:]
    mask = soft_mask(vertices_BV3, faces_F3, K_B33, height, width, softness_px=softness_px, backend=backend)
    pixels = project_points(vertices_BV3, K_B33.expand(len(vertices_BV3), 3, 3))
    far = _apart(pixels, vertices_BV3[..., 2] >= NEAR_M, target_BHW > 0.5) / math.hypot(height, width)
    loss = 1 - soft_iou(mask, target_BHW.to(mask.dtype)) + far_weight * far
    return torch.where((target_BHW > 0.5).flatten(1).any(1), loss, loss * 0)


def _apart(pixels_BV2: Tensor, visible_BV: Tensor, target_BHW: Tensor) -> Tensor:
    """Return the two mean distances (B,) in pixels between projected vertices and targets, added."""
    points_BP2, spacing_B = _spread_points(target_BHW)
    distance_BPV = torch.cdist(points_BP2.to(pixels_BV2.dtype), pixels_BV2)
    slack = 1.5 + 1.5 * spacing_B.to(pixels_BV2.dtype)[:, None]
    outwards = torch.relu(distance_BPV.amin(1) - slack) * visible_BV
    hidden = torch.where(visible_BV, 0.0, torch.inf).to(pixels_BV2.dtype)[:, None]
    inwards = torch.relu((distance_BPV + hidden).amin(2) - slack)
    # A hand with no vertex in front of the camera has no position in the picture to be pulled from.
    inwards = torch.where(visible_BV.any(1, keepdim=True), inwards, torch.zeros_like(inwards))
    return outwards.sum(1) / visible_BV.sum(1).clamp(min=1) + inwards.mean(1)


def _spread_points(target_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return pixels (B, P, 2) picked evenly from each mask, and their spacing (B,) in pixels."""
    width = target_BHW.shape[-1]
    count_BN = target_BHW.flatten(1).cumsum(1)
    total_B1 = count_BN[:, -1:]
    rank = (torch.arange(_TARGET_POINTS, device=count_BN.device) + 0.5) / _TARGET_POINTS
    place = torch.searchsorted(count_BN, (rank * total_B1).floor().long() + 1).clamp(max=count_BN.shape[1] - 1)
    spacing = (total_B1[:, 0] / _TARGET_POINTS).sqrt()
    return torch.stack([place % width, place // width], -1), spacing
