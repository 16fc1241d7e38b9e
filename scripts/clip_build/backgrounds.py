"""What is behind the hand of the bundled clip: four painted rooms, out of focus as behind a webcam, each with its light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.records import UInt8Array
from handviz.render.light import Light, room_light

RGB = tuple[float, float, float]
_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A background (height, width, 3) uint8 and the light that falls into it."""

    picture: UInt8Array
    light: Light


def scenes(width: int, height: int) -> tuple[Scene, ...]:
    """Return the scenes in the order of the clip."""
    painters = (_study, _evening, _kitchen, _studio)
    return tuple(painter(_Canvas(width, height)) for painter in painters)


class _Canvas:
    """A picture being painted; positions and sizes are shares of its width and height."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.picture = np.zeros((height, width, 3), np.float32)

    def gradient(self, top: RGB, bottom: RGB, tilt: float = 0.0) -> None:
        """Fill with a gradient, darker or lighter to the right by ``tilt``."""
        down = np.linspace(0, 1, self.height)[:, None, None]
        across = np.linspace(-1, 1, self.width)[None, :, None]
        self.picture[:] = (np.array(top) * (1 - down) + np.array(bottom) * down) * (1 + tilt * across)

    def box(self, place: _Box, colour: RGB, shade: float = 0.0) -> None:
        """Paint a box from (x0, y0) to (x1, y1), darker towards its foot by ``shade``."""
        x0, x1 = (round(x * self.width) for x in (place[0], place[2]))
        y0, y1 = (round(y * self.height) for y in (place[1], place[3]))
        down = np.linspace(0, 1, max(y1 - y0, 1))[:, None, None]
        self.picture[max(y0, 0) : y1, max(x0, 0) : x1] = (np.array(colour) * (1 - shade * down))[
            max(-y0, 0) : y1 - y0 + max(-y1, 0)
        ]

    def disc(self, x: float, y: float, radius: float, colour: RGB, share: float = 1.0) -> None:
        """Paint a disc, mixed with what is there."""
        layer = self.picture.copy()
        cv2.circle(layer, (round(x * self.width), round(y * self.height)), round(radius * self.width), colour, -1, cv2.LINE_AA)
        self.picture = self.picture * (1 - share) + layer * share

    def blurred(self, sigma: float) -> None:
        """Put everything painted so far out of focus."""
        self.picture = np.asarray(cv2.GaussianBlur(self.picture, (0, 0), sigma), np.float32)

    def finished(self, seed: int) -> UInt8Array:
        """Return the picture, a little darker at its corners, with fine grain that hides the steps of a gradient."""
        v, u = np.mgrid[-1 : 1 : self.height * 1j, -1 : 1 : self.width * 1j]
        corner = 1 - 0.16 * (u**2 + v**2) / 2
        grain = np.random.default_rng(seed).normal(0, 0.9, self.picture.shape)
        return np.asarray(np.clip(self.picture * corner[..., None] + grain, 0, 255), np.uint8)


def _study(c: _Canvas) -> Scene:
    """A light wall with a window on the left, a shelf of books on the right."""
    c.gradient((206, 203, 196), (176, 171, 164), -0.10)
    c.box((0.03, 0.04, 0.27, 0.62), (250, 250, 246))
    for x in (0.03, 0.145, 0.26):
        c.box((x, 0.04, x + 0.014, 0.63), (225, 225, 222))
    c.box((0.015, 0.62, 0.29, 0.66), (226, 222, 214))
    rng = np.random.default_rng(4)
    for row in range(4):
        y, x = 0.08 + 0.19 * row, 0.74
        c.box((0.72, y + 0.15, 1.0, y + 0.165), (118, 88, 62))
        while x < 0.985:
            wide, tall = rng.uniform(0.012, 0.03), rng.uniform(0.09, 0.14)
            hue = rng.uniform(0.55, 1.05, 3) * rng.uniform(70, 170)
            c.box((x, y + 0.15 - tall, min(x + wide, 1.0), y + 0.15), (float(hue[0]), float(hue[1]), float(hue[2])), 0.15)
            x += wide + 0.002
    c.box((0.0, 0.86, 1.0, 1.0), (128, 100, 76), 0.25)
    c.blurred(3.2)
    return Scene(c.finished(1), room_light(np.array([-0.9, -0.5, -0.75]), sun=0.62, sky=0.52, ground=0.3, warmth=-0.1))


def _evening(c: _Canvas) -> Scene:
    """A dark room with lamps far out of focus."""
    c.gradient((36, 38, 58), (24, 20, 30), 0.15)
    c.box((0.0, 0.70, 0.42, 1.0), (52, 40, 44), 0.3)
    c.blurred(12)
    rng = np.random.default_rng(9)
    colours: tuple[RGB, ...] = ((255, 196, 120), (255, 160, 96), (150, 190, 255), (255, 226, 180), (120, 220, 210))
    for i in range(26):
        x, y, r = rng.uniform(0, 1), rng.uniform(0.02, 0.66), rng.uniform(0.012, 0.045)
        c.disc(x, y, r, colours[i % len(colours)], float(rng.uniform(0.12, 0.5)))
    c.blurred(1.6)
    return Scene(c.finished(2), room_light(np.array([0.8, -0.55, -0.8]), sun=0.55, sky=0.3, ground=0.16, warmth=0.5))


def _kitchen(c: _Canvas) -> Scene:
    """Tiles, a board with pots and a plant."""
    c.gradient((196, 206, 204), (168, 178, 174), 0.08)
    for row in range(9):
        for column in range(13):
            x, y = column * 0.085 - 0.04 * (row % 2), row * 0.072
            tone = 1 + 0.05 * np.sin(7.3 * row + 3.1 * column)
            c.box((x + 0.003, y + 0.004, x + 0.082, y + 0.068), (206 * tone, 214 * tone, 210 * tone), 0.04)
    c.box((0.0, 0.64, 1.0, 0.68), (150, 116, 84))
    for x, colour in ((0.08, (186, 74, 58)), (0.20, (222, 182, 92)), (0.84, (70, 104, 132))):
        c.box((x, 0.50, x + 0.09, 0.64), colour, 0.25)
    for k in range(16):
        c.disc(
            0.74 + 0.05 * np.cos(2.4 * k), 0.46 + 0.006 * k * np.sin(1.7 * k) - 0.05, 0.022, (74 + 3 * k, 128 + 4 * k, 66), 0.85
        )
    c.box((0.70, 0.54, 0.78, 0.64), (206, 192, 176), 0.2)
    c.box((0.0, 0.68, 1.0, 1.0), (212, 208, 200), 0.25)
    c.blurred(3.8)
    return Scene(c.finished(3), room_light(np.array([0.35, -0.9, -0.7]), sun=0.55, sky=0.6, ground=0.34, warmth=0.12))


def _studio(c: _Canvas) -> Scene:
    """A plain wall in two colours of light, a stand and a picture frame."""
    c.gradient((92, 112, 140), (58, 64, 88), 0.35)
    c.disc(0.15, 0.25, 0.30, (196, 132, 118), 0.45)
    c.blurred(60)
    c.box((0.70, 0.12, 0.93, 0.44), (38, 42, 54))
    c.box((0.715, 0.14, 0.915, 0.42), (190, 176, 150))
    c.box((0.76, 0.24, 0.87, 0.42), (112, 132, 120), 0.3)
    c.box((0.08, 0.30, 0.095, 1.0), (26, 28, 34))
    c.box((0.03, 0.20, 0.15, 0.32), (30, 32, 38))
    c.blurred(3.4)
    return Scene(c.finished(4), room_light(np.array([-0.7, -0.35, -0.9]), sun=0.6, sky=0.42, ground=0.26, warmth=0.3))


def blend(a: UInt8Array, b: UInt8Array, share: float) -> UInt8Array:
    """Return a mixed with a share of b."""
    return np.asarray(cv2.addWeighted(a, 1 - share, b, share, 0.0), np.uint8)


def blend_light(a: Light, b: Light, share: float) -> Light:
    """Return a mixture of two lights: each with its share, the sun's direction turned smoothly."""
    toward: FloatArray = (1 - share) * a.sun_direction + share * b.sun_direction
    return Light(
        sh_93=(1 - share) * a.sh_93 + share * b.sh_93,
        sun_direction=toward / np.linalg.norm(toward),
        sun_rgb=(1 - share) * a.sun_rgb + share * b.sun_rgb,
    )
