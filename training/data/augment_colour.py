"""Colours, blur and noise of training crops, for a whole batch on its device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.data.dice import Dice, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourJitter:
    """Ranges and probabilities. Hue in turns of the colour circle (the paper's +-0.1); blur's sigma in pixels of the crop."""

    hue: float = 0.1
    saturation: Range = (0.6, 1.3)
    brightness: Range = (0.75, 1.35)
    contrast: Range = (0.75, 1.25)
    channel_sigma: float = 0.05
    grey_chance: float = 0.04
    blur_chance: float = 0.25
    blur: Range = (0.3, 1.5)
    coarse_chance: float = 0.12
    noise_chance: float = 0.4
    noise: Range = (0.0, 0.03)


# RGB to luminance and two colour axes (YIQ), in which a hue turn is a rotation.
_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_BLUR_REACH = 4


def jitter_colours(rgb_B3SS: Tensor, dice: Dice, config: ColourJitter) -> Tensor:
    """Return pictures in [0, 1] with other colours, sharpness and noise."""
    count = len(rgb_B3SS)
    contrast = dice.uniform(config.contrast, count)[:, None, None]
    colours = contrast * _colour_matrix(dice, config, count)
    flat = torch.baddbmm((0.5 - 0.5 * contrast).expand(-1, 3, 1), colours, rgb_B3SS.flatten(2))
    rgb = flat.view_as(rgb_B3SS)
    # Effects on few pictures are computed only for those.
    for chosen, work in (
        (dice.chance(config.coarse_chance, count), _coarse),
        (dice.chance(config.blur_chance, count), lambda some: _blurred(some, dice.uniform(config.blur, len(some)))),
        (dice.chance(config.noise_chance, count), lambda some: _noisy(some, dice, config.noise)),
    ):
        index = chosen.nonzero()[:, 0]
        if len(index):
            rgb = rgb.index_copy(0, index, work(rgb[index]))
    return rgb.clamp(0, 1)


def _colour_matrix(dice: Dice, config: ColourJitter, count: int) -> Tensor:
    """Return the 3x3 map of each picture's colours: hue turn, saturation, channel gains, brightness, grey."""
    yiq = _YIQ.to(dice.device)
    angle = dice.uniform((-config.hue, config.hue), count) * 2 * torch.pi
    strength = dice.uniform(config.saturation, count) * ~dice.chance(config.grey_chance, count)
    turned = torch.zeros(count, 3, 3, device=dice.device)
    turned[:, 0, 0] = 1.0
    turned[:, 1, 1] = turned[:, 2, 2] = strength * torch.cos(angle)
    turned[:, 1, 2] = -strength * torch.sin(angle)
    turned[:, 2, 1] = strength * torch.sin(angle)
    gains = torch.exp(dice.normal(config.channel_sigma, count, 3)) * dice.uniform(config.brightness, count)[:, None]
    return gains[:, :, None] * (torch.linalg.inv(yiq) @ turned @ yiq)


def _coarse(rgb: Tensor) -> Tensor:
    """Halve the resolution."""
    small = functional.avg_pool2d(rgb, 2, ceil_mode=True)
    return functional.interpolate(small, size=rgb.shape[-2:], mode="bilinear", align_corners=False)


def _noisy(rgb: Tensor, dice: Dice, span: Range) -> Tensor:
    sigma = dice.uniform(span, len(rgb))[:, None, None, None]
    return rgb + sigma * torch.randn(rgb.shape, generator=dice.generator, device=rgb.device)


def _blurred(rgb: Tensor, sigma_B: Tensor) -> Tensor:
    """Blur each picture by its own Gaussian, one axis after the other."""
    reach = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1, device=rgb.device, dtype=rgb.dtype)
    kernel = torch.exp(-0.5 * (reach / sigma_B.clamp_min(1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    B, C, H, W = rgb.shape
    flat = rgb.reshape(1, B * C, H, W)
    pad = functional.pad(flat, (_BLUR_REACH,) * 4, mode="replicate")
    rows = functional.conv2d(pad, kernel[:, None, None, :], groups=B * C)
    return functional.conv2d(rows, kernel[:, None, :, None], groups=B * C).view(B, C, H, W)
