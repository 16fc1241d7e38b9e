"""A rendered hand's surroundings: photographs, panoramas with their light, or walls and simple light when there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from handviz.errors import SourceError
from handviz.geometry.camera import FloatArray
from handviz.records import BoolArray, UInt8Array
from handviz.render.light import Light, light_from_radiance, panorama_background, room_light
from training.data.encoded import EncodedPack
from training.data.synth.patterns import any_colour, noise_picture, wall
from training.data.synth.recipe import BackgroundRecipe, LightRecipe
from training.data.synth.skin import tone
from training.pictures import decode_file

PANORAMA, WALL, NOISE, PHOTO = range(4)
# One in this many panoramas is kept for the test set.
TEST_EVERY = 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panorama:
    """A full panorama: its picture (H, 2H, 3) and the light that comes from it."""

    rgb: UInt8Array
    light: Light


def read_panoramas(folder: Path, *, test: bool = False) -> list[Panorama]:
    """Read the panoramas of a folder: ``NAME.jpg`` with its light in ``NAME_light.hdr``.

    Of the sorted names every seventh, beginning with the first, belongs to the test set. Raises SourceError when there are none
    for the requested set or one cannot be read.
    """
    pictures = [p for p in sorted(folder.glob("*.jpg")) if p.with_name(f"{p.stem}_light.hdr").is_file()]
    if not pictures:
        raise SourceError(f"{folder}: no panoramas (NAME.jpg with NAME_light.hdr) here. Give the folder that holds them.")
    chosen = [path for i, path in enumerate(pictures) if (i % TEST_EVERY == 0) == test]
    if not chosen:
        raise SourceError(f"{folder}: its only panorama belongs to the test set. Add more to train with.")
    return [_read_panorama(path) for path in chosen]


def _read_panorama(path: Path) -> Panorama:
    picture = decode_file(path)
    radiance = decode_file(path.with_name(f"{path.stem}_light.hdr"), cv2.IMREAD_UNCHANGED)
    if picture is None or radiance is None:
        raise SourceError(f"{path}: this panorama or its light cannot be read. Delete or replace it.")
    rgb = np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8)
    return Panorama(
        rgb=rgb, light=light_from_radiance(np.nan_to_num(radiance[..., ::-1].astype(np.float64), posinf=1e3).clip(0, 1e4))
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """Light and background for scenes, drawn by the recipe; ``photographs`` are square crops without a hand."""

    panoramas: list[Panorama]
    light: LightRecipe
    background: BackgroundRecipe
    photographs: Sequence[UInt8Array] = ()

    def draw(
        self, rng: np.random.Generator, R_crop_from_world: FloatArray, K: FloatArray, size: int, *, gain: float
    ) -> tuple[Light, UInt8Array]:
        """Return the light in the crop's frame and the background (size, size, 3); ``gain`` brightens the light."""
        panorama = self.panoramas[rng.integers(len(self.panoramas))] if self.panoramas else None
        angle = rng.uniform(0, 2 * np.pi)
        spin = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        R = R_crop_from_world @ spin
        around = None if panorama is None else panorama.light.exposed(self.light.middle_exposure).turned(spin)
        light = self._light(rng, around, gain, R_crop_from_world)
        return light, self._background(rng, panorama, R, K, size)

    def _light(self, rng: np.random.Generator, around: Light | None, gain: float, R_crop_from_world: FloatArray) -> Light:
        """Return a light in the crop's frame; ``around``, a panorama's, is in the world's frame, as are the lights drawn here."""
        recipe = self.light
        towards = rng.normal(0, 1, 3) + np.array(recipe.lamp_from)
        towards /= np.linalg.norm(towards)
        if around is None or rng.random() < recipe.flat_light_chance:
            sky, ground, lamp, warmth = (
                rng.uniform(*span) for span in (recipe.flat_sky, recipe.flat_ground, recipe.flat_lamp, recipe.flat_warmth)
            )
            light = room_light(towards, sun=lamp, sky=sky, ground=ground, warmth=warmth)
        else:
            light = around
        if rng.random() < recipe.key_chance:
            light = with_key(light, towards, rng.uniform(*recipe.key_strength), rng.uniform(*recipe.key_warmth))
        return white_balanced(light.turned(R_crop_from_world), rng.uniform(*recipe.white_balance)).exposed(
            gain * recipe.middle_exposure * float(np.exp(rng.uniform(*np.log(recipe.exposure))))
        )

    def _background(
        self, rng: np.random.Generator, panorama: Panorama | None, R: FloatArray, K: FloatArray, size: int
    ) -> UInt8Array:
        recipe = self.background
        kind = rng.choice(4, p=background_chances(recipe, panorama is not None, len(self.photographs) > 0))
        if kind == PANORAMA and panorama is not None:
            wide = K.copy()
            wide[:2, :2] /= rng.uniform(*recipe.widen) * max(1.0, K[0, 0] / (recipe.longest_lens * size))
            picture = panorama_background(panorama.rgb, wide, size, size, R)
        elif kind == PHOTO:
            photograph = self.photographs[rng.integers(len(self.photographs))]
            share, mirrored = rng.uniform(*recipe.photo_share), rng.random() < recipe.photo_mirrored_chance
            place = photo_from_pixel(R, np.array(share), np.array(mirrored), len(photograph), size)
            picture = cut_photo(photograph, place, size)
        elif kind == WALL:
            picture = wall_picture(rng, recipe, size)
        else:
            picture = noise_picture(rng, size)
        if rng.random() < recipe.blur_chance:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(*recipe.blur)), np.uint8)
        return np.clip(picture * rng.uniform(*recipe.gain), 0, 255).astype(np.uint8)


