"""Blurs and coarse pixels of batches, each picture with its own strength, as matrices that act on rows and columns alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Samples along the path of a moving camera.
_STREAK_TAPS = 13


def filtered(rgb_BCSS: Tensor, matrix_BSS: Tensor) -> Tensor:
    """Return pictures filtered along both axes by one matrix each."""
    return matrix_BSS[:, None] @ rgb_BCSS @ matrix_BSS[:, None].transpose(2, 3)


def gaussian(sigma_B: Tensor, size: int) -> Tensor:
    """Return matrices (B, S, S) that blur by Gaussians of sigma pixels; pictures are mirrored at their borders."""
    at = torch.arange(size, device=sigma_B.device, dtype=sigma_B.dtype)
    to, of = at[:, None], at[None, :]
    spread = -0.5 / sigma_B.clamp_min(1e-3).square()[:, None, None]
    mirrored = ((to + of).square(), of > 0), ((to + of - 2 * (size - 1)).square(), of < size - 1)
    weight = torch.exp(spread * (to - of).square())
    for distance2, counts in mirrored:
        weight = weight + torch.exp(spread * distance2) * counts
    return weight / weight.sum(2, keepdim=True)


def coarse(factor_B: Tensor, size: int) -> Tensor:
    """Return matrices (B, S, S) that shrink pictures by a factor, averaging areas, and enlarge them again, linearly."""
    small = (size / factor_B).round().clamp(min=8)[:, None, None]
    at = torch.arange(size, device=factor_B.device, dtype=factor_B.dtype)
    step = size / small
    low = at[:, None] * step
    overlap = torch.minimum(low + step, at + 1) - torch.maximum(low, at)
    down = overlap.clamp(min=0) / step
    place = (((at[:, None] + 0.5) / step) - 0.5).clamp(min=0)
    place = torch.minimum(place, small - 1)
    up = (1 - (place - at).abs()).clamp(min=0)
    return up @ down


def streaked(rgb_B3SS: Tensor, length_B: Tensor, angle_B: Tensor) -> Tensor:
    """Return pictures of a camera that moved along lines of these lengths in pixels, in directions in radians."""
    size = rgb_B3SS.shape[-1]
    reach = torch.stack([torch.cos(angle_B), torch.sin(angle_B)], -1) * (length_B / (size - 1))[:, None]
    plain = torch.eye(2, 3, device=rgb_B3SS.device).expand(len(rgb_B3SS), 2, 3)
    total = torch.zeros_like(rgb_B3SS)
    for share in torch.linspace(-1, 1, _STREAK_TAPS).tolist():
        moved = torch.cat([plain[..., :2], (share * reach)[..., None]], -1)
        grid = F.affine_grid(moved, list(rgb_B3SS.shape), align_corners=True)
        total += F.grid_sample(rgb_B3SS, grid, padding_mode="reflection", align_corners=True)
    return total / _STREAK_TAPS
