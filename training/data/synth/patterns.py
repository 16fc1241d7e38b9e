"""Procedural pictures: cloth, objects, walls, a face. Small, uint8 sRGB."""

from __future__ import annotations

import cv2
import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.records import UInt8Array


def smooth_noise(rng: np.random.Generator, size: int, cells: int) -> FloatArray:
    """Return noise (size, size) in about [-1, 1] whose spots are ``size / cells`` wide."""
    coarse = rng.normal(0, 0.5, (cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC))


def any_colour(rng: np.random.Generator) -> FloatArray:
    """Return an sRGB colour (3,), often a muted one, as objects have."""
    grey = rng.uniform(10, 245)
    return np.clip(grey + rng.normal(0, 1, 3) * rng.choice([8.0, 60.0]), 0, 255)


def cloth(rng: np.random.Generator, size: int = 64) -> UInt8Array:
    """Return plain, striped, checked or printed cloth."""
    base, second = any_colour(rng), any_colour(rng)
    y, x = np.mgrid[0:size, 0:size] / size
    kind = rng.integers(5)
    n = int(rng.integers(2, 12))
    if kind == 0:
        mix = (np.sin(2 * np.pi * n * y) > rng.uniform(-0.5, 0.9)).astype(float)
    elif kind == 1:
        mix = 0.5 * (np.sin(2 * np.pi * n * y) > 0) + 0.5 * (np.sin(2 * np.pi * n * x) > 0)
    elif kind == 2:
        mix = (smooth_noise(rng, size, n) > 0.3).astype(float)
    else:
        mix = np.zeros((size, size))
    picture = base + mix[..., None] * (second - base)
    return _bytes(picture * (1 + 0.12 * smooth_noise(rng, size, 10)[..., None]))


def thing(rng: np.random.Generator, size: int = 48) -> UInt8Array:
    """Return the texture of an object: one colour, with a band or a label now and then."""
    picture = np.tile(any_colour(rng), (size, size, 1))
    if rng.random() < 0.5:
        top, height = int(rng.integers(size // 2)), int(rng.integers(3, size // 2))
        picture[top : top + height] = any_colour(rng)
    if rng.random() < 0.4:
        u, v = rng.integers(4, size - 20, 2)
        cv2.putText(
            picture,
            rng.choice(list("ABEHMSX8")),
            (int(u), int(v) + 14),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.7,
            any_colour(rng).tolist(),
            2,
        )
    return _bytes(picture * (1 + 0.08 * smooth_noise(rng, size, 8)[..., None]))


def face(rng: np.random.Generator, skin: FloatArray, size: int = 96) -> UInt8Array:
    """Return the texture of a head, with its face around the middle column: eyes, mouth, hair of some length."""
    picture = np.tile(skin, (size, size, 1)) * (1 + 0.06 * smooth_noise(rng, size, 8)[..., None])
    hair = rng.choice([15.0, 40.0, 110.0, 170.0]) * rng.uniform(0.7, 1.2) * np.array([1.1, 1.0, 0.85])
    row = np.arange(size)[:, None] / size
    column = np.abs(np.arange(size)[None] / size - 0.5)
    border = rng.uniform(0.2, 0.36)
    picture[(row < border) | (column > rng.uniform(0.2, 0.32)) & (row < rng.uniform(0.5, 0.9))] = np.clip(hair, 0, 255)
    dark = skin * 0.35
    eye = int(size * 0.44)
    for side in (-1, 1):
        centre = (size // 2 + side * size // 11, eye)
        cv2.ellipse(picture, centre, (size // 26, size // 50), 0, 0, 360, (235, 235, 230), -1)
        cv2.circle(picture, centre, size // 50, (30, 25, 20), -1)
        cv2.line(
            picture, (centre[0] - size // 20, eye - size // 18), (centre[0] + size // 20, eye - size // 17), dark.tolist(), 2
        )
    cv2.ellipse(
        picture, (size // 2, int(size * 0.64)), (size // 14, size // 45), 0, 0, 360, (skin * [0.75, 0.45, 0.45]).tolist(), -1
    )
    cv2.ellipse(picture, (size // 2, int(size * 0.545)), (size // 40, size // 50), 0, 0, 360, (skin * 0.6).tolist(), -1)
    return _bytes(picture)


def wall(rng: np.random.Generator, colour: FloatArray, size: int) -> UInt8Array:
    """Return a wall or table: a colour, a gradient of light, edges of furniture now and then."""
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    shade = 1 + rng.uniform(0, 0.5) * (np.cos(angle) * x + np.sin(angle) * y) + rng.uniform(0, 0.06) * smooth_noise(rng, size, 12)
    picture = np.tile(colour, (size, size, 1))
    for _ in range(int(rng.integers(0, 4))):
        a = rng.uniform(0, np.pi)
        side = np.cos(a) * x + np.sin(a) * y > rng.uniform(-0.5, 0.5)
        picture = np.where(side[..., None], picture * rng.uniform(0.5, 1.4), picture)
    return _bytes(picture * shade[..., None])


def noise_picture(rng: np.random.Generator, size: int) -> UInt8Array:
    """Return coloured clutter of several scales."""
    picture = np.tile(any_colour(rng), (size, size, 1))
    for cells in (3, 7, 19, 60):
        strength, colour = rng.uniform(0, 80), rng.uniform(0, 0.5)
        grey = smooth_noise(rng, size, cells)[..., None]
        tint = np.stack([smooth_noise(rng, size, cells) for _ in range(3)], -1)
        picture = picture + strength * (grey + colour * tint)
    return _bytes(picture)


def _bytes(picture: FloatArray) -> UInt8Array:
    return np.clip(picture, 0, 255).astype(np.uint8)
