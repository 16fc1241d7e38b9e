"""The 2D evidence estimators f_E2D = (F, f_J2D) of the dense hand (section 3.1): the paper's, and a fast one.

Shape suffixes: B batch, S crop side, C channels, H W map sides, J 21 joints, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handviz.hand.skeleton import NUM_JOINTS
from handviz.models.blocks import ConvBnRelu
from handviz.models.groups import GroupsConfig, GroupsNetwork, GroupsOutput
from handviz.models.resnet import FEATURES, ResNet50

HEAT_SIDE = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What the picture says in 2D.

    ``feature_BF`` is F(x); ``heat_BJHW`` (B, 21, 32, 32) heatmaps; ``joints_px_BJ2`` crop pixels read from them;
    ``mask_BHW`` logits of the hand's mask at the maps' size, and ``groups`` the 2.5D answer, where the estimator has them.
    """

    feature_BF: Tensor
    heat_BJHW: Tensor
    joints_px_BJ2: Tensor
    mask_BHW: Tensor | None = None
    groups: GroupsOutput | None = None


class PoseMachine(nn.Module):
    """f_J2D of the paper's size: a convolutional pose machine (Wei et al. 2016) as in Zimmermann and Brox (2017).

    Its layer table is not in the paper; this is a stride-8 encoder, a first guess and two stages that see the previous guess.
    The picture is resized to 256 x 256, for which stride 8 gives the paper's 32 x 32 maps.
    """

    def __init__(self, stages: int = 2) -> None:
        super().__init__()
        widths = (
            (3, 64),
            (64, 64),
            "pool",
            (64, 128),
            (128, 128),
            "pool",
            (128, 256),
            (256, 256),
            (256, 256),
            "pool",
            (256, 512),
        )
        layers = [nn.MaxPool2d(2) if isinstance(w, str) else ConvBnRelu(w[0], w[1], 3) for w in widths]
        self.encoder = nn.Sequential(*layers, ConvBnRelu(512, 256, 3), ConvBnRelu(256, 128, 3))
        self.first = nn.Sequential(ConvBnRelu(128, 512, 1), nn.Conv2d(512, NUM_JOINTS, 1))
        self.stages = nn.ModuleList(self._stage() for _ in range(stages))

    @staticmethod
    def _stage() -> nn.Sequential:
        wide = [ConvBnRelu(128 + NUM_JOINTS if i == 0 else 128, 128, 7) for i in range(5)]
        return nn.Sequential(*wide, ConvBnRelu(128, 128, 1), nn.Conv2d(128, NUM_JOINTS, 1))

    def forward(self, rgb_B3SS: Tensor) -> Tensor:
        """Return heatmaps (B, 21, 32, 32), 1 at a joint and 0 far from it."""
        picture = F.interpolate(rgb_B3SS, size=(8 * HEAT_SIDE, 8 * HEAT_SIDE), mode="bilinear", align_corners=False)
        code_BCHW = self.encoder(picture)
        heat_BJHW: Tensor = self.first(code_BCHW)
        for stage in self.stages:
            heat_BJHW = stage(torch.cat([code_BCHW, heat_BJHW], 1))
        return heat_BJHW.float()


