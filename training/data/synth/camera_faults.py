"""What a cheap camera does to a clean picture: blur, coarse pixels, noise, wrong colour and exposure, JPEG."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from torch import Tensor

from handviz.geometry.camera import FloatArray
from handviz.records import UInt8Array
from training.data.synth.recipe import CameraRecipe

Picture = TypeVar("Picture", FloatArray, Tensor)


def through_camera(rng: np.random.Generator, rgb: UInt8Array, recipe: CameraRecipe) -> UInt8Array:
    """Return the picture (S, S, 3) as a camera drawn by the recipe would have taken it."""
    picture = rgb.astype(np.float32) / 255
    if rng.random() < recipe.defocus_chance:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(*recipe.defocus))
    if rng.random() < recipe.motion_chance:
        picture = cv2.filter2D(picture, -1, _streak(rng, rng.uniform(*recipe.motion)))
    if rng.random() < recipe.low_res_chance:
        picture = _coarse(picture, rng.uniform(*recipe.low_res))
    picture = _colour(rng, picture, recipe)
    if rng.random() < recipe.noise_chance:
        picture = _noisy(rng, picture, rng.uniform(*recipe.noise), recipe.noise_spots)
    if rng.random() < recipe.grey_chance:
        picture = np.repeat(picture.mean(-1, keepdims=True), 3, -1)
    out = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < recipe.jpeg_chance:
        quality = int(rng.integers(*recipe.jpeg_quality))
        out = _as_jpeg(out, quality)
    return out


def _as_jpeg(rgb: UInt8Array, quality: int) -> UInt8Array:
    # OpenCV expects blue first, and JPEG preserves red and blue differently.
    coded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def _streak(rng: np.random.Generator, length: float) -> FloatArray:
    """Return the kernel of a camera or hand that moved along a line of this many pixels."""
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    for step in np.linspace(-1, 1, 4 * size):
        u, v = np.round(size // 2 + step * reach).astype(int).clip(0, size - 1)
        kernel[v, u] += 1
    return np.asarray(kernel / kernel.sum())


def _coarse(picture: FloatArray, factor: float) -> FloatArray:
    size = picture.shape[0]
    small = cv2.resize(picture, (max(8, round(size / factor)),) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR))


def _colour(rng: np.random.Generator, picture: FloatArray, recipe: CameraRecipe) -> FloatArray:
    """Apply white balance, occasionally far-off exposure, gamma and contrast, clipped as in a sensor."""
    gain = np.exp(rng.normal(0, recipe.white_balance_sigma, 3))
    gain /= gain.mean()
    draw = rng.random()
    if draw < recipe.under_chance:
        gain = gain * rng.uniform(*recipe.under)
    elif draw < recipe.under_chance + recipe.over_chance:
        gain = gain * rng.uniform(*recipe.over)
    picture = np.clip(picture * gain.astype(np.float32), 0, 1) ** np.float32(rng.uniform(*recipe.gamma))
    return np.asarray((picture - 0.5) * np.float32(rng.uniform(*recipe.contrast)) + 0.5)


def _noisy(rng: np.random.Generator, picture: FloatArray, sigma: float, in_spots: float) -> FloatArray:
    """Add noise in spots of one or two pixels."""
    noise = rng.standard_normal(picture.shape, np.float32)
    return with_noise(picture, sigma, in_spots_of_two(noise) if rng.random() < in_spots else noise)


def in_spots_of_two(noise: FloatArray) -> FloatArray:
    """Return noise (S, S, 3) in spots of two pixels instead of one, about as strong."""
    return np.asarray(1.8 * cv2.GaussianBlur(noise, (0, 0), 0.7))


def with_noise(picture: Picture, strength: Picture | float, noise: Picture) -> Picture:
    """Return a picture, or many, with read noise and shot noise, which grows with brightness."""
    return picture + strength * (0.5 + picture.clip(0, 1) ** 0.5) * noise
