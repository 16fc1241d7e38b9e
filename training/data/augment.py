"""Augmentation on the device: a network's crop is cut from each stored crop, with the jitter of the live tracker.

A new crop is a camera turned away from the stored one's axis and rolled, with its principal point at its own centre, as
``handviz.crop`` would have cut it from the full picture: the picture moves by a homography, joints and parameters by the
same rotation, and every label stays exact. ``PAPER`` is what Li et al. (2021) did; the others are tuned for live crops.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from handviz.crop import CropSpec
from handviz.hand.model import load_hand_model, rotation_matrices
from training.data.augment_colour import ColourJitter, jitter_colours
from training.data.dice import Dice, Range
from training.data.keying import on_other_backgrounds
from training.data.pack import STORED_EXPAND
from training.data.rotation import log_rotation
from training.data.sample import Batch
from training.data.synth.views import look_at, turn

LIVE_EXPAND = CropSpec().expand


@dataclass(frozen=True, slots=True, kw_only=True)
class CropJitter:
    """How a training crop differs from the one around the true joints. Scale of the window; shift in shares of its side."""

    # Wide, because a tracked crop follows the network's own joints: a small error must not feed the next one.
    scale: Range = (0.78, 1.3)
    shift_sigma: float = 0.065
    # None: shifts are normal, clipped at 0.15; else uniform, up to this.
    shift_within: float | None = None
    roll_sigma_deg: float = 14.0
    any_roll_chance: float = 0.12
    # A picture's edge, beyond which a live crop is black.
    edge_chance: float = 0.12
    # A flat patch over a part of the hand.
    patch_chance: float = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """All settings; ``expand`` is the window's side over the joints' extent before jitter, as the live app cuts."""

    crop: CropJitter = field(default_factory=CropJitter)
    colour: ColourJitter = field(default_factory=ColourJitter)
    expand: float = LIVE_EXPAND
    # How often a hand on a green mat gets another background.
    rekey_chance: float = 0.85


# For the end of a training: crops as the app mostly cuts them, colours as cameras mostly show them.
MILD = Augmentation(
    crop=CropJitter(
        scale=(0.87, 1.16), shift_sigma=0.045, roll_sigma_deg=9.0, any_roll_chance=0.04, edge_chance=0.12, patch_chance=0.05
    ),
    colour=ColourJitter(
        hue=0.04,
        saturation=(0.8, 1.2),
        brightness=(0.85, 1.2),
        contrast=(0.85, 1.15),
        channel_sigma=0.03,
        blur_chance=0.15,
        blur=(0.3, 1.0),
        coarse_chance=0.06,
        noise_chance=0.3,
        noise=(0.0, 0.02),
    ),
)

# Li et al. (2021): any rotation, scale 1 to 1.2, shifts to 20 of 256 pixels, hue +-0.1.
PAPER = Augmentation(
    crop=CropJitter(
        scale=(1 / 1.2, 1.0),
        shift_within=20 / 256,
        roll_sigma_deg=0.0,
        any_roll_chance=1.0,
        edge_chance=0.0,
        patch_chance=0.0,
    ),
    colour=ColourJitter(
        hue=0.1,
        saturation=(1.0, 1.0),
        brightness=(1.0, 1.0),
        contrast=(1.0, 1.0),
        channel_sigma=0.0,
        grey_chance=0.0,
        blur_chance=0.0,
        coarse_chance=0.0,
        noise_chance=0.0,
    ),
    rekey_chance=0.0,
)


def augment(batch: Batch, generator: torch.Generator, size: int, config: Augmentation | None = None) -> Batch:
    """Return jittered crops of ``size`` pixels, pictures float in [0, 1], all labels moved along.

    ``generator``, on any device, decides everything: the same state gives the same batch on the same kind of device.
    """
    config = config or Augmentation()
    dice, jitter, count = Dice.on(batch.K_B33.device, generator), config.crop, len(batch)
    roll = torch.deg2rad(dice.normal(jitter.roll_sigma_deg, count))
    roll = torch.where(dice.chance(jitter.any_roll_chance, count), dice.uniform((-torch.pi, torch.pi), count), roll)
    zoom = dice.uniform(jitter.scale, count)
    shift = _shifts(dice, jitter, count) * config.expand / STORED_EXPAND
    rgb = on_other_backgrounds(_as_float(batch.rgb_B3SS), batch.is_hand_B, dice, config.rekey_chance)
    batch = replace(batch, rgb_B3SS=rgb)
    moved = recut(batch, size, roll_B=roll, shift_B2=shift, expand_B=config.expand * zoom)
    rgb = jitter_colours(moved.rgb_B3SS, dice, config.colour)
    rgb = _with_patches(rgb, dice, jitter.patch_chance)
    return replace(moved, rgb_B3SS=_with_edges(rgb, dice, jitter.edge_chance))


def _shifts(dice: Dice, jitter: CropJitter, count: int) -> Tensor:
    if jitter.shift_within is not None:
        return dice.uniform((-jitter.shift_within, jitter.shift_within), count, 2)
    return dice.normal(jitter.shift_sigma, count, 2).clamp(-0.15, 0.15)


def centre_cut(batch: Batch, size: int, *, expand: float = LIVE_EXPAND) -> Batch:
    """Return the crops that the live app cuts around the true joints: no jitter, pictures float in [0, 1]."""
    zeros = torch.zeros(len(batch), device=batch.K_B33.device)
    return recut(batch, size, roll_B=zeros, shift_B2=zeros[:, None].expand(-1, 2), expand_B=zeros + expand)


def recut(batch: Batch, size: int, *, roll_B: Tensor, shift_B2: Tensor, expand_B: Tensor) -> Batch:
    """Cut crops whose camera is rolled (radians), aimed off the stored crop's centre (shares of its side) and zoomed."""
    stored = batch.rgb_B3SS.shape[-1]
    K = batch.K_B33
    aim = torch.stack([shift_B2[:, 0] * stored / K[:, 0, 0], shift_B2[:, 1] * stored / K[:, 1, 1]], -1)
    Q = turn(2, roll_B) @ look_at(aim)
    focal = K[:, 0, 0] * (size / stored) * (STORED_EXPAND / expand_B)
    K_new = torch.zeros_like(K)
    K_new[:, 0, 0] = K_new[:, 1, 1] = focal
    K_new[:, :2, 2] = (size - 1) / 2
    K_new[:, 2, 2] = 1.0
    H_new_from_old = K_new @ Q @ torch.linalg.inv(K)
    grid = _sampling_grid(torch.linalg.inv(H_new_from_old), size, stored)
    root, trans = _turned_params(batch, Q)
    # One look-up for picture and mask: masks end inside the stored crop, so its repeated border is empty.
    both = torch.cat([_as_float(batch.rgb_B3SS), batch.mask_BSS[:, None]], 1)
    # Large stored pictures are averaged first, or bilinear look-up would skip pixels. The grid is relative, so it stays.
    shrink = int(stored * LIVE_EXPAND / STORED_EXPAND) // size
    if shrink > 1 and stored % shrink == 0:
        both = functional.avg_pool2d(both, shrink)
    moved = functional.grid_sample(both, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return replace(
        batch,
        rgb_B3SS=moved[:, :3],
        K_B33=K_new,
        joints_px_BJ2=_through(H_new_from_old, batch.joints_px_BJ2),
        sigma_px_BJ=batch.sigma_px_BJ * (focal / K[:, 0, 0])[:, None],
        joints_m_BJ3=batch.joints_m_BJ3 @ Q.transpose(1, 2),
        mask_BSS=moved[:, 3],
        root_B3=root,
        trans_B3=trans,
    )


def _as_float(rgb: Tensor) -> Tensor:
    return rgb if rgb.is_floating_point() else rgb.float() / 255


def _sampling_grid(H_old_from_new: Tensor, size: int, stored: int) -> Tensor:
    """Return where each new pixel lies in the stored crop, in ``grid_sample``'s units (B, size, size, 2)."""
    steps = torch.arange(size, device=H_old_from_new.device, dtype=H_old_from_new.dtype)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    pixels = torch.stack([u, v], -1).reshape(1, -1, 2).expand(len(H_old_from_new), -1, -1)
    old = _through(H_old_from_new, pixels).view(-1, size, size, 2)
    return (old + 0.5) * (2.0 / stored) - 1.0


def _through(H_B33: Tensor, pixels_BN2: Tensor) -> Tensor:
    lifted = torch.cat([pixels_BN2, torch.ones_like(pixels_BN2[..., :1])], -1) @ H_B33.transpose(1, 2)
    return lifted[..., :2] / lifted[..., 2:]


@lru_cache(maxsize=4)
def _wrist_map(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the default hand's resting wrist (3,) and how shape moves it (3, 10)."""
    model = load_hand_model().to(device=device)
    row = model.joint_regressor_JV[0]
    return row @ model.template_V3, torch.einsum("v,vks->ks", row, model.shape_dirs_V3S)


def _turned_params(batch: Batch, Q_B33: Tensor) -> tuple[Tensor, Tensor]:
    """Return root rotation and translation of hands seen by the turned camera.

    The hand turns about its wrist w: x = s (R (v - w) + w) + t, so Q x has the translation Q (s w + t) - s w.
    """
    rest, moves = _wrist_map(Q_B33.device)
    wrist = batch.scale_B[:, None] * (rest + batch.shape_B10 @ moves.T)
    trans = (Q_B33 @ (wrist + batch.trans_B3)[..., None])[..., 0] - wrist
    return log_rotation(Q_B33 @ rotation_matrices(batch.root_B3)), trans


def _with_edges(rgb: Tensor, dice: Dice, chance: float) -> Tensor:
    """Blacken what lies beyond a straight line, like the edge of a full picture, and often also beyond a line across it."""
    count, size = len(rgb), rgb.shape[-1]
    steps = torch.linspace(-0.5, 0.5, size, device=rgb.device)
    angle = dice.uniform((0.0, 2 * torch.pi), count)[:, None, None]
    x, y = steps[None, None, :], steps[None, :, None]
    along, across = torch.cos(angle) * x + torch.sin(angle) * y, torch.cos(angle) * y - torch.sin(angle) * x
    beyond = along > dice.uniform((0.2, 0.5), count)[:, None, None]
    beyond |= across > dice.uniform((0.2, 0.8), count)[:, None, None]
    return rgb * ~(beyond & dice.chance(chance, count)[:, None, None])[:, None]


def _with_patches(rgb: Tensor, dice: Dice, chance: float) -> Tensor:
    """Hide a rectangle behind a flat colour."""
    count, size = len(rgb), rgb.shape[-1]
    steps = torch.linspace(0.0, 1.0, size, device=rgb.device)
    centre, half = dice.uniform((0.2, 0.8), count, 2, 1), dice.uniform((0.03, 0.13), count, 2, 1)
    inside = (steps[None, None] - centre).abs() < half
    patch = inside[:, 0, None, :] & inside[:, 1, :, None] & dice.chance(chance, count)[:, None, None]
    return torch.where(patch[:, None], dice.uniform((0.0, 1.0), count, 3, 1, 1), rgb)
