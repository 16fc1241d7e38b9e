"""ResNet-50 (He et al. 2016), the paper's feature extractor. Shape suffixes: B batch, C channels, S picture side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handviz.models.blocks import ConvBnRelu, conv_bn

FEATURES = 2048
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 to four times the width; the 3x3 convolution carries the stride."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.reduce = ConvBnRelu(inputs, width, 1)
        self.middle = ConvBnRelu(width, width, 3, stride)
        self.widen = conv_bn(width, outputs, 1)
        same = inputs == outputs and stride == 1
        self.skip: nn.Module = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)
        last_norm = self.widen[1]
        assert isinstance(last_norm, nn.BatchNorm2d)
        nn.init.zeros_(last_norm.weight)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return ``relu(skip(x) + f(x))``."""
        return torch.relu(self.skip(x_BCHW) + self.widen(self.middle(self.reduce(x_BCHW))))


class ResNet50(nn.Module):
    """Crops in [0, 1] to 2048 features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBnRelu(3, 64, 7, 2), nn.MaxPool2d(3, 2, padding=1))
        blocks: list[nn.Module] = []
        inputs = 64
        for width, count, stride in _STAGES:
            blocks += [Bottleneck(inputs, width, stride)]
            inputs = 4 * width
            blocks += [Bottleneck(inputs, width, 1) for _ in range(count - 1)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, rgb_B3SS: Tensor) -> Tensor:
        """Return features (B, 2048), averaged over the picture."""
        feat_BCHW: Tensor = self.blocks(self.stem(rgb_B3SS))
        return feat_BCHW.mean((2, 3))
