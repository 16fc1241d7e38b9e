"""Light and background of batches, drawn as in ``surroundings``; the pictures themselves are on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from handviz.geometry.camera import FloatArray
from handviz.records import BoolArray, IntArray, UInt8Array
from handviz.render.light import Light, lamp_colour, room_light
from handviz.render.scenes import Lights, TensorRecord, lights_of
from training.data.synth.batched.faults import on_some
from training.data.synth.batched.filters import filtered, gaussian
from training.data.synth.patterns import noise_picture
from training.data.synth.recipe import BackgroundRecipe, LightRecipe
from training.data.synth.surroundings import (
    NOISE,
    PANORAMA,
    PHOTO,
    WALL,
    Panorama,
    background_chances,
    photo_from_pixel,
    wall_picture,
    white_balanced,
    with_key,
)

WALLS, NOISES = 160, 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backgrounds(TensorRecord):
    """What is behind B scenes.

    ``kind_B``; ``picture_B`` index within its kind; ``place_from_pixel_B33`` to rays of a panorama, or pixels of a photograph;
    ``turned_B`` one of eight ways to rotate and mirror a wall; ``blur_B`` sigma, zero for none; ``gain_B``.
    """

    kind_B: Tensor
    picture_B: Tensor
    place_from_pixel_B33: Tensor
    turned_B: Tensor
    blur_B: Tensor
    gain_B: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackgroundBank(TensorRecord):
    """Panoramas (P, H, W, 3), flat pictures (N, S, S, 3), walls first, and photographs (F, T, T, 3), uint8."""

    panoramas_PHW3: Tensor
    flat_NSS3: Tensor
    photos_FTT3: Tensor


def background_bank(
    rng: np.random.Generator,
    panoramas: Sequence[Panorama],
    recipe: BackgroundRecipe,
    size: int,
    photographs: Sequence[UInt8Array] = (),
) -> BackgroundBank:
    """Return the pictures that backgrounds are made of, on the CPU; all panoramas have the first one's size."""
    flat = [wall_picture(rng, recipe, size) for _ in range(WALLS)] + [noise_picture(rng, size) for _ in range(NOISES)]
    height, width = panoramas[0].rgb.shape[:2] if panoramas else (2, 4)
    around = [cv2.resize(p.rgb, (width, height), interpolation=cv2.INTER_AREA) for p in panoramas]
    return BackgroundBank(
        panoramas_PHW3=torch.from_numpy(np.stack(around or [np.zeros((height, width, 3), np.uint8)])),
        flat_NSS3=torch.from_numpy(np.stack(flat)),
        photos_FTT3=torch.from_numpy(np.stack(list(photographs) or [np.zeros((2, 2, 3), np.uint8)])),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaceDice:
    """Draws light and background of many scenes."""

    panorama_lights: Light | None
    light: LightRecipe
    background: BackgroundRecipe
    size: int
    # How many photographs there are, and their side.
    photographs: int = 0
    photo_side: int = 1

    def draw(
        self, rng: np.random.Generator, R_crop_from_world: FloatArray, K_B33: FloatArray, gain_B: FloatArray
    ) -> tuple[Lights, Backgrounds]:
        """Return the lights in the crops' frames, and the backgrounds; ``gain_B`` brightens the light."""
        count = len(gain_B)
        panorama = rng.integers(1 if self.panorama_lights is None else len(self.panorama_lights.sun_rgb), size=count)
        angle, spin = rng.uniform(0, 2 * np.pi, count), np.zeros((count, 3, 3))
        spin[:, 0, 0] = spin[:, 2, 2] = np.cos(angle)
        spin[:, 0, 2], spin[:, 2, 0], spin[:, 1, 1] = np.sin(angle), -np.sin(angle), 1.0
        lights = self._lights(rng, panorama, spin, gain_B, R_crop_from_world)
        return lights_of(lights), self._backgrounds(rng, panorama, R_crop_from_world @ spin, K_B33)

    def _lights(
        self, rng: np.random.Generator, panorama: IntArray, spin: FloatArray, gain_B: FloatArray, R_crop_from_world: FloatArray
    ) -> Light:
        recipe, count = self.light, len(spin)
        towards = rng.normal(0, 1, (count, 3)) + np.array(recipe.lamp_from)
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        light = _rooms(rng, towards, recipe)
        if self.panorama_lights is not None:
            lit = _rows(self.panorama_lights, panorama).exposed(recipe.middle_exposure).turned(spin)
            light = _chosen(rng.random(count) < recipe.flat_light_chance, light, lit)
        key = with_key(light, towards, rng.uniform(*recipe.key_strength, count), rng.uniform(*recipe.key_warmth, count))
        light = _chosen(rng.random(count) < recipe.key_chance, key, light)
        exposure = np.exp(rng.uniform(np.log(recipe.exposure[0]), np.log(recipe.exposure[1]), count))
        return white_balanced(light.turned(R_crop_from_world), rng.uniform(*recipe.white_balance, count)).exposed(
            gain_B * recipe.middle_exposure * exposure
        )

    def _backgrounds(self, rng: np.random.Generator, panorama: IntArray, R: FloatArray, K_B33: FloatArray) -> Backgrounds:
        recipe, count = self.background, len(R)
        kind = rng.choice(4, count, p=background_chances(recipe, self.panorama_lights is not None, self.photographs > 0))
        numbers = [rng.integers(WALLS, size=count), WALLS + rng.integers(NOISES, size=count)]
        numbers.append(rng.integers(max(self.photographs, 1), size=count))
        picture = np.select([kind == WALL, kind == NOISE, kind == PHOTO], numbers, panorama)
        wide = K_B33.copy()
        longer = np.maximum(1.0, K_B33[:, 0, 0] / (recipe.longest_lens * self.size))
        wide[:, :2, :2] /= (rng.uniform(*recipe.widen, count) * longer)[:, None, None]
        share, mirrored = rng.uniform(*recipe.photo_share, count), rng.random(count) < recipe.photo_mirrored_chance
        of_photo = photo_from_pixel(R, share, mirrored, self.photo_side, self.size)
        place = np.where((kind == PHOTO)[:, None, None], of_photo, R.transpose(0, 2, 1) @ np.linalg.inv(wide))
        blur = np.where(rng.random(count) < recipe.blur_chance, rng.uniform(*recipe.blur, count), 0.0)
        return Backgrounds(
            kind_B=torch.from_numpy(kind),
            picture_B=torch.from_numpy(picture),
            place_from_pixel_B33=torch.from_numpy(place).float(),
            turned_B=torch.from_numpy(rng.integers(8, size=count)),
            blur_B=torch.from_numpy(blur).float(),
            gain_B=torch.from_numpy(rng.uniform(*recipe.gain, count)).float(),
        )


def stacked(lights: Sequence[Light]) -> Light | None:
    """Return many lights as one record, or None if there are none."""
    if not lights:
        return None
    names = ("sh_93", "sun_direction", "sun_rgb")
    return Light(**{name: np.stack([getattr(light, name) for light in lights]) for name in names})


def _rows(light: Light, rows: IntArray) -> Light:
    return Light(sh_93=light.sh_93[rows], sun_direction=light.sun_direction[rows], sun_rgb=light.sun_rgb[rows])


def _chosen(first_B: BoolArray, one: Light, two: Light) -> Light:
    return Light(
        sh_93=np.where(first_B[:, None, None], one.sh_93, two.sh_93),
        sun_direction=np.where(first_B[:, None], one.sun_direction, two.sun_direction),
        sun_rgb=np.where(first_B[:, None], one.sun_rgb, two.sun_rgb),
    )


def _rooms(rng: np.random.Generator, towards: FloatArray, recipe: LightRecipe) -> Light:
    """Return lights as ``room_light`` makes them, whose harmonics are linear in sky and ground."""
    count = len(towards)
    sky, ground = (rng.uniform(*span, (count, 1, 1)) for span in (recipe.flat_sky, recipe.flat_ground))
    above, below = (room_light(towards[0], sky=a, ground=b).sh_93 for a, b in ((1.0, 0.0), (0.0, 1.0)))
    colour = lamp_colour(rng.uniform(*recipe.flat_warmth, count))
    lamp = rng.uniform(*recipe.flat_lamp, (count, 1))
    return Light(sh_93=sky * above + ground * below, sun_direction=towards, sun_rgb=lamp * colour)


def paint(backgrounds: Backgrounds, bank: BackgroundBank) -> Tensor:
    """Return the pictures (B, S, S, 3) uint8 on the bank's device. ``backgrounds``, on the CPU, decide what is done."""
    there, size = backgrounds.to(bank.flat_NSS3.device), bank.flat_NSS3.shape[1]
    rgb = torch.zeros(len(backgrounds.kind_B), 3, size, size, device=bank.flat_NSS3.device)
    around = backgrounds.kind_B == PANORAMA
    rgb = on_some(rgb, around, lambda _, rows: _seen(there.take(rows), bank.panoramas_PHW3, size))
    of_photo = backgrounds.kind_B == PHOTO
    rgb = on_some(rgb, of_photo, lambda _, rows: _cut(there.take(rows), bank.photos_FTT3, size))
    rgb = on_some(rgb, ~around & ~of_photo, lambda _, rows: _turned(there.take(rows), bank.flat_NSS3))
    rgb = on_some(rgb, backgrounds.blur_B > 0, lambda x, rows: filtered(x, gaussian(there.blur_B[rows], size)))
    return (rgb * there.gain_B[:, None, None, None]).clamp(0, 255).byte().permute(0, 2, 3, 1)


def _seen(backgrounds: Backgrounds, panoramas: Tensor, size: int) -> Tensor:
    """Return what cameras see (B, 3, S, S) of panoramas, as in ``light.panorama_background``."""
    steps = torch.arange(size, device=panoramas.device, dtype=torch.float32)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)], -1).view(1, -1, 3)
    x, y, z = torch.nn.functional.normalize(pixels @ backgrounds.place_from_pixel_B33.transpose(1, 2), dim=-1).unbind(-1)
    height, width = panoramas.shape[1:3]
    across = (torch.atan2(x, z) / (2 * torch.pi) + 0.5) * width - 0.5
    down = ((torch.asin(y.clamp(-1, 1)) / torch.pi + 0.5) * height - 0.5).clamp(0, height - 1)
    left, top = across.floor(), down.floor()
    first = backgrounds.picture_B[:, None] * height
    total = torch.zeros(*x.shape, 3, device=x.device)
    flat = panoramas.view(-1, 3)
    for row, weight_y in ((top, 1 - (down - top)), (top + 1, down - top)):
        for column, weight_x in ((left, 1 - (across - left)), (left + 1, across - left)):
            at = (first + row.long().clamp(max=height - 1)) * width + column.long() % width
            total += flat[at] * (weight_x * weight_y)[..., None]
    return total.transpose(1, 2).unflatten(2, (size, size))


