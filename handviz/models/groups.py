"""Learnable joint groups (Li, Gao, Sang, AAAI 2021): 2.5D hand pose with features learned group by group.

Shape suffixes: B batch, S crop side, C channels, H W map sides (S/4), J 21 joints, K groups.

Every group predicts all joints; the selector says, per joint, whose answer counts. Where the paper's text and the
authors' published network leave a choice open, the choice is explained next to the code.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from handviz.hand.skeleton import NUM_JOINTS
from handviz.models.blocks import BlockKind, ConvBnRelu, residual
from handviz.models.hourglass import Hourglass, HourglassConfig
from handviz.models.readout import STRIDE, soft_argmax, spatial_softmax
from handviz.models.selector import Grouping, JointSelector

OWN_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsConfig:
    """What a groups network is made of; the defaults are the paper's network (7.5 M parameters).

    ``groups`` is K; ``grouping`` is none (K = 1), manual (K = 3) or learned; ``neck_widths`` the residuals between the
    hourglass and the branches; ``branch_widths`` a branch's features at full, half and quarter map size; ``light_heads`` makes a
    branch's and a head's last convolution 1x1 instead of 3x3 (half the cost of a group). ``lift`` adds a correction of all
    depths at once from pooled features and the 2D joints (not in the paper); ``presence`` adds a logit that the crop shows a
    hand at all, ``side`` one that it is a right hand, as in all crops it should be, and not a left one.
    """

    input_size: int = 256
    hourglass: HourglassConfig = field(default_factory=HourglassConfig)
    groups: int = 3
    grouping: Grouping = "learned"
    fusion: bool = True
    neck_widths: tuple[int, ...] = (128, 32)
    branch_widths: tuple[int, int, int] = (32, 64, 128)
    light_heads: bool = False
    lift: bool = False
    presence: bool = False
    side: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.groups <= NUM_JOINTS:
            raise ValueError(f"the number of groups must lie in 1 to {NUM_JOINTS}, not {self.groups}")
        if not self.neck_widths:
            raise ValueError("neck_widths needs at least one width")
        divisor = 4 * 2 ** max(len(self.hourglass.level_widths) - 1, 2)
        if self.input_size % divisor:
            raise ValueError(f"input_size must be a multiple of {divisor}, not {self.input_size}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupsOutput:
    """2.5D joints and the maps they were read from.

    ``uv_BJ2`` crop pixels; ``depth_BJ`` (Z - Z_root) / scale, Eq. 2; ``heat_BJHW`` the selected heatmaps and
    ``first_heat_BJHW`` the hourglass's own, each summing to 1; ``first_uv_BJ2`` crop pixels;
    ``presence_B`` and ``side_B`` logits of a hand and of a right hand, or None where the network has no such head.
    """

    uv_BJ2: Tensor
    depth_BJ: Tensor
    heat_BJHW: Tensor
    first_uv_BJ2: Tensor
    first_heat_BJHW: Tensor
    presence_B: Tensor | None
    side_B: Tensor | None = None


class GroupBranch(nn.Module):
    """One group's own features: 1x1 convolution, then a small U-Net (two strided residuals down, two transposed up)."""

    def __init__(self, inputs: int, widths: tuple[int, int, int], block: BlockKind, last_kernel: int) -> None:
        super().__init__()
        full, half, quarter = widths
        self.enter = ConvBnRelu(inputs, full, 1)
        self.down1 = residual(block, full, half, stride=2)
        self.down2 = residual(block, half, quarter, stride=2)
        self.up2 = nn.ConvTranspose2d(quarter, half, 4, 2, padding=1)
        self.up1 = nn.ConvTranspose2d(2 * half, full, 4, 2, padding=1)
        self.leave = ConvBnRelu(2 * full, full, last_kernel)

    def forward(self, feat_BCHW: Tensor) -> Tensor:
        """Return the group's features at the size of the input."""
        full = self.enter(feat_BCHW)
        half = self.down1(full)
        up = torch.relu(self.up2(self.down2(half)))
        up = torch.relu(self.up1(torch.cat([up, half], 1)))
        return self.leave(torch.cat([up, full], 1))


