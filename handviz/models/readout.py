"""From maps to numbers: soft-argmax for pixels. Map index (i, j) is row i, column j."""

from __future__ import annotations

import torch
from torch import Tensor

# The maps have a quarter of the crop's resolution.
STRIDE = 4


def spatial_softmax(logits_BJHW: Tensor, beta_J: Tensor) -> Tensor:
    """Return heatmaps that sum to 1 over the map; ``beta_J`` is the inverse temperature of each joint."""
    B, J, H, W = logits_BJHW.shape
    flat = logits_BJHW.float().reshape(B, J, H * W) * beta_J[None, :, None]
    return torch.softmax(flat, -1).reshape(B, J, H, W)


def soft_argmax(heat_BJHW: Tensor) -> Tensor:
    """Return the expected position (B, J, 2) in crop pixels, pixel centres on integers."""
    _, _, H, W = heat_BJHW.shape
    u = (torch.arange(W, device=heat_BJHW.device, dtype=heat_BJHW.dtype) + 0.5) * STRIDE - 0.5
    v = (torch.arange(H, device=heat_BJHW.device, dtype=heat_BJHW.dtype) + 0.5) * STRIDE - 0.5
    # Not a matrix product, which mixed precision would compute in eight bits: half a pixel off at 256 pixels.
    return torch.stack([(heat_BJHW.sum(2) * u).sum(-1), (heat_BJHW.sum(3) * v).sum(-1)], -1)
