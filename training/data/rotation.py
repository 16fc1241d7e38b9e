"""Rotation matrices to axis-angle in torch, for batches on any device."""

from __future__ import annotations

import torch
from torch import Tensor


def log_rotation(R_B33: Tensor) -> Tensor:
    """Return axis-angle vectors (B, 3), radians in [0, pi], of rotations (B, 3, 3).

    Computed through the quaternion, dividing by its largest entry, which is exact at every angle (Shepperd 1978).
    """
    m00, m11, m22 = R_B33[:, 0, 0], R_B33[:, 1, 1], R_B33[:, 2, 2]
    x, y, z = R_B33[:, 2, 1] - R_B33[:, 1, 2], R_B33[:, 0, 2] - R_B33[:, 2, 0], R_B33[:, 1, 0] - R_B33[:, 0, 1]
    xy, xz, yz = R_B33[:, 0, 1] + R_B33[:, 1, 0], R_B33[:, 0, 2] + R_B33[:, 2, 0], R_B33[:, 1, 2] + R_B33[:, 2, 1]
    # Four multiples of the same quaternion (w, x, y, z); the longest is the most exact.
    candidates = torch.stack(
        [
            torch.stack([1 + m00 + m11 + m22, x, y, z], -1),
            torch.stack([x, 1 + m00 - m11 - m22, xy, xz], -1),
            torch.stack([y, xy, 1 - m00 + m11 - m22, yz], -1),
            torch.stack([z, xz, yz, 1 - m00 - m11 + m22], -1),
        ],
        1,
    )
    best = candidates.norm(dim=-1).argmax(1)
    q = torch.nn.functional.normalize(candidates[torch.arange(len(R_B33), device=R_B33.device), best], dim=-1)
    q = torch.where(q[:, :1] < 0, -q, q)
    sine = q[:, 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, q[:, :1])
    return q[:, 1:] * torch.where(sine > 1e-7, angle / sine.clamp_min(1e-7), torch.full_like(sine, 2.0))
