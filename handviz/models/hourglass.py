"""The hourglass that extracts the features all joints share (Newell et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from handviz.hand.skeleton import NUM_JOINTS
from handviz.models.blocks import BlockKind, ConvBnRelu, residual, residuals


@dataclass(frozen=True, slots=True, kw_only=True)
class HourglassConfig:
    """Sizes of the shared feature extractor; the defaults are the paper's.

    ``level_widths`` gives the features at each resolution from the finest down (so depth is one less than its length)
    and ``level_modules`` the residuals in a row there. ``light_stem`` replaces the paper's stem (7x7 convolution,
    residual, pool, two residuals) by two strided 3x3 convolutions and a residual.
    """

    block: BlockKind = "preactivation"
    stem_width: int = 64
    light_stem: bool = False
    level_widths: tuple[int, ...] = (256, 256, 256, 256, 256)
    level_modules: tuple[int, ...] = (2, 2, 2, 2, 2)

    def __post_init__(self) -> None:
        if len(self.level_widths) != len(self.level_modules) or len(self.level_widths) < 2:
            raise ValueError("an hourglass needs one module count for each of at least two level widths")
        if self.stem_width < 1:
            raise ValueError(f"stem_width must be 1 or more, not {self.stem_width}")


def make_stem(config: HourglassConfig) -> nn.Sequential:
    """Return the layers that bring the picture to a quarter of its size and the finest level's width."""
    width, out = config.stem_width, config.level_widths[0]
    if config.light_stem:
        return nn.Sequential(
            ConvBnRelu(3, width, 3, 2), ConvBnRelu(width, 2 * width, 3, 2), residual(config.block, 2 * width, out)
        )
    return nn.Sequential(
        ConvBnRelu(3, width, 7, 2),
        residual(config.block, width, 2 * width),
        nn.MaxPool2d(2),
        residual(config.block, 2 * width, 2 * width),
        residual(config.block, 2 * width, out),
    )


class HourglassLevel(nn.Module):
    """One level: a skip branch at this resolution, and everything coarser below it."""

    def __init__(self, config: HourglassConfig, level: int) -> None:
        super().__init__()
        here, below = config.level_widths[level : level + 2]
        count, count_below = config.level_modules[level : level + 2]
        self.skip = residuals(config.block, count, here, here)
        self.down = residuals(config.block, count_below, here, below)
        deepest = level + 2 == len(config.level_widths)
        self.inner = residuals(config.block, count_below, below, below) if deepest else HourglassLevel(config, level + 1)
        self.up = residuals(config.block, count_below, below, here)

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return this level's features and the coarsest level's."""
        low = self.down(F.max_pool2d(x_BCHW, 2))
        if isinstance(self.inner, HourglassLevel):
            low, coarsest = self.inner(low)
        else:
            low = coarsest = self.inner(low)
        return self.skip(x_BCHW) + F.interpolate(self.up(low), scale_factor=2.0, mode="nearest"), coarsest


class Hourglass(nn.Module):
    """Stem, one hourglass, and a first guess of the 2D heatmaps."""

    def __init__(self, config: HourglassConfig) -> None:
        super().__init__()
        width = config.level_widths[0]
        self.stem = make_stem(config)
        self.levels = HourglassLevel(config, 0)
        self.after = nn.Sequential(residuals(config.block, config.level_modules[0], width, width), ConvBnRelu(width, width, 1))
        self.heat = nn.Conv2d(width, NUM_JOINTS, 1)

    def forward(self, rgb_B3SS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return shared features (B, C, S/4, S/4), heatmap logits (B, 21, S/4, S/4) and the coarsest features."""
        feat_BCHW, coarsest_BCHW = self.levels(self.stem(rgb_B3SS))
        feat_BCHW = self.after(feat_BCHW)
        return feat_BCHW, self.heat(feat_BCHW), coarsest_BCHW
