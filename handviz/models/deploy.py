"""A trained groups network made ready to run: selection fixed, norms folded, unused maps left out.

A trained network computes K x 21 heatmaps and depth maps and throws all but 21 of each away. The deployed one keeps, of each
group's last convolutions, only the rows of the joints that this group answers for.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from handviz.models.blocks import PreactivationResidual, channels_last
from handviz.models.checkpoint import load_groups
from handviz.models.groups import GroupFusion, GroupsNetwork, GroupsOutput, MapHead
from handviz.models.readout import spatial_softmax


def fold_norms(network: nn.Module) -> None:
    """Fold, in place, each batch norm that follows a convolution into it. The network must be in eval mode."""
    for module in network.modules():
        if isinstance(module, nn.Sequential) and len(module) == 2 and isinstance(module[1], nn.BatchNorm2d):
            module[0] = fuse_conv_bn_eval(cast(nn.Conv2d, module[0]), module[1])
            module[1] = nn.Identity()
        elif isinstance(module, PreactivationResidual):
            module.conv1 = fuse_conv_bn_eval(module.conv1, cast(nn.BatchNorm2d, module.norm2))
            module.conv2 = fuse_conv_bn_eval(module.conv2, cast(nn.BatchNorm2d, module.norm3))
            module.norm2, module.norm3 = nn.Identity(), nn.Identity()
        elif isinstance(module, GroupFusion):
            module.mix = fuse_conv_bn_eval(module.mix, cast(nn.BatchNorm2d, module.norm))
            module.norm = nn.Identity()


def _keep_rows(head: MapHead, rows: Tensor) -> MapHead:
    kept = copy.deepcopy(head)
    old = head.out
    kept.out = nn.Conv2d(old.in_channels, len(rows), old.kernel_size, padding=old.padding)  # type: ignore[arg-type]
    with torch.no_grad():
        kept.out.weight.copy_(head.out.weight[rows])
        cast(Tensor, kept.out.bias).copy_(cast(Tensor, head.out.bias)[rows])
    return kept


class DeployedGroups(nn.Module):
    """The deterministic network: equal to the sampled one as its temperature goes to 0."""

    joint_order: Tensor

    def __init__(self, trained: GroupsNetwork) -> None:
        super().__init__()
        network = copy.deepcopy(trained).eval().requires_grad_(False)
        fold_norms(network)
        self.config = network.config
        groups_J = network.selector.groups()
        self.groups: tuple[int, ...] = tuple(int(g) for g in groups_J)
        self.selector_JK = network.selector.probabilities()
        used = [k for k in range(self.config.groups) if k in self.groups]
        rows = [(groups_J == k).nonzero()[:, 0] for k in used]
        self.network = network
        # Without fusion a group that answers for no joint need not be computed at all.
        self.branches = nn.ModuleList(b for k, b in enumerate(network.branches) if self.config.fusion or k in used)
        self.fusions = nn.ModuleList(network.fusions[k] for k in used if self.config.fusion)
        self.heat_heads = nn.ModuleList(
            _keep_rows(cast(MapHead, network.heat_heads[k]), r) for k, r in zip(used, rows, strict=True)
        )
        self.depth_heads = nn.ModuleList(
            _keep_rows(cast(MapHead, network.depth_heads[k]), r) for k, r in zip(used, rows, strict=True)
        )
        self.register_buffer("joint_order", torch.cat(rows).argsort())
        del network.branches, network.fusions, network.heat_heads, network.depth_heads
        channels_last(self)

    def hourglass(self, rgb_B3SS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return shared features, first heatmaps and coarsest features, for ``decide`` and for networks that build on them."""
        features: tuple[Tensor, Tensor, Tensor] = self.network.hourglass(rgb_B3SS)
        return features

    def forward(self, rgb_B3SS: Tensor) -> GroupsOutput:
        """Return the 2.5D joints of crops in [0, 1]."""
        return self.decide(*self.hourglass(rgb_B3SS))

    def decide(self, feat_BCHW: Tensor, first_BJHW: Tensor, coarsest_BCHW: Tensor) -> GroupsOutput:
        """Return the 2.5D joints from what the hourglass gave."""
        shared_BCHW = self.network.neck(torch.cat([first_BJHW, feat_BCHW], 1))
        groups = [branch(shared_BCHW) for branch in self.branches]
        if self.config.fusion:
            all_BCHW = torch.cat(groups, 1)
            groups = [fusion(all_BCHW) for fusion in self.fusions]
        logits_BJHW = self._joint_maps(self.heat_heads, groups)
        heat_BJHW = spatial_softmax(logits_BJHW, self.network.beta_J)
        depth_BJ = (self._joint_maps(self.depth_heads, groups).float() * heat_BJHW).sum((2, 3))
        return self.network.read_out(heat_BJHW, depth_BJ, first_BJHW, coarsest_BCHW)

    def _joint_maps(self, heads: nn.ModuleList, groups: list[Tensor]) -> Tensor:
        return torch.cat([head(g) for head, g in zip(heads, groups, strict=True)], 1)[:, self.joint_order]


class Answers(nn.Module):
    """The tensors the app needs, as a plain tuple: pixels, depths, heatmaps and, last, the presence logit if there is one."""

    def __init__(self, deployed: DeployedGroups) -> None:
        super().__init__()
        self.deployed = deployed

    def forward(self, rgb_B3SS: Tensor) -> tuple[Tensor, ...]:
        """Return (uv_BJ2, depth_BJ, heat_BJHW[, presence_B])."""
        out = self.deployed(rgb_B3SS)
        answers = (out.uv_BJ2, out.depth_BJ, out.heat_BJHW)
        return answers if out.presence_B is None else (*answers, out.presence_B)


def compile_for_speed(deployed: DeployedGroups, device: torch.device, batch: int = 1) -> nn.Module:
    """Return a frozen trace of ``Answers``: a third faster on a CPU at batch 1; any batch size runs."""
    size = deployed.config.input_size
    example = torch.zeros(batch, 3, size, size, device=device).to(memory_format=torch.channels_last)
    with torch.no_grad():
        traced = torch.jit.trace(Answers(deployed).eval().to(device), example, check_trace=False)
        return cast(nn.Module, torch.jit.freeze(traced))


class TorchGroups:
    """A groups network run by torch, from a picture's bytes to arrays."""

    def __init__(self, weights: Path, device: torch.device) -> None:
        network, _ = load_groups(weights)
        self._device = device
        self._network = compile_for_speed(DeployedGroups(network), device)

    @property
    def device(self) -> str:
        """Where it runs: cpu or the GPU's name."""
        return "cpu" if self._device.type == "cpu" else torch.cuda.get_device_name(self._device)

    def __call__(self, rgb_BSS3: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        """Return what ``Answers`` gives for pictures (B, S, S, 3)."""
        # Rows of pixels as they lie in memory are channels-last already.
        rgb = torch.from_numpy(rgb_BSS3).to(self._device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            return [answer.cpu().numpy() for answer in self._network(rgb)]
