"""A trained groups network made ready to run: selection fixed, norms folded, unused maps left out, parallel layers merged.

A trained network computes K x 21 heatmaps and depth maps and discards all but 21 of each. The deployed one keeps, of each
group's last convolutions, only the rows of the joints that this group answers for.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from handviz.hand.skeleton import NUM_JOINTS
from handviz.models.blocks import PostactivationResidual, PreactivationResidual, channels_last
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


def fold_first_maps(neck: nn.Sequential, heat: nn.Conv2d) -> nn.Sequential | None:
    """Return a neck that reads features alone, with the first maps that it also reads folded into it, where that is possible.

    These maps are a 1x1 convolution of the same features, so a 1x1 convolution of both together equals one of the features.
    None where the neck begins with another kind of layer.
    """
    first = neck[0]
    if not isinstance(first, PostactivationResidual) or isinstance(first.skip, nn.Identity):
        return None
    folded = copy.deepcopy(neck)
    begin = cast(PostactivationResidual, folded[0])
    for pair in (begin.conv1, cast(nn.Sequential, begin.skip)):
        pair[0] = _behind(cast(nn.Conv2d, pair[0]), heat)
    return folded


def _behind(conv: nn.Conv2d, heat: nn.Conv2d) -> nn.Conv2d:
    """Return the 1x1 convolution of features that equals ``conv`` of (``heat`` of the features, the features)."""
    alone = nn.Conv2d(heat.in_channels, conv.out_channels, 1)
    of_maps, of_features = conv.weight[..., 0, 0].split([heat.out_channels, heat.in_channels], 1)
    bias = cast(Tensor, conv.bias)
    with torch.no_grad():
        alone.weight.copy_((of_features + of_maps @ heat.weight[..., 0, 0])[..., None, None])
        cast(Tensor, alone.bias).copy_(bias + of_maps @ cast(Tensor, heat.bias))
    return alone


class GroupHead(nn.Module):
    """Both heads of a group as one, with rows only for the joints that this group answers for: heatmaps, then depth maps."""

    def __init__(self, heat: MapHead, depth: MapHead, joints: Tensor) -> None:
        super().__init__()
        width, rows, kernel = heat.hidden.in_channels, len(joints), heat.out.kernel_size[0]
        self.hidden = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.out = nn.Conv2d(2 * width, 2 * rows, kernel, padding=kernel // 2)
        with torch.no_grad():
            self.out.weight.zero_()
            for place, head in enumerate((heat, depth)):
                old, new = slice(place * width, (place + 1) * width), slice(place * rows, (place + 1) * rows)
                self.hidden.weight[old] = head.hidden.weight
                cast(Tensor, self.hidden.bias)[old] = cast(Tensor, head.hidden.bias)
                self.out.weight[new, old] = head.out.weight[joints]
                cast(Tensor, self.out.bias)[new] = cast(Tensor, head.out.bias)[joints]

    def forward(self, feat_BCHW: Tensor) -> Tensor:
        """Return the maps (B, 2 x joints of this group, H, W)."""
        return self.out(torch.relu(self.hidden(feat_BCHW)))


class DeployedGroups(nn.Module):
    """The deterministic network: the limit of the sampled one as its temperature goes to 0."""

    map_order: Tensor

    def __init__(self, trained: GroupsNetwork) -> None:
        super().__init__()
        network = copy.deepcopy(trained).eval().requires_grad_(False)
        fold_norms(network)
        self.config = network.config
        groups_J = network.selector.groups()
        self.groups: tuple[int, ...] = tuple(int(g) for g in groups_J)
        self.selector_JK = network.selector.probabilities()
        used = [k for k in range(self.config.groups) if k in self.groups]
        self.network = network
        self.neck = fold_first_maps(network.neck, network.hourglass.heat)
        # Without fusion a group that answers for no joint need not be computed at all.
        self.branches = nn.ModuleList(b for k, b in enumerate(network.branches) if self.config.fusion or k in used)
        self.fusions = nn.ModuleList(network.fusions[k] for k in used if self.config.fusion)
        rows = [(groups_J == k).nonzero()[:, 0] for k in used]
        heads = ((cast(MapHead, network.heat_heads[k]), cast(MapHead, network.depth_heads[k])) for k in used)
        self.heads = nn.ModuleList(GroupHead(*pair, joints) for pair, joints in zip(heads, rows, strict=True))
        self.register_buffer("map_order", torch.cat([torch.cat([r, NUM_JOINTS + r]) for r in rows]).argsort())
        del network.branches, network.fusions, network.heat_heads, network.depth_heads
        if self.neck is not None:
            del network.neck
        channels_last(self.requires_grad_(False))

    def hourglass(self, rgb_B3SS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return shared features, first heatmaps and coarsest features, for ``decide`` and for networks that build on them."""
        features: tuple[Tensor, Tensor, Tensor] = self.network.hourglass(rgb_B3SS)
        return features

    def forward(self, rgb_B3SS: Tensor) -> GroupsOutput:
        """Return the 2.5D joints of crops in [0, 1]."""
        return self.decide(*self.hourglass(rgb_B3SS))

    def decide(self, feat_BCHW: Tensor, first_BJHW: Tensor, coarsest_BCHW: Tensor) -> GroupsOutput:
        """Return the 2.5D joints from the hourglass's output."""
        shared_BCHW = self.network.neck(torch.cat([first_BJHW, feat_BCHW], 1)) if self.neck is None else self.neck(feat_BCHW)
        groups = [branch(shared_BCHW) for branch in self.branches]
        if self.config.fusion:
            all_BCHW = torch.cat(groups, 1)
            groups = [fusion(all_BCHW) for fusion in self.fusions]
        maps_BMHW = torch.cat([head(group) for head, group in zip(self.heads, groups, strict=True)], 1)[:, self.map_order]
        logits_BJHW, depth_BJHW = maps_BMHW.split(NUM_JOINTS, 1)
        heat_BJHW = spatial_softmax(logits_BJHW, self.network.beta_J)
        depth_BJ = (depth_BJHW.float() * heat_BJHW).sum((2, 3))
        return self.network.read_out(heat_BJHW, depth_BJ, first_BJHW, coarsest_BCHW)


