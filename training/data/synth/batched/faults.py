"""What a cheap camera does, for batches: the faults of ``camera_faults`` as tensor operations, JPEG included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from handviz.render.scenes import TensorRecord
from training.data.dice import Range
from training.data.synth.batched.filters import coarse, filtered, gaussian, streaked
from training.data.synth.batched.jpeg import through_jpeg
from training.data.synth.camera_faults import in_spots_of_two, with_noise
from training.data.synth.recipe import CameraRecipe

_NOISE_SIDE = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Faults(TensorRecord):
    """The faults of B pictures; zero where there is none.

    ``defocus_B`` sigma, ``motion_B`` length with ``angle_B``, ``coarse_B`` factor; ``gain_B3``, ``gamma_B``, ``contrast_B``;
    ``noise_B`` strength, ``spots_B`` of one (0) or two (1) pixels, ``noise_at_B2`` position on the noise sheet; ``grey_B`` bool;
    ``quality_B`` of the JPEG file.
    """

    defocus_B: Tensor
    motion_B: Tensor
    angle_B: Tensor
    coarse_B: Tensor
    gain_B3: Tensor
    gamma_B: Tensor
    contrast_B: Tensor
    noise_B: Tensor
    spots_B: Tensor
    noise_at_B2: Tensor
    grey_B: Tensor
    quality_B: Tensor


def draw_faults(rng: np.random.Generator, recipe: CameraRecipe, count: int, size: int) -> Faults:
    """Draw the faults of ``count`` pictures of ``size`` pixels, on the CPU."""

    def some(chance: float, span: Range) -> Tensor:
        return torch.from_numpy(np.where(rng.random(count) < chance, rng.uniform(*span, count), 0.0)).float()

    gain = np.exp(rng.normal(0, recipe.white_balance_sigma, (count, 3)))
    gain /= gain.mean(1, keepdims=True)
    draw = rng.random(count)
    under, over = draw < recipe.under_chance, draw > 1 - recipe.over_chance
    gain *= np.select([under, over], [rng.uniform(*recipe.under, count), rng.uniform(*recipe.over, count)], 1.0)[:, None]
    low, high = recipe.jpeg_quality
    return Faults(
        defocus_B=some(recipe.defocus_chance, recipe.defocus),
        motion_B=some(recipe.motion_chance, recipe.motion),
        angle_B=torch.from_numpy(rng.uniform(0, np.pi, count)).float(),
        coarse_B=some(recipe.low_res_chance, recipe.low_res),
        gain_B3=torch.from_numpy(gain).float(),
        gamma_B=torch.from_numpy(rng.uniform(*recipe.gamma, count)).float(),
        contrast_B=torch.from_numpy(rng.uniform(*recipe.contrast, count)).float(),
        noise_B=some(recipe.noise_chance, recipe.noise),
        spots_B=torch.from_numpy(rng.random(count) < recipe.noise_spots).long(),
        noise_at_B2=torch.from_numpy(rng.integers(_NOISE_SIDE - size, size=(count, 2))),
        grey_B=torch.from_numpy(rng.random(count) < recipe.grey_chance),
        quality_B=torch.from_numpy(np.where(rng.random(count) < recipe.jpeg_chance, rng.integers(low, high, count), 0)),
    )


def noise_sheet(rng: np.random.Generator) -> Tensor:
    """Return noise (2, 3, N, N), fine and in spots of two pixels, from which every picture takes its own window."""
    fine = rng.standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3), np.float32)
    return torch.from_numpy(np.ascontiguousarray(np.stack([fine, in_spots_of_two(fine)]).transpose(0, 3, 1, 2)))


def apply_faults(rgb_BSS3: Tensor, faults: Faults, sheet: Tensor) -> Tensor:
    """Return pictures (B, 3, S, S) uint8 of clean ones (B, S, S, 3) uint8. ``faults``, on the CPU, decide what is done."""
    size, device = rgb_BSS3.shape[1], rgb_BSS3.device
    there = faults.to(device)
    rgb = rgb_BSS3.permute(0, 3, 1, 2).float() / 255
    rgb = on_some(rgb, faults.defocus_B > 0, lambda x, rows: filtered(x, gaussian(there.defocus_B[rows], size)))
    rgb = on_some(rgb, faults.motion_B > 0, lambda x, rows: streaked(x, there.motion_B[rows], there.angle_B[rows]))
    rgb = on_some(rgb, faults.coarse_B > 0, lambda x, rows: filtered(x, coarse(there.coarse_B[rows], size)))
    rgb = (rgb * there.gain_B3[..., None, None]).clamp(0, 1) ** there.gamma_B[:, None, None, None]
    rgb = (rgb - 0.5) * there.contrast_B[:, None, None, None] + 0.5
    rgb = on_some(rgb, faults.noise_B > 0, lambda x, rows: _noisy(x, there.take(rows), sheet))
    rgb = torch.where(there.grey_B[:, None, None, None], rgb.mean(1, keepdim=True), rgb)
    whole = (rgb.clamp(0, 1) * 255).round()
    return on_some(whole, faults.quality_B > 0, lambda x, rows: through_jpeg(x, there.quality_B[rows])).byte()


def on_some(rgb: Tensor, chosen_B: Tensor, work: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the pictures with ``work(pictures, their rows)`` done to the chosen ones; ``chosen_B`` bool on the CPU."""
    rows = chosen_B.nonzero()[:, 0].to(rgb.device)
    return rgb.index_copy(0, rows, work(rgb[rows], rows)) if len(rows) else rgb


def _noisy(rgb: Tensor, faults: Faults, sheet: Tensor) -> Tensor:
    """Add noise from the pictures' own windows of the sheet."""
    steps = torch.arange(rgb.shape[-1], device=rgb.device)
    v, u = (faults.noise_at_B2[:, k, None] + steps for k in (0, 1))
    channels = torch.arange(3, device=rgb.device)[:, None, None]
    noise = sheet[faults.spots_B[:, None, None, None], channels, v[:, None, :, None], u[:, None, None, :]]
    return with_noise(rgb, faults.noise_B[:, None, None, None], noise)
