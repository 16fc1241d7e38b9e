"""The losses of the dense hand: Eqs. 2, 3, 6, 8, 9, the Laplacian and the schedule of Eq. 12; and what rendered labels add.

The weights of the sum are not in the paper. Every term here is made dimensionless, so that weights near one are a
sensible start, and is a mean over the whole batch with unlabelled samples counting zero. The terms beyond Eq. 7 are:

- ``place``: Eq. 8 centres both skeletons on the middle MCP, so only the mask says where the hand is in the crop. Projected
  joints, in crop sides, say it for every sample.
- ``vertices``, ``pose``, ``turn``, ``shape``: supervision where parameters are known (rendered and fitted hands).
- ``limits``, ``shape_prior``: anatomical joint limits, and shapes near the mean.
- ``mask_head``, ``evidence``: for what the live network has in addition, a mask head and a groups network that keeps learning.

Shape suffixes: B batch, J 21 joints, V vertices, N the 63 values of h, T iterations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handviz.fit.mesh_terms import Laplacian, mask_of
from handviz.hand.limits import ANATOMICAL_FROM_POSE, POSE_HIGH, POSE_LOW
from handviz.hand.model import HandModel, HandSurface, rotation_matrices
from handviz.hand.skeleton import ROOT
from handviz.models.dense import DenseNetwork, DenseOutput
from handviz.models.dense_vector import POSE, SHAPE, project_points, root_matrix, to_unit
from training.data.sample import Batch
from training.losses import LossWeights, depth_trust, groups_loss, label_weights, power

# Eq. 12's 15 pixels refer to the paper's 224 x 224 crops.
_SCHEDULE_CROP_PX = 224
_DECIMETRE = 0.1
_GROUPS = LossWeights(xy=0.2, depth=5.0, heat=1.0, first=0.3, presence=0.5, side=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseLossWeights:
    """How the terms add up, and what they cost in time.

    ``norm`` is the power of joint, refiner and vertex errors (the paper's is 2). ``schedule`` turns the mask loss on sample
    by sample below ``schedule_px`` (Eq. 12), or is ``constant``. ``mask_samples`` and ``feature_samples`` limit how many samples
    of a batch are rendered, or masked and seen again: both are costly. ``evidence`` weighs the groups network's own losses while
    it learns too.
    """

    articulation: float = 1.0
    place: float = 1.0
    refiner: float = 1.0
    feature: float = 1.0
    heat: float = 1.0
    mask: float = 1.0
    laplacian: float = 0.1
    vertices: float = 0.0
    pose: float = 0.0
    turn: float = 0.0
    shape: float = 0.0
    shape_prior: float = 1e-3
    limits: float = 1.0
    mask_head: float = 0.0
    evidence: float = 0.0
    norm: int = 2
    schedule: Literal["error", "constant"] = "error"
    schedule_px: float = 15.0
    mask_samples: int = 64
    mask_side: int = 64
    feature_samples: int = 64
    heat_sigma_cells: float = 1.5
    groups: LossWeights = _GROUPS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseTerms:
    """The total and its unweighted terms by name."""

    total: Tensor
    terms: dict[str, Tensor]

    def numbers(self) -> dict[str, float]:
        """Return the terms as floats, the total among them."""
        return {"total": float(self.total.detach())} | {name: float(term.detach()) for name, term in self.terms.items()}


def dense_loss(network: DenseNetwork, output: DenseOutput, batch: Batch, weights: DenseLossWeights) -> DenseTerms:
    """Return Eq. 7 and what is added to it. Only terms of non-zero weight are computed."""
    weight_BJ = label_weights(batch, weights.groups)
    trust_B = depth_trust(batch, weights.groups)
    makers = {
        "articulation": lambda: articulation_loss(output, batch, weight_BJ, weights.norm, trust_B),
        "place": lambda: place_loss(network, output, batch, weight_BJ, weights.norm),
        "refiner": lambda: refiner_loss(output, batch, weight_BJ, weights.norm),
        "feature": lambda: feature_loss(network, output, batch, weights.feature_samples),
        "heat": lambda: heat_loss(output.evidence.heat_BJHW, batch, weight_BJ, weights.heat_sigma_cells),
        "mask": lambda: mask_loss(network, output, batch, weights),
        "laplacian": lambda: Laplacian.of(network.hand)(output.surface.vertices_BV3),
        "limits": lambda: limits_loss(output.h_BN),
        "shape_prior": lambda: output.h_BN[:, SHAPE].square().mean(),
        "mask_head": lambda: mask_head_loss(output.evidence.mask_BHW, batch),
        "evidence": lambda: evidence_loss(output, batch, weights.groups),
    }
    terms = {name: make() for name, make in makers.items() if getattr(weights, name)}
    if any((weights.vertices, weights.pose, weights.turn, weights.shape)):
        terms |= parameter_losses(output, batch, network.hand, weights.norm, trust_B * weight_BJ.mean(1))
    total = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    return DenseTerms(total=total, terms=terms)


def normalised(joints_BJ3: Tensor, uv_BJ2: Tensor, extent_B: Tensor, K_B33: Tensor) -> Tensor:
    """Return a skeleton (B, J, 3) centred on the middle MCP, each axis in units of the hand (Eq. 8).

    x and y are pixels over ``extent_B``, 1.5 times the larger side of the joints' 2D box; z is depth over z_root extent / f.
    """
    centre = uv_BJ2 - uv_BJ2[:, ROOT : ROOT + 1]
    z = joints_BJ3[..., 2:]
    z_root = z[:, ROOT : ROOT + 1].clamp_min(0.05)
    focal = K_B33[:, 0, 0, None, None]
    return torch.cat([centre / extent_B[:, None, None], (z / z_root - 1) * focal / extent_B[:, None, None]], -1)


def hand_extent(joints_px_BJ2: Tensor) -> Tensor:
    """Return g (B,) of Eq. 8: 1.5 times the larger side of the 2D joints' box, at least 8 pixels."""
    return 1.5 * (joints_px_BJ2.amax(1) - joints_px_BJ2.amin(1)).amax(-1).clamp_min(8.0)


def articulation_loss(output: DenseOutput, batch: Batch, weight_BJ: Tensor, norm: int, trust_B: Tensor) -> Tensor:
    """Return L_Art (Eq. 8), depths weighted by ``trust_B``; samples without 3D joints count with x and y alone."""
    extent = hand_extent(batch.joints_px_BJ2)
    uv = project_points(output.joints_BJ3, batch.K_B33)
    truth = normalised(batch.joints_m_BJ3, batch.joints_px_BJ2, extent, batch.K_B33)
    error = power(normalised(output.joints_BJ3, uv, extent, batch.K_B33) - truth, norm)
    known = torch.ones_like(error)
    known[..., 2] = (batch.has_joints_m_B * trust_B)[:, None].to(error.dtype)
    return ((error * known).sum(-1) * weight_BJ).mean()


def place_loss(network: DenseNetwork, output: DenseOutput, batch: Batch, weight_BJ: Tensor, norm: int) -> Tensor:
    """Return the error of the projected joints, in crop sides."""
    truth = to_unit(batch.joints_px_BJ2, batch.rgb_B3SS.shape[-1])
    # A hand that is still far off must not drown all others.
    error = power(network.project(output.joints_BJ3, batch.K_B33) - truth, norm).clamp_max(1.0)
    return (error.sum(-1) * weight_BJ).mean()


def refiner_loss(output: DenseOutput, batch: Batch, weight_BJ: Tensor, norm: int) -> Tensor:
    """Return L_Ref (Eq. 6), the mean over iterations."""
    truth = to_unit(batch.joints_px_BJ2, batch.rgb_B3SS.shape[-1])
    error_TBJ = power(output.joints_unit_TBJ2 - truth, norm).sum(-1)
    return (error_TBJ * weight_BJ).mean()


def feature_loss(network: DenseNetwork, output: DenseOutput, batch: Batch, most: int) -> Tensor:
    """Return L_Feat (Eq. 2): F(x) against F of the picture masked by the true mask, per feature."""
    rows = _some_of(batch.has_mask_B, most)
    if len(rows) == 0:
        return output.h_BN.new_zeros(())
    rgb = batch.rgb_B3SS[rows]
    # Eq. 13 compares the two in a network whose norms have only seen full pictures, so they are compared that way here.
    with as_deployed(network.evidence):
        whole, masked = network.evidence.feature(rgb), network.evidence.feature(rgb * batch.mask_BSS[rows, None])
    return (whole - masked).square().mean() * batch.has_mask_B.float().mean()


@contextmanager
def as_deployed(module: nn.Module) -> Iterator[None]:
    """Let a module run as deployed: norms use their running statistics, which stay, and selectors are not sampled."""
    training = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, was_training in training:
            part.training = was_training


def heat_loss(heat_BJHW: Tensor, batch: Batch, weight_BJ: Tensor, sigma_cells: float) -> Tensor:
    """Return L_J2D (Eq. 3): squared difference to Gaussians of height one, summed over a map."""
    side, size = heat_BJHW.shape[-1], batch.rgb_B3SS.shape[-1]
    centre = (batch.joints_px_BJ2 + 0.5) * (side / size) - 0.5
    cells = torch.arange(side, device=centre.device, dtype=torch.float32)
    gap = (cells - centre[..., None]) / sigma_cells
    col, row = (torch.exp(-0.5 * gap[:, :, axis].square()) for axis in (0, 1))
    target = row[..., :, None] * col[..., None, :]
    return ((heat_BJHW - target).square().sum((2, 3)) * weight_BJ).mean()


def mask_on(network: DenseNetwork, output: DenseOutput, batch: Batch, weights: DenseLossWeights) -> Tensor:
    """Return which samples' mask loss counts (B,): those with a mask whose joints are near enough (Eq. 12).

    The paper compares a squared norm with "15 pixels"; that is read here as the joints' mean distance in a 224-pixel crop.
    """
    usable = batch.has_mask_B & batch.is_hand_B
    if weights.schedule == "constant":
        return usable
    truth = to_unit(batch.joints_px_BJ2, batch.rgb_B3SS.shape[-1])
    error = (network.project(output.joints_BJ3, batch.K_B33) - truth).norm(dim=-1).mean(-1)
    return usable & (error.detach() * _SCHEDULE_CROP_PX < weights.schedule_px)


def _some_of(wanted_B: Tensor, most: int) -> Tensor:
    """Return at most ``most`` of the wanted rows, spread over the batch, in which its sources follow each other."""
    rows = wanted_B.nonzero()[:, 0]
    if len(rows) <= most:
        return rows
    return rows[(2 * torch.arange(most, device=rows.device) + 1) * len(rows) // (2 * most)]


def mask_loss(network: DenseNetwork, output: DenseOutput, batch: Batch, weights: DenseLossWeights) -> Tensor:
    """Return L_Sh (Eq. 9): squared difference of rendered and true mask, the mean over pixels."""
    counts_B = mask_on(network, output, batch, weights)
    rows = _some_of(counts_B, weights.mask_samples)
    if len(rows) == 0:
        return output.h_BN.new_zeros(())
    drawn = mask_of(
        output.surface.vertices_BV3[rows], network.hand, batch.K_B33[rows], batch.rgb_B3SS.shape[-1], weights.mask_side
    )
    truth = F.interpolate(batch.mask_BSS[rows, None], size=drawn.shape[-2:], mode="area")[:, 0]
    return (drawn - truth).square().mean() * counts_B.float().mean()


def limits_loss(h_BN: Tensor) -> Tensor:
    """Return the mean excess of anatomical angles over the joint limits, radians."""
    to_angles = h_BN.new_tensor(ANATOMICAL_FROM_POSE)
    angles = h_BN[:, POSE] @ to_angles.T
    low, high = h_BN.new_tensor(POSE_LOW), h_BN.new_tensor(POSE_HIGH)
    return (torch.relu(angles - high) + torch.relu(low - angles)).mean()


def mask_head_loss(mask_BHW: Tensor | None, batch: Batch) -> Tensor:
    """Return the cross-entropy of the evidence's own mask, over samples that have a true one."""
    if mask_BHW is None:
        raise ValueError("mask_head has a weight, but the network has no mask head")
    truth = F.interpolate(batch.mask_BSS[:, None], size=mask_BHW.shape[-2:], mode="area")[:, 0]
    each = F.binary_cross_entropy_with_logits(mask_BHW, truth, reduction="none").mean((1, 2))
    return (each * batch.has_mask_B).mean()


def evidence_loss(output: DenseOutput, batch: Batch, weights: LossWeights) -> Tensor:
    """Return the groups network's own loss, where it is the evidence."""
    if output.evidence.groups is None:
        raise ValueError("evidence has a weight, but the evidence is not a groups network")
    return groups_loss(output.evidence.groups, batch, weights).total


@torch.no_grad()
def true_surface(batch: Batch, hand: HandModel) -> HandSurface:
    """Return the mesh of a batch's parameters (meaningless in rows without parameters)."""
    return hand.forward(batch.pose_B45, batch.shape_B10, batch.root_B3, batch.scale_B, batch.trans_B3)


def parameter_losses(output: DenseOutput, batch: Batch, hand: HandModel, norm: int, trust_B: Tensor) -> dict[str, Tensor]:
    """Return the errors of vertices (root-relative, decimetres), pose (radians), turn (matrix) and shape.

    Samples without parameters count zero, others ``trust_B`` (B,): fitted parameters are as reliable as the joints
    and depths they were fitted to.
    """
    has_B = (batch.has_params_B & batch.is_hand_B) * trust_B
    truth = true_surface(batch, hand)

    def centred(surface: HandSurface) -> Tensor:
        return (surface.vertices_BV3 - surface.joints_BJ3[:, ROOT : ROOT + 1]) / _DECIMETRE

    def mean(error_BX: Tensor) -> Tensor:
        return (error_BX.flatten(1).mean(1) * has_B).mean()

    turn = root_matrix(output.h_BN) - rotation_matrices(batch.root_B3)
    return {
        "vertices": mean(power(centred(output.surface) - centred(truth), norm)),
        "pose": mean(power(output.h_BN[:, POSE] - batch.pose_B45, norm)),
        "turn": mean(power(turn, norm)),
        "shape": mean(power(output.h_BN[:, SHAPE] - batch.shape_B10, norm)),
    }