class Answers(nn.Module):
    """The tensors the app needs, as a plain tuple: pixels, depths, heatmaps and, where present, logits of presence and side."""

    def __init__(self, deployed: DeployedGroups) -> None:
        super().__init__()
        self.deployed = deployed
        config = deployed.config
        # A network with a side head has one for presence.
        self.output_names = ("uv", "depth", "heat", "presence", "side")[: 3 + config.presence + config.side]

    def forward(self, rgb_B3SS: Tensor) -> tuple[Tensor, ...]:
        """Return (uv_BJ2, depth_BJ, heat_BJHW[, presence_B[, side_B]])."""
        out = self.deployed(rgb_B3SS)
        logits = (logit for logit in (out.presence_B, out.side_B) if logit is not None)
        return (out.uv_BJ2, out.depth_BJ, out.heat_BJHW, *logits)


def compile_for_speed(deployed: DeployedGroups, device: torch.device) -> nn.Module:
    """Return a frozen trace of ``Answers``: a third faster on a CPU at batch 1; any batch size runs."""
    size = deployed.config.input_size
    example = torch.zeros(1, 3, size, size, device=device).to(memory_format=torch.channels_last)
    return frozen_trace(Answers(deployed).eval().to(device), example)


def frozen_trace(module: nn.Module, *inputs: Tensor) -> nn.Module:
    """Return a frozen trace of a module in which torch fuses no operations.

    Fused ones are compiled in the second call, and on a GPU again for every new batch size: a live view would freeze for
    seconds. The setting applies to the whole process: no trace is specialised in it.
    """
    torch.jit.set_fusion_strategy([])
    with torch.no_grad():
        traced = torch.jit.trace(module, inputs, check_trace=False)
        return cast(nn.Module, torch.jit.freeze(traced))


class TorchGroups:
    """A groups network run by torch, from a picture's bytes to arrays."""

    def __init__(self, weights: Path, device: Literal["cpu", "cuda"]) -> None:
        network, _ = load_groups(weights)
        self._device = torch.device(device)
        self._network = compile_for_speed(DeployedGroups(network), self._device)

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