def wall_picture(rng: np.random.Generator, recipe: BackgroundRecipe, size: int) -> UInt8Array:
    """Return a wall (size, size, 3), now and then of a colour near that of skin."""
    if rng.random() < recipe.skin_wall_chance:
        colour = tone(rng.uniform(*recipe.skin_wall_darkness)) * rng.uniform(*recipe.skin_wall_brightness)
    else:
        colour = any_colour(rng)
    return wall(rng, colour, size)


def background_chances(recipe: BackgroundRecipe, panoramas: bool, photographs: bool) -> FloatArray:
    """Return the probabilities (4,) of panorama, wall, noise and photograph, given which are available."""
    weights = np.array(
        [recipe.panorama_weight * panoramas, recipe.wall_weight, recipe.noise_weight, recipe.photo_weight * photographs]
    )
    return np.asarray(weights / weights.sum())


def photo_from_pixel(
    R_crop_from_world: FloatArray, share: FloatArray, mirrored: BoolArray, photo_side: int, size: int
) -> FloatArray:
    """Return the maps (..., 3, 3) from a crop's pixels to a photograph's; the crop shows ``share`` of the photograph's side.

    The photograph stands upright in the world, which the crop shows turned about its axis.
    """
    x, y = R_crop_from_world[..., 0, 1], R_crop_from_world[..., 1, 1]
    length = np.maximum(np.hypot(x, y), 1e-9)
    x, y = x / length, y / length
    sign = np.where(mirrored, -1.0, 1.0)
    turn = np.stack([np.stack([sign * y, -sign * x], -1), np.stack([x, y], -1)], -2)
    place = np.zeros((*x.shape, 3, 3))
    place[..., :2, :2] = turn * (share * photo_side / size)[..., None, None]
    place[..., :2, 2] = (photo_side - 1) / 2 - place[..., :2, :2].sum(-1) * (size - 1) / 2
    place[..., 2, 2] = 1.0
    return place


def cut_photo(photograph: UInt8Array, photo_from_pixel_33: FloatArray, size: int) -> UInt8Array:
    """Return what a crop (size, size, 3) shows of a photograph."""
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    shown = cv2.warpAffine(photograph, photo_from_pixel_33[:2], (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shown, np.uint8)


def photo_places(rng: np.random.Generator, photos: EncodedPack, count: int) -> list[UInt8Array]:
    """Return up to ``count`` crops of photographs that show no hand, drawn evenly over sources and rooms."""
    empty = np.flatnonzero(~photos.labels.is_hand_N)
    if len(empty) == 0:
        return []
    return list(photos.pictures(photos.drawn_evenly(rng, empty, count))[0])


def white_balanced(light: Light, share: FloatArray | float) -> Light:
    """Return the light, or each of many, with its colour moved towards white by ``share``, like a camera's white balance."""
    total = np.maximum(light.sh_93[..., 0, :] * 0.282095, 0) + 0.25 * light.sun_rgb
    correction = (total.mean(-1, keepdims=True) / np.maximum(total, 1e-6)) ** np.asarray(share)[..., None]
    return replace(light, sh_93=light.sh_93 * correction[..., None, :], sun_rgb=light.sun_rgb * correction)


def with_key(light: Light, towards: FloatArray, strength: FloatArray | float, warmth: FloatArray | float) -> Light:
    """Return the light with its sun replaced by a lamp, window or screen of ``strength`` times the mean ambient light."""
    mean = np.maximum(np.maximum(light.sh_93[..., 0, :] * 0.282095, 0).mean(-1), 1e-3)
    colour = np.array([1.0, 1.0, 1.0]) + np.asarray(warmth)[..., None] * np.array([1.0, 0.1, -1.0])
    return replace(light, sun_direction=towards, sun_rgb=np.asarray(strength * mean)[..., None] * colour)