class GroupFusion(nn.Module):
    """Features of one group from those of all groups: a 1x1 convolution on their concatenation (Eq. 9).

    It starts as a weighted sum: 0.9 of the group's own features and 0.1 / (K - 1) of each other group's.
    """

    def __init__(self, width: int, groups: int, own: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(groups * width, width, 1)
        self.norm: nn.Module = nn.BatchNorm2d(width)
        shares = torch.full((groups,), (1 - OWN_SHARE) / max(groups - 1, 1))
        shares[own] = OWN_SHARE if groups > 1 else 1.0
        weight = torch.cat([share * torch.eye(width) for share in shares], 1)
        with torch.no_grad():
            self.mix.weight.copy_(weight[:, :, None, None])
            nn.init.zeros_(self.mix.bias)  # type: ignore[arg-type]

    def forward(self, all_BCHW: Tensor) -> Tensor:
        """Return the fused features of this group."""
        return torch.relu(self.norm(self.mix(all_BCHW)))


class MapHead(nn.Module):
    """Maps of all joints from one group's features: 3x3 convolution, ReLU, 3x3 convolution."""

    def __init__(self, width: int, last_kernel: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, NUM_JOINTS, last_kernel, padding=last_kernel // 2)

    def forward(self, feat_BCHW: Tensor) -> Tensor:
        """Return maps (B, J, H, W)."""
        return self.out(torch.relu(self.hidden(feat_BCHW)))


def _whole_hand(pooled_BC: Tensor, uv_BJ2: Tensor, depth_BJ: Tensor, side: int) -> Tensor:
    """Return the input of the small layers that see all joints together. No gradient reaches the joints through it."""
    place_BF = (uv_BJ2.detach() / side - 0.5).flatten(1)
    return torch.cat([pooled_BC, 4 * place_BF, depth_BJ.detach()], 1)


class DepthLift(nn.Module):
    """A correction of all 21 depths at once, from pooled features, the 2D joints and the depths read from the maps.

    Not in the paper. Maps see depth joint by joint; this layer sees the whole hand. It starts as zero.
    """

    def __init__(self, features: int, hidden: int = 256) -> None:
        super().__init__()
        self.enter = nn.Linear(features + 3 * NUM_JOINTS, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.leave = nn.Linear(hidden, NUM_JOINTS)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, pooled_BC: Tensor, uv_BJ2: Tensor, depth_BJ: Tensor, side: int) -> Tensor:
        """Return the corrected depths (B, J); ``side`` is the crop's, in pixels."""
        x = torch.relu(self.enter(_whole_hand(pooled_BC, uv_BJ2, depth_BJ, side)))
        return depth_BJ + self.leave(torch.relu(self.middle(x))).float()


class SideHead(nn.Module):
    """A logit that the crop shows a right hand, from pooled features, the 2D joints and their depths. Not in the paper.

    A left hand looks like a right one whose fingers bend the wrong way, which the joints show better than the features alone.
    """

    def __init__(self, features: int, hidden: int = 256) -> None:
        super().__init__()
        self.enter = nn.Linear(features + 3 * NUM_JOINTS, hidden)
        self.leave = nn.Linear(hidden, 1)

    def forward(self, pooled_BC: Tensor, uv_BJ2: Tensor, depth_BJ: Tensor, side: int) -> Tensor:
        """Return the logits (B,); ``side`` is the crop's, in pixels."""
        x = torch.relu(self.enter(_whole_hand(pooled_BC, uv_BJ2, depth_BJ, side)))
        return self.leave(x).float()[:, 0]


class GroupsNetwork(nn.Module):
    """Shared features, K group branches, fusion, per-group maps, selection, 2.5D read-out."""

    def __init__(self, config: GroupsConfig) -> None:
        super().__init__()
        if config.side and not config.presence:
            raise ValueError("a network with a side head must also have a presence head: side needs presence")
        self.config = config
        block, K, width = config.hourglass.block, config.groups, config.branch_widths[0]
        last = 1 if config.light_heads else 3
        self.hourglass = Hourglass(config.hourglass)
        widths = (NUM_JOINTS + config.hourglass.level_widths[0], *config.neck_widths)
        self.neck = nn.Sequential(*(residual(block, a, b) for a, b in itertools.pairwise(widths)))
        self.branches = nn.ModuleList(GroupBranch(widths[-1], config.branch_widths, block, last) for _ in range(K))
        self.fusions = nn.ModuleList(GroupFusion(width, K, own) for own in range(K) if config.fusion)
        self.heat_heads = nn.ModuleList(MapHead(width, last) for _ in range(K))
        self.depth_heads = nn.ModuleList(MapHead(width, last) for _ in range(K))
        self.selector = JointSelector(config.grouping, K)
        self.beta_J = nn.Parameter(torch.ones(NUM_JOINTS))
        coarsest = config.hourglass.level_widths[-1]
        self.lift = DepthLift(coarsest) if config.lift else None
        self.presence = nn.Linear(coarsest, 1) if config.presence else None
        self.side = SideHead(coarsest) if config.side else None

    def forward(self, rgb_B3SS: Tensor) -> GroupsOutput:
        """Return the 2.5D joints of crops in [0, 1]. The selector is sampled while training and argmax in eval mode."""
        return self.decide(*self.hourglass(rgb_B3SS))

    def decide(self, feat_BCHW: Tensor, first_BJHW: Tensor, coarsest_BCHW: Tensor) -> GroupsOutput:
        """Return the 2.5D joints from the hourglass's output."""
        # All joints share the hourglass's features, including its first heatmaps.
        shared_BCHW = self.neck(torch.cat([first_BJHW, feat_BCHW], 1))
        # Each group learns its own features, and then draws on those of the others (Eq. 9).
        groups = [branch(shared_BCHW) for branch in self.branches]
        if self.config.fusion:
            all_BCHW = torch.cat(groups, 1)
            groups = [fusion(all_BCHW) for fusion in self.fusions]
        # Each group answers for every joint; the selector weighs the answers (Eqs. 5 to 8).
        heat_BKJHW = torch.stack([spatial_softmax(h(g), self.beta_J) for h, g in zip(self.heat_heads, groups, strict=True)], 1)
        maps_BKJHW = torch.stack([h(g).float() for h, g in zip(self.depth_heads, groups, strict=True)], 1)
        chosen_BKJHW = heat_BKJHW * self.selector().T[None, :, :, None, None]
        heat_BJHW = chosen_BKJHW.sum(1)
        depth_BJ = (maps_BKJHW * chosen_BKJHW).sum((1, 3, 4))
        return self.read_out(heat_BJHW, depth_BJ, first_BJHW, coarsest_BCHW)

    def first_guess(self, rgb_B3SS: Tensor) -> tuple[Tensor, Tensor]:
        """Return the hourglass's own 2D joints (B, J, 2) and heatmaps (B, J, H, W), which it is first trained on alone."""
        _, first_BJHW, _ = self.hourglass(rgb_B3SS)
        heat_BJHW = spatial_softmax(first_BJHW, torch.ones_like(self.beta_J))
        return soft_argmax(heat_BJHW), heat_BJHW

    def read_out(self, heat_BJHW: Tensor, depth_BJ: Tensor, first_BJHW: Tensor, coarsest_BCHW: Tensor) -> GroupsOutput:
        """Turn selected heatmaps and depths into 2.5D joints. The read-out is linear, so selecting maps selects joints."""
        uv_BJ2 = soft_argmax(heat_BJHW)
        pooled_BC, side = coarsest_BCHW.mean((2, 3)), STRIDE * heat_BJHW.shape[-1]
        if self.lift is not None:
            depth_BJ = self.lift(pooled_BC, uv_BJ2, depth_BJ, side)
        first_heat_BJHW = spatial_softmax(first_BJHW, torch.ones_like(self.beta_J))
        return GroupsOutput(
            uv_BJ2=uv_BJ2,
            depth_BJ=depth_BJ,
            heat_BJHW=heat_BJHW,
            first_uv_BJ2=soft_argmax(first_heat_BJHW),
            first_heat_BJHW=first_heat_BJHW,
            presence_B=None if self.presence is None else self.presence(pooled_BC).float()[:, 0],
            side_B=None if self.side is None else self.side(pooled_BC, uv_BJ2, depth_BJ, side),
        )
