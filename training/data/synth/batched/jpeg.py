"""JPEG's losses on batches: colour at half size, 8 x 8 blocks rounded in frequency by the standard's tables (ITU-T T.81, K.1)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80,
    62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98,
    112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, *[99] * 38,
)  # fmt: skip
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def through_jpeg(rgb_B3SS: Tensor, quality_B: Tensor) -> Tensor:
    """Return pictures (B, 3, S, S) float in 0 to 255 as they come out of a JPEG file of these qualities (B,), 1 to 100.

    Colour is kept at half the resolution, as in common encoders. Raises ValueError when S is not a multiple of 16.
    """
    if rgb_B3SS.shape[-1] % 16 or rgb_B3SS.shape[-2] % 16:
        raise ValueError(f"a picture of {tuple(rgb_B3SS.shape[-2:])} has no whole JPEG blocks: make it a multiple of 16")
    to_ycc, to_rgb, _, tables = _constants(rgb_B3SS.device)
    scale = torch.where(quality_B < 50, 5000 / quality_B.float(), 200 - 2 * quality_B.float())
    table_B288 = ((tables * scale[:, None, None, None] + 50) / 100).floor().clamp(1, 255)
    ycc = torch.einsum("kc,bchw->bkhw", to_ycc, rgb_B3SS).round()
    luma = _rounded_blocks(ycc[:, :1] - 128, table_B288[:, :1]) + 128
    colour = _rounded_blocks(F.avg_pool2d(ycc[:, 1:], 2), table_B288[:, 1:])
    colour = F.interpolate(colour, scale_factor=2.0, mode="bilinear", align_corners=False)
    return torch.einsum("kc,bchw->bkhw", to_rgb, torch.cat([luma, colour], 1)).round().clamp(0, 255)


def _rounded_blocks(plane_BCHW: Tensor, table_B188: Tensor) -> Tensor:
    """Round each block's frequencies to multiples of the table's steps."""
    cosines = _constants(plane_BCHW.device)[2]
    blocks = plane_BCHW.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)
    step = table_B188[:, :, None, None]
    rounded = (cosines @ blocks @ cosines.T / step).round() * step
    return (cosines.T @ rounded @ cosines).transpose(3, 4).flatten(4, 5).flatten(2, 3)


@lru_cache(maxsize=4)
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return RGB to YCbCr, back, the cosine transform (8, 8), and the tables (2, 8, 8) of quality 50."""
    k, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    cosines = torch.cos((2 * x + 1) * k * math.pi / 16) * 0.5
    cosines[0] = math.sqrt(1 / 8)
    tables = torch.tensor([_LUMA, _CHROMA], dtype=torch.float32).view(2, 8, 8)
    return torch.tensor(_TO_YCC).to(device), torch.tensor(_TO_RGB).to(device), cosines.to(device), tables.to(device)
