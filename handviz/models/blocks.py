"""Convolution blocks that the networks are built from. Shape suffixes: B batch, C channels, H height, W width."""

from __future__ import annotations

from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

BlockKind = Literal["preactivation", "postactivation"]
NetworkT = TypeVar("NetworkT", bound=nn.Module)


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return convolution and batch norm without bias; the pair folds into one convolution when deployed."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs))


class ConvBnRelu(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = conv_bn(inputs, outputs, kernel, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return features of the same size, or of 1/stride of it."""
        return torch.relu(self.conv(x_BCHW))


class PreactivationResidual(nn.Module):
    """The bottleneck residual of stacked hourglasses (Newell et al. 2016): norm and ReLU come before each convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        middle = outputs // 2
        self.norm1: nn.Module = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, middle, 1)
        self.norm2: nn.Module = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=1)
        self.norm3: nn.Module = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outputs, 1)
        same = inputs == outputs and stride == 1
        self.skip: nn.Module = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return ``skip(x) + f(x)``."""
        y_BCHW = self.conv1(torch.relu(self.norm1(x_BCHW)))
        y_BCHW = self.conv2(torch.relu(self.norm2(y_BCHW)))
        y_BCHW = self.conv3(torch.relu(self.norm3(y_BCHW)))
        return self.skip(x_BCHW) + y_BCHW


class PostactivationResidual(nn.Module):
    """A bottleneck residual whose norms all fold into its convolutions, for speed on CPUs."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        middle = outputs // 2
        self.conv1 = conv_bn(inputs, middle, 1)
        self.conv2 = conv_bn(middle, middle, 3, stride)
        self.conv3 = conv_bn(middle, outputs, 1)
        same = inputs == outputs and stride == 1
        self.skip: nn.Module = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)
        last_norm = self.conv3[1]
        assert isinstance(last_norm, nn.BatchNorm2d)
        # Each block starts as the identity, which lets deep stacks learn from the first step.
        nn.init.zeros_(last_norm.weight)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return ``relu(skip(x) + f(x))``."""
        y_BCHW = torch.relu(self.conv1(x_BCHW))
        y_BCHW = torch.relu(self.conv2(y_BCHW))
        return torch.relu(self.skip(x_BCHW) + self.conv3(y_BCHW))


def residual(kind: BlockKind, inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    """Return a bottleneck residual of this kind."""
    block = PreactivationResidual if kind == "preactivation" else PostactivationResidual
    return block(inputs, outputs, stride)


def residuals(kind: BlockKind, count: int, inputs: int, outputs: int) -> nn.Sequential:
    """Return ``count`` residuals in a row; the first one changes the width."""
    return nn.Sequential(residual(kind, inputs, outputs), *(residual(kind, outputs, outputs) for _ in range(count - 1)))


def channels_last(network: NetworkT) -> NetworkT:
    """Lay out a network's convolution weights channels-last, in place: a large gain on CPUs and on GPUs with half precision."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
