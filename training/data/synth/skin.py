"""Skin: a bank of hand textures from very light to very dark, each with its own palm, blotches and strength of detail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from handviz.errors import SourceError
from handviz.geometry.camera import FloatArray
from handviz.hand.model import HandModel
from handviz.records import UInt8Array
from handviz.render.surface import Texture, texture_of
from training.data.synth.patterns import any_colour, smooth_noise
from training.data.synth.recipe import SkinRecipe
from training.pictures import decode_file

# Skin of the back of the hand in sRGB under white light, from very light to very dark.
_TONES = np.array(
    [
        [236, 200, 182],
        [224, 181, 158],
        [205, 157, 130],
        [181, 132, 104],
        [150, 105, 80],
        [116, 80, 60],
        [84, 58, 45],
        [58, 41, 34],
    ],
    float,
)
TEXTURE_SIZE = 512
_WRIST_RING_M = 0.008


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skin:
    """A texture for a hand, its typical sRGB colour (3,), its wrist's colour for the forearm, and its darkness in [0, 1]."""

    texture: Texture
    colour: FloatArray
    arm_colour: FloatArray
    darkness: float
    is_glove: bool


def skin_of(picture: UInt8Array, model: HandModel, colour: FloatArray, darkness: float, *, is_glove: bool = False) -> Skin:
    """Return the skin of a picture (T, T, 3) in this hand's uv."""
    return Skin(
        texture=texture_of(picture),
        colour=colour,
        arm_colour=wrist_colour(picture, model),
        darkness=darkness,
        is_glove=is_glove,
    )


def wrist_colour(picture: UInt8Array, model: HandModel) -> FloatArray:
    """Return the mean colour (3,) of a picture (T, T, 3) in a hand's uv where the hand's surface ends at the arm."""
    # The arm lies towards +x of the zero pose.
    x_V = model.template_V3[:, 0].double().numpy()
    uv = model.uv_V2[x_V > x_V.max() - _WRIST_RING_M].double().numpy() % 1.0
    column, row = np.floor(uv * len(picture)).astype(int).clip(0, len(picture) - 1).T
    return np.asarray(picture[row, column].mean(0), float)


def tone(darkness: float) -> FloatArray:
    """Return the sRGB colour (3,) of skin of this darkness in [0, 1]."""
    place = darkness * (len(_TONES) - 1)
    return np.array([np.interp(place, np.arange(len(_TONES)), channel) for channel in _TONES.T])


def read_base_textures(folder: Path, kept: frozenset[str], *, test: bool = False) -> list[UInt8Array]:
    """Read the skin pictures (``*baseColor.png``) of a folder: those in ``kept`` for the test set, the others for training.

    Raises SourceError when there are none or one cannot be read.
    """
    files = [file for file in sorted(folder.glob("*baseColor.png")) if (file.name in kept) == test]
    pictures = [decode_file(file) for file in files]
    if not files or any(picture is None for picture in pictures):
        raise SourceError(f"{folder}: no readable skin textures (*baseColor.png) here. Give the folder of the rigged hand.")
    size = (TEXTURE_SIZE, TEXTURE_SIZE)
    return [np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA)[..., ::-1], np.uint8) for p in pictures if p is not None]


def plain_bases(model: HandModel) -> list[UInt8Array]:
    """Return the model's own skin picture, or one without any detail when it has none."""
    if model.texture is None:
        return [np.full((TEXTURE_SIZE, TEXTURE_SIZE, 3), 128, np.uint8)]
    return [np.asarray(cv2.resize(model.texture, (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_AREA), np.uint8)]


def skin_bank(rng: np.random.Generator, model: HandModel, bases: list[UInt8Array], recipe: SkinRecipe, count: int) -> list[Skin]:
    """Return ``count`` skins for a hand, spread evenly over darkness. ``bases`` are pictures in the hand's uv."""
    palm = palm_map(model, TEXTURE_SIZE)
    low, high = recipe.darkness
    order = sorted(bases, key=lambda picture: -float(picture.mean()))
    skins = []
    for i in range(count):
        darkness = low + (high - low) * (i + rng.random()) / count
        # Light pictures for light skin, dark ones for dark, either of them in between.
        base = order[int(np.clip((darkness + rng.normal(0, 0.2)) * len(order), 0, len(order) - 1))]
        skins.append(_skin(rng, base, palm, darkness, recipe, model))
    return skins


def _skin(
    rng: np.random.Generator, base: UInt8Array, palm: FloatArray, darkness: float, recipe: SkinRecipe, model: HandModel
) -> Skin:
    glove = rng.random() < recipe.glove_chance
    colour = any_colour(rng) if glove else tone(darkness) * np.exp(rng.normal(0, recipe.tint_sigma, 3))
    # Detail: the picture divided by its median, so that every tone keeps creases, nails and veins.
    real = base.astype(np.float32) + 1
    detail = real / np.median(real[palm < 0.3], axis=0)
    detail = np.clip(detail, 0.35, 2.2) ** (0.15 if glove else rng.uniform(*recipe.detail_strength) * (0.6 + 0.4 * darkness))
    picture = colour * detail
    if not glove:
        picture = _with_palm(picture, palm * rng.uniform(*recipe.palm_lightening), darkness)
        blotch = rng.uniform(*recipe.redness) * smooth_noise(rng, TEXTURE_SIZE, int(rng.integers(5, 14)))
        picture = picture * (1 + blotch[..., None] * np.array([0.35, -0.5, -0.45]))
    picture = picture * (1 + 0.05 * smooth_noise(rng, TEXTURE_SIZE, 24)[..., None])
    return skin_of(np.clip(picture, 0, 255).astype(np.uint8), model, colour, darkness, is_glove=glove)


def _with_palm(picture: FloatArray, strength: FloatArray, darkness: float) -> FloatArray:
    """Return the picture with the palm shifted towards a light, reddish tone: strongly on dark skin, hardly on light skin."""
    light = tone(0.45 * darkness) * np.array([1.06, 0.95, 0.93])
    share = (strength * (0.15 + 0.85 * darkness))[..., None]
    mean = tone(darkness)
    return picture * (1 + share * (light / mean - 1))


def palm_map(model: HandModel, size: int) -> FloatArray:
    """Return how much each texel (size, size) belongs to the palm's side, in [0, 1], blurred at the border."""
    V, F = model.template_V3.double().numpy(), model.faces_F3.numpy()
    normal = np.cross(V[F[:, 1]] - V[F[:, 0]], V[F[:, 2]] - V[F[:, 0]])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    palmar = (np.clip(-normal[:, 1] * 1.4 + 0.3, 0, 1) * 255).astype(int)
    picture = np.zeros((size, size), np.uint8)
    corners = np.round(model.uv_V2.double().numpy()[F] % 1.0 * size - 0.5).astype(np.int32)
    for triangle, value in zip(corners, palmar, strict=True):
        cv2.fillConvexPoly(picture, triangle, int(value))
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), size / 30), np.float32) / 255
