"""Colours of the window and of what is drawn, as plain (r, g, b) tuples of 0-255. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.palette import FINGER_COLOURS, RGB

ThemeName = Literal["dark", "light"]

GHOST: RGB = (150, 158, 172)
SERIES_COLOURS: tuple[RGB, ...] = (*FINGER_COLOURS.values(), (64, 214, 206), (255, 128, 190), (186, 204, 84))


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme."""

    name: ThemeName
    window: RGB
    panel: RGB
    field: RGB
    border: RGB
    text: RGB
    muted: RGB
    accent: RGB
    on_accent: RGB
    canvas: RGB
    grid: RGB
    warn: RGB
    error: RGB
    good: RGB


DARK = Palette(
    name="dark",
    window=(24, 26, 31),
    panel=(32, 35, 42),
    field=(42, 46, 55),
    border=(58, 63, 74),
    text=(229, 232, 238),
    muted=(156, 163, 176),
    accent=(78, 158, 255),
    on_accent=(10, 18, 30),
    canvas=(17, 19, 23),
    grid=(72, 78, 90),
    warn=(240, 180, 70),
    error=(238, 98, 92),
    good=(92, 200, 130),
)
LIGHT = Palette(
    name="light",
    window=(241, 243, 246),
    panel=(252, 253, 254),
    field=(255, 255, 255),
    border=(206, 211, 220),
    text=(28, 32, 40),
    muted=(94, 102, 116),
    accent=(24, 104, 214),
    on_accent=(255, 255, 255),
    canvas=(226, 230, 236),
    grid=(166, 174, 186),
    warn=(176, 112, 0),
    error=(196, 48, 44),
    good=(24, 132, 72),
)
PALETTES: dict[ThemeName, Palette] = {"dark": DARK, "light": LIGHT}


def unit(colour: RGB) -> FloatArray:
    """The colour as three floats in [0, 1]."""
    return np.array(colour, np.float64) / 255.0


def mix(first: RGB, second: RGB, share: float) -> RGB:
    """Blend two colours; ``share`` of the second in [0, 1]."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(first, second, strict=True))
    return r, g, b


def css(colour: RGB) -> str:
    """The colour as a style sheet writes it."""
    r, g, b = colour
    return f"#{r:02x}{g:02x}{b:02x}"
