"""Hands shown again, mirrored: from them a network with a side head learns what a crop of the wrong side looks like."""

from __future__ import annotations

from dataclasses import replace

import torch

from training.data.sample import Batch
from training.data.sources import concatenate


def with_mirrored(batch: Batch, share: float, generator: torch.Generator) -> Batch:
    """Return the batch followed by this share of its hands as left ones: pictures without any label but their side."""
    hands = batch.is_hand_B.nonzero()[:, 0]
    chosen = torch.randperm(len(hands), generator=generator, device=generator.device)[: round(share * len(batch))]
    if len(chosen) == 0:
        return batch
    left = batch.take(hands[chosen.to(hands.device)])
    none = torch.zeros_like(left.is_hand_B)
    left = replace(
        left,
        rgb_B3SS=left.rgb_B3SS.flip(-1),
        valid_BJ=torch.zeros_like(left.valid_BJ),
        has_joints_m_B=none,
        has_mask_B=none,
        has_params_B=none,
        mirrored_B=~none,
    )
    return concatenate([batch, left])
