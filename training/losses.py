"""The losses of the groups network: Eq. 10, a heatmap loss, and label uncertainty as weights.

Every term is a mean over all B x 21 joints of the batch, invalid ones counting zero, so that the mean over equal
shares of a batch is the mean over the batch: several processes then train exactly as one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from handviz.hand.skeleton import ROOT, SCALE_BONE
from handviz.models.groups import GroupsOutput
from handviz.models.readout import STRIDE
from training.bones import BONE_ENDS, unusual_bones
from training.data.sample import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """How the terms add up.

    ``depth`` is Eq. 10's lambda (unknown in the paper; here it makes both terms about equal at the start). ``norm`` is the
    power of the XY and Z terms (unknown too: 1). ``heat`` and ``first`` weigh the heatmap loss of the selected maps and all
    2D losses of the hourglass's own; ``trusted_px`` is the uncertainty (pixels of a 128 px crop) that halves a label's weight.
    ``opinion_depth`` is the factor on a depth's weight where the label is another network's answer: on rendered hands where
    MediaPipe's answers agree, its depths are 11.2 mm off, our network's 7.1 (``scripts/judge_labels.py``). ``bones`` weighs, for
    the same samples, how far bone lengths are from usual ones (``training.bones``).
    """

    xy: float = 1.0
    depth: float = 20.0
    norm: int = 1
    heat: float = 0.0
    first: float = 0.0
    presence: float = 0.0
    side: float = 0.0
    trusted_px: float = 2.0
    opinion_depth: float = 0.25
    bones: float = 0.0
    heat_sigma_cells: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossTerms:
    """The total and its unweighted terms: pixels, relative depth, nats, shares of a bone's length."""

    total: Tensor
    xy: Tensor
    depth: Tensor
    heat: Tensor
    first: Tensor
    presence: Tensor
    side: Tensor
    bones: Tensor

    def numbers(self) -> dict[str, float]:
        """Return the terms as floats."""
        return {f.name: float(getattr(self, f.name).detach()) for f in fields(self)}


def relative_depth_target(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return (Z - Z_root) / scale (B, J) and which samples have it (B,) (Eq. 2)."""
    a, b = SCALE_BONE
    joints = batch.joints_m_BJ3
    scale_B = (joints[:, a] - joints[:, b]).norm(dim=-1)
    known_B = batch.has_joints_m_B & (scale_B > 1e-4)
    depth_BJ = (joints[..., 2] - joints[:, ROOT : ROOT + 1, 2]) / torch.where(known_B, scale_B, 1.0)[:, None]
    return torch.where(known_B[:, None], depth_BJ, 0.0), known_B


def label_weights(batch: Batch, weights: LossWeights) -> Tensor:
    """Return the weight (B, J) of each 2D label: 1 for exact ones, lower for uncertain ones, 0 where there is none."""
    trusted = weights.trusted_px * batch.rgb_B3SS.shape[-1] / 128
    return batch.valid_BJ * (trusted / (trusted + batch.sigma_px_BJ))


def depth_trust(batch: Batch, weights: LossWeights) -> Tensor:
    """Return the factor (B,) on each sample's depth weight: 1 for exact labels, which have no 2D uncertainty."""
    return torch.where(_is_opinion(batch), weights.opinion_depth, 1.0)


def _is_opinion(batch: Batch) -> Tensor:
    return (batch.sigma_px_BJ > 0).any(1)


def heat_target(batch: Batch, side: int, sigma_cells: float) -> Tensor:
    """Return Gaussian heatmaps (B, J, side, side) that sum to 1; a label's uncertainty widens its own."""
    cells = torch.arange(side, device=batch.joints_px_BJ2.device, dtype=torch.float32)
    centre_BJ2 = (batch.joints_px_BJ2.float() + 0.5) / STRIDE - 0.5
    sigma_BJ = (sigma_cells**2 + (batch.sigma_px_BJ / STRIDE) ** 2).sqrt()[..., None]
    # A joint outside the map is drawn at the border, never as an empty map.
    gap = cells - centre_BJ2.clamp(0, side - 1)[..., None]
    col, row = (torch.softmax(-0.5 * (gap[:, :, axis] / sigma_BJ) ** 2, -1) for axis in (0, 1))
    return row[..., :, None] * col[..., None, :]


def power(error: Tensor, norm: int) -> Tensor:
    """Return each error's absolute value, or its square where ``norm`` is 2."""
    return error.abs() if norm == 1 else error.square()


def _cross_entropy(heat_BJHW: Tensor, target_BJHW: Tensor, weight_BJ: Tensor) -> Tensor:
    nats_BJ = -(target_BJHW * heat_BJHW.clamp_min(1e-9).log()).sum((2, 3))
    return (weight_BJ * nats_BJ).mean()


def _xy(uv_BJ2: Tensor, batch: Batch, weight_BJ: Tensor, norm: int) -> Tensor:
    return (weight_BJ * power(uv_BJ2 - batch.joints_px_BJ2, norm).sum(-1)).mean()


def hourglass_loss(uv_BJ2: Tensor, heat_BJHW: Tensor, batch: Batch, weights: LossWeights) -> Tensor:
    """Return the 2D loss of the hourglass's own heatmaps: soft-argmax error plus, if it has a weight, the heatmap loss."""
    weight_BJ = label_weights(batch, weights)
    loss = weights.xy * _xy(uv_BJ2, batch, weight_BJ, weights.norm)
    if weights.heat:
        target = heat_target(batch, heat_BJHW.shape[-1], weights.heat_sigma_cells)
        loss = loss + weights.heat * _cross_entropy(heat_BJHW, target, weight_BJ)
    return loss


def groups_loss(output: GroupsOutput, batch: Batch, weights: LossWeights) -> LossTerms:
    """Return Eq. 10 and the terms added to it. Crops without a hand count only for presence, mirrored hands also for side."""
    weight_BJ = label_weights(batch, weights)
    target_BJ, known_B = relative_depth_target(batch)
    zero = output.depth_BJ.new_zeros(())
    xy = _xy(output.uv_BJ2, batch, weight_BJ, weights.norm)
    depth_weight_BJ = weight_BJ * (known_B * depth_trust(batch, weights))[:, None]
    depth = (depth_weight_BJ * power(output.depth_BJ - target_BJ, weights.norm)).mean()
    heat = zero
    if weights.heat:
        target = heat_target(batch, output.heat_BJHW.shape[-1], weights.heat_sigma_cells)
        heat = _cross_entropy(output.heat_BJHW, target, weight_BJ)
    first = hourglass_loss(output.first_uv_BJ2, output.first_heat_BJHW, batch, weights) if weights.first else zero
    presence = side = bones = zero
    if output.presence_B is not None and weights.presence:
        presence = F.binary_cross_entropy_with_logits(output.presence_B, batch.is_hand_B.float())
    if output.side_B is not None and weights.side:
        each_B = F.binary_cross_entropy_with_logits(output.side_B, (~batch.mirrored_B).float(), reduction="none")
        side = (each_B * batch.is_hand_B).mean()
    if weights.bones:
        # Pixels have labels of their own: only depths learn from lengths.
        unusual_BN = unusual_bones(output.uv_BJ2.detach(), output.depth_BJ, batch.K_B33)
        bones = (unusual_BN * (weight_BJ * _is_opinion(batch)[:, None])[:, BONE_ENDS]).mean()
    terms = {"xy": xy, "depth": depth, "heat": heat, "first": first, "presence": presence, "side": side, "bones": bones}
    total = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    return LossTerms(total=total, **terms)
