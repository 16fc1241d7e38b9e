"""What is drawn in colour: textured meshes, and the resulting picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import FloatArray

UInt8Array = npt.NDArray[np.uint8]
MAX_LEVELS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """A picture on a surface with its halved copies: ``texels`` (N, 3) uint8 sRGB of all levels, first the largest.

    ``levels`` (L, 3) int64: height, width and first texel of each level. Make it with ``texture_of`` once, use it often.
    """

    texels: UInt8Array
    levels: npt.NDArray[np.int64]


def texture_of(rgb: UInt8Array) -> Texture:
    """Return the texture of a picture (H, W, 3) uint8. Raises ValueError for anything else."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"a texture must be uint8 of shape (H, W, 3), not {rgb.dtype} {rgb.shape}")
    pictures = [np.ascontiguousarray(rgb)]
    while len(pictures) < MAX_LEVELS and min(pictures[-1].shape[:2]) > 1:
        height, width = pictures[-1].shape[:2]
        size = (max(1, width // 2), max(1, height // 2))
        pictures.append(np.asarray(cv2.resize(pictures[-1], size, interpolation=cv2.INTER_AREA), np.uint8))
    start = np.cumsum([0] + [p.shape[0] * p.shape[1] for p in pictures[:-1]])
    levels = np.array([[p.shape[0], p.shape[1], s] for p, s in zip(pictures, start, strict=True)], np.int64)
    return Texture(np.concatenate([p.reshape(-1, 3) for p in pictures]), levels)


def plain_texture(rgb: tuple[int, int, int]) -> Texture:
    """Return a texture of one colour."""
    return texture_of(np.full((1, 1, 3), rgb, np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """A textured mesh in the camera frame.

    ``vertices_V3`` metres; ``faces_F3`` int32, wound counter-clockwise seen from outside; ``uv_V2`` in [0, 1], v downwards (None
    for a plain texture); ``normal_map`` tangent-space normals as colours (x along u, y along v, as in the texture's
    picture). ``first_V`` (V,) is the first vertex at each vertex's position, so that light runs smoothly across texture seams
    (None: all positions differ). ``tint`` multiplies the texture in linear RGB. ``specular`` is the share of light reflected
    head-on (skin 0.028) and ``gloss`` the exponent of its highlight; ``wrap`` (3,) how far light creeps round into shadow, for
    each colour (skin: red most).
    """

    vertices_V3: FloatArray
    faces_F3: npt.NDArray[np.integer[Any]]
    texture: Texture
    uv_V2: FloatArray | None = None
    normal_map: Texture | None = None
    first_V: npt.NDArray[np.integer[Any]] | None = None
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    specular: float = 0.028
    gloss: float = 24.0
    wrap: tuple[float, float, float] = (0.3, 0.12, 0.06)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A rendered picture.

    ``rgb`` (H, W, 3) uint8 sRGB; ``coverage_SHW`` (S, H, W) float32 is the share of each pixel that shows each surface.
    """

    rgb: UInt8Array
    coverage_SHW: npt.NDArray[np.float32] = field(repr=False)