def _cut(backgrounds: Backgrounds, photos_FTT3: Tensor, size: int) -> Tensor:
    """Return what crops (B, 3, S, S) show of photographs."""
    steps = torch.arange(size, device=photos_FTT3.device, dtype=torch.float32)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    at = torch.stack([u, v, torch.ones_like(u)], -1).view(1, -1, 3) @ backgrounds.place_from_pixel_B33.transpose(1, 2)
    side = photos_FTT3.shape[1]
    grid = ((2 * at[..., :2] + 1) / side - 1).unflatten(1, (size, size))
    photos = photos_FTT3[backgrounds.picture_B].permute(0, 3, 1, 2).float()
    return torch.nn.functional.grid_sample(photos, grid, padding_mode="border", align_corners=False)


def _turned(backgrounds: Backgrounds, flat_NSS3: Tensor) -> Tensor:
    """Return flat pictures (B, 3, S, S), each rotated and mirrored in its own way."""
    size = flat_NSS3.shape[1]
    steps, way = torch.arange(size, device=flat_NSS3.device), backgrounds.turned_B[:, None]
    rows = torch.where(way % 2 == 1, size - 1 - steps, steps)[:, :, None]
    columns = torch.where(way // 2 % 2 == 1, size - 1 - steps, steps)[:, None, :]
    picture = flat_NSS3[backgrounds.picture_B[:, None, None], rows, columns].permute(0, 3, 1, 2).float()
    return torch.where((way >= 4)[:, :, None, None], picture.transpose(2, 3), picture)
