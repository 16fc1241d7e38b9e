"""Bone lengths as supervision of depths where no depth is known: a photograph's pixels have labels, its depths only guesses.

The lengths of a hand's bones differ little from person to person once hands are scaled to the same size. Together with the
pixels they say how far each joint is before or behind the last one, though not on which side: that, a network has to learn
from exact depths.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import BONES, SCALE_BONE

BONE_STARTS, BONE_ENDS = (list(side) for side in zip(*BONES, strict=True))
# Three quarters of the bones of webcam-like rendered hands are within this share of the default hand's.
USUAL_SHARE = 0.06
# In units of the scale bone: about 4 cm before the camera.
_NEAREST = 1.0


@lru_cache(maxsize=1)
def usual_lengths() -> tuple[float, ...]:
    """Return the lengths of the default hand's 20 bones in units of its ``SCALE_BONE``."""
    hand = load_hand_model()
    zeros = torch.zeros(1, 3)
    joints_J3 = hand.forward(torch.zeros(1, 45), torch.zeros(1, 10), zeros, torch.ones(1), zeros).joints_BJ3[0]
    a, b = SCALE_BONE
    return tuple((_bones(joints_J3[None]).norm(dim=-1)[0] / (joints_J3[a] - joints_J3[b]).norm()).tolist())


def unusual_bones(pixels_BJ2: Tensor, depth_BJ: Tensor, K_B33: Tensor) -> Tensor:
    """Return by which share of its usual length each bone (B, 20) is too long or too short, less ``USUAL_SHARE``, at least 0.

    ``pixels_BJ2`` are crop pixels, ``depth_BJ`` (Z - Z_root) / scale (Eq. 2). The root's distance is the one at which the sum
    of squared bone lengths is the usual one, so the hand's true size does not matter.
    """
    rays_BJ3 = camera_rays(pixels_BJ2, K_B33)
    usual_B = rays_BJ3.new_tensor(usual_lengths())
    # A bone is distance * d_ray + d_offset: a quadratic in the distance.
    d_ray, d_offset = _bones(rays_BJ3), _bones(rays_BJ3 * depth_BJ[..., None])
    a, b, c = ((x * y).sum((1, 2)) for x, y in ((d_ray, d_ray), (d_ray, d_offset), (d_offset, d_offset)))
    a = a.clamp_min(1e-9)
    root = (b.square() - a * (c - usual_B.square().sum())).clamp_min(1e-9).sqrt()
    distance_B = ((root - b) / a).clamp_min(_NEAREST)
    lengths = (distance_B[:, None, None] * d_ray + d_offset).square().sum(-1).add(1e-9).sqrt()
    return ((lengths / usual_B - 1).abs() - USUAL_SHARE).clamp_min(0)


def camera_rays(pixels_BJ2: Tensor, K_B33: Tensor) -> Tensor:
    """Return the points (B, J, 3) at depth 1 that a camera sees at these pixels."""
    return torch.cat([pixels_BJ2, torch.ones_like(pixels_BJ2[..., :1])], -1) @ torch.linalg.inv(K_B33).mT


def _bones(joints_BJ3: Tensor) -> Tensor:
    return joints_BJ3[:, BONE_ENDS] - joints_BJ3[:, BONE_STARTS]
