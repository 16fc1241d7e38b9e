"""A trained dense network made ready to run: norms folded, selection fixed, traced with its hand inside."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from handviz.models.blocks import channels_last
from handviz.models.compiled import CompiledNetwork
from handviz.models.dense import DenseNetwork
from handviz.models.dense_evidence import Evidence, LiveEvidence, RawEvidence
from handviz.models.deploy import DeployedGroups, fold_norms, frozen_trace
from handviz.models.groups import GroupsOutput

_ONE_BY_ONE = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseAnswers:
    """The tensors the app needs for B crops.

    ``h_BN`` (B, 63); ``refined_px_BJ2`` the refined 2D joints in crop pixels; ``heat_BJHW`` heatmaps; ``feature_BF`` F(x);
    ``depth_BJ`` relative depths, ``mask_BHW`` mask logits, ``presence_B`` and ``side_B`` logits: None where the
    network has no such output.
    """

    h_BN: Tensor
    refined_px_BJ2: Tensor
    heat_BJHW: Tensor
    feature_BF: Tensor
    depth_BJ: Tensor | None
    mask_BHW: Tensor | None
    presence_B: Tensor | None
    side_B: Tensor | None


class PlainAnswers(nn.Module):
    """The network's answers as a plain tuple, absent ones as empty tensors, which a trace can return."""

    def __init__(self, network: DenseNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, rgb_B3SS: Tensor, K_B33: Tensor) -> tuple[Tensor, ...]:
        """Return the answers for crops in [0, 1] seen by cameras K."""
        return self.answers(self.network.evidence(rgb_B3SS), K_B33)

    def answers(self, evidence: Evidence, K_B33: Tensor) -> tuple[Tensor, ...]:
        """Return the answers that follow from the evidence."""
        out = self.network.regress(evidence, K_B33)
        size = self.network.config.input_size
        groups, nothing = out.evidence.groups, out.h_BN.new_zeros(0)
        return (
            out.h_BN,
            (out.refined_BJ2 + 0.5) * size - 0.5,
            out.evidence.heat_BJHW,
            out.evidence.feature_BF,
            nothing if groups is None else groups.depth_BJ,
            nothing if out.evidence.mask_BHW is None else out.evidence.mask_BHW,
            nothing if groups is None or groups.presence_B is None else groups.presence_B,
            nothing if groups is None or groups.side_B is None else groups.side_B,
        )


class EvidenceAnswers(nn.Module):
    """The live evidence as a plain tuple: the convolutional part of a dense network, which can be exported."""

    def __init__(self, evidence: LiveEvidence) -> None:
        super().__init__()
        self.evidence = evidence
        names = ("pooled", "at_joints", "uv", "depth", "heat", "mask", "presence", "side")
        self.output_names = names if evidence.groups.config.side else names[:-1]

    def forward(self, rgb_B3SS: Tensor) -> tuple[Tensor, ...]:
        """Return pooled and joint features, 2D joints, depths, heatmaps, logits of mask and presence (empty where absent) and,
        of a network with a side head, of the side."""
        raw = self.evidence.raw(rgb_B3SS)
        groups, nothing = raw.groups, rgb_B3SS.new_zeros(0)
        mask = nothing if raw.mask_BHW is None else raw.mask_BHW
        presence = nothing if groups.presence_B is None else groups.presence_B
        side = () if groups.side_B is None else (groups.side_B,)
        return raw.pooled_BC, raw.at_joints_BJC, groups.uv_BJ2, groups.depth_BJ, groups.heat_BJHW, mask, presence, *side


class _FromEvidence(nn.Module):
    """The rest of a live dense network, after ``EvidenceAnswers``."""

    def __init__(self, network: DenseNetwork) -> None:
        super().__init__()
        self.plain = PlainAnswers(network)

    def forward(self, *seen_and_K: Tensor) -> tuple[Tensor, ...]:
        pooled, joints, uv, depth, heat, mask, presence, *side, K = seen_and_K
        groups = GroupsOutput(
            uv_BJ2=uv,
            depth_BJ=depth,
            heat_BJHW=heat,
            first_uv_BJ2=uv,
            first_heat_BJHW=heat,
            presence_B=presence if presence.numel() else None,
            side_B=side[0] if side else None,
        )
        raw = RawEvidence(pooled_BC=pooled, at_joints_BJC=joints, groups=groups, mask_BHW=mask if mask.numel() else None)
        return self.plain.answers(cast(LiveEvidence, self.plain.network.evidence).assemble(raw), K)


def deployed(network: DenseNetwork) -> DenseNetwork:
    """Return a copy with folded norms and a deterministic groups network, for inference only."""
    ready = copy.deepcopy(network).eval().requires_grad_(False)
    evidence = ready.evidence
    if isinstance(evidence, LiveEvidence):
        evidence.groups = DeployedGroups(evidence.groups)  # type: ignore[assignment]
        if evidence.mask is not None:
            fold_norms(evidence.mask)
    else:
        fold_norms(ready)
    return channels_last(ready)


class DenseRunner:
    """A deployed dense network, made fast for one crop: its evidence runs exported where there is an export, the rest traced.

    Large batches run untraced.
    """

    def __init__(self, network: DenseNetwork, device: torch.device, compiled: CompiledNetwork | None = None) -> None:
        self.network = deployed(network).to(device)
        self._plain = PlainAnswers(self.network).eval()
        size = network.config.input_size
        rgb = torch.zeros(1, 3, size, size, device=device).to(memory_format=torch.channels_last)
        K = torch.tensor([[[2.0 * size, 0, (size - 1) / 2], [0, 2.0 * size, (size - 1) / 2], [0, 0, 1]]], device=device)
        self._one: Callable[[Tensor, Tensor], tuple[Tensor, ...]]
        if compiled is None:
            self._one = _traced(self._plain, rgb, K)
        else:
            rest = _traced(_FromEvidence(self.network).eval(), *compiled(rgb), K)
            self._one = lambda rgb, K: rest(*compiled(rgb), K)

    @torch.no_grad()
    def __call__(self, rgb_B3SS: Tensor, K_B33: Tensor) -> DenseAnswers:
        """Return the answers for crops in [0, 1] seen by cameras K."""
        rgb = rgb_B3SS.contiguous(memory_format=torch.channels_last)
        if len(rgb) > _ONE_BY_ONE:
            parts = [self._plain(rgb, K_B33)]
        else:
            # The hand model fixes the batch size of a trace; two hands cost no more one by one.
            parts = [self._one(rgb[i : i + 1], K_B33[i : i + 1]) for i in range(len(rgb))]
        h, refined, heat, feature, *rest = (torch.cat(column) for column in zip(*parts, strict=True))
        depth, mask, presence, side = (t if t.numel() else None for t in rest)
        return DenseAnswers(
            h_BN=h,
            refined_px_BJ2=refined,
            heat_BJHW=heat,
            feature_BF=feature,
            depth_BJ=depth,
            mask_BHW=mask,
            presence_B=presence,
            side_B=side,
        )


def _traced(module: nn.Module, *inputs: Tensor) -> nn.Module:
    # The hand model's sizes, including the batch size, are meant to become constants. The filter stays: two networks may be
    # loaded at once, and the first one done would remove the other's filter.
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning, module="handviz")  # type: ignore[attr-defined]
    return frozen_trace(module, *inputs)