def peak_pixels(heat_BJHW: Tensor, size: int) -> Tensor:
    """Return the place of each map's maximum (B, J, 2) in pixels of a crop of this side (as the paper does)."""
    B, J, H, W = heat_BJHW.shape
    at = heat_BJHW.reshape(B, J, H * W).argmax(-1)
    cells = torch.stack([at % W, at // W], -1).float()
    return (cells + 0.5) * (size / W) - 0.5


class PaperEvidence(nn.Module):
    """F = ResNet-50 with 2048 features, f_J2D = a separate pose machine; joints by arg-max."""

    features = FEATURES

    def __init__(self) -> None:
        super().__init__()
        self.F = ResNet50()
        self.J2D = PoseMachine()

    def feature(self, rgb_B3SS: Tensor) -> Tensor:
        """Return F(x) alone (B, 2048)."""
        feature: Tensor = self.F(rgb_B3SS)
        return feature.float()

    def forward(self, rgb_B3SS: Tensor) -> Evidence:
        """Return the evidence of crops in [0, 1]."""
        heat_BJHW = self.J2D(rgb_B3SS)
        joints = peak_pixels(heat_BJHW, rgb_B3SS.shape[-1])
        return Evidence(feature_BF=self.feature(rgb_B3SS), heat_BJHW=heat_BJHW, joints_px_BJ2=joints)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawEvidence:
    """What a groups network gives the live estimator: its coarsest features averaged (B, C), its finest ones at each joint
    (B, J, C), its answer, and the mask's logits where there is a mask head."""

    pooled_BC: Tensor
    at_joints_BJC: Tensor
    groups: GroupsOutput
    mask_BHW: Tensor | None


class LiveEvidence(nn.Module):
    """The groups network as 2D evidence: one trunk for F and f_J2D, joints by soft-argmax, and relative depths.

    F(x) holds the mean of the trunk's coarsest map, the finest map's features at each joint, and the relative depths.
    """

    joint_width = 16

    def __init__(self, config: GroupsConfig, mask: bool) -> None:
        super().__init__()
        self.groups = GroupsNetwork(config)
        self._hold = False
        fine, coarse = config.hourglass.level_widths[0], config.hourglass.level_widths[-1]
        self.at_joint = nn.Linear(fine, self.joint_width)
        self.pooled = coarse + NUM_JOINTS * self.joint_width
        self.norm = nn.LayerNorm(self.pooled)
        self.features = self.pooled + NUM_JOINTS
        self.mask = nn.Sequential(ConvBnRelu(fine + NUM_JOINTS, 32, 3), nn.Conv2d(32, 1, 1)) if mask else None

    def hold_groups(self, hold: bool) -> None:
        """Freeze the groups network, norms included, while the rest trains (or unfreeze it)."""
        self._hold = hold
        if hold:
            self.groups.eval()

    def feature(self, rgb_B3SS: Tensor) -> Tensor:
        """Return F(x) alone."""
        evidence: Evidence = self(rgb_B3SS)
        return evidence.feature_BF

    def forward(self, rgb_B3SS: Tensor) -> Evidence:
        """Return the evidence of crops in [0, 1]."""
        return self.assemble(self.raw(rgb_B3SS))

    def raw(self, rgb_B3SS: Tensor) -> RawEvidence:
        """Return the groups network's output for crops in [0, 1], before the dense network's own layers."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._hold):
            feat_BCHW, first_BJHW, coarsest_BCHW = self.groups.hourglass(rgb_B3SS)
            output = self.groups.decide(feat_BCHW, first_BJHW, coarsest_BCHW)
            at_joints_BJC = torch.einsum("bjhw,bchw->bjc", output.heat_BJHW.to(feat_BCHW.dtype), feat_BCHW)
        mask_BHW = None if self.mask is None else self.mask(torch.cat([feat_BCHW, first_BJHW], 1))[:, 0].float()
        return RawEvidence(
            pooled_BC=coarsest_BCHW.mean((2, 3)).float(), at_joints_BJC=at_joints_BJC.float(), groups=output, mask_BHW=mask_BHW
        )

    def assemble(self, raw: RawEvidence) -> Evidence:
        """Return the evidence made from the groups network's output."""
        output = raw.groups
        pooled = torch.cat([raw.pooled_BC, self.at_joint(raw.at_joints_BJC).flatten(1).float()], 1)
        return Evidence(
            feature_BF=torch.cat([self.norm(pooled), output.depth_BJ.float()], 1),
            heat_BJHW=output.heat_BJHW,
            joints_px_BJ2=output.uv_BJ2.float(),
            mask_BHW=raw.mask_BHW,
            groups=output,
        )
