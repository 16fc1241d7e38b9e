"""Pictures in colour on the CPU: textured surfaces under a light, with shadow, soft occlusion and smooth edges.

Colour: albedo * (occlusion * ambient + sun) + highlights. Ambient light is irradiance from spherical harmonics; the sun is
wrapped a little round the edge of skin (light that scatters below the surface) and shadowed by a depth map; occlusion is each
vertex's share of unblocked directions; highlights are Blinn-Phong with Schlick's Fresnel term. Coverage is sampled at
sub-pixels, colour once per pixel and triangle, and both are averaged in linear light.

Shadow and occlusion maps span the whole scene, or only its first surfaces: keep walls and tables in the background picture,
not among the surfaces, and say with ``mapped`` how many surfaces matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import FloatArray, scale_intrinsics
from handviz.render.cover import cover
from handviz.render.grid import NEAR_M, SUBPIXEL
from handviz.render.light import Light, fibonacci_sphere
from handviz.render.shade_loops import (
    OCCLUSION_SIZE,
    SHADOW_BIAS,
    SHADOW_SIZE,
    depth_map,
    finish,
    normals_of,
    occlusion_of,
    place_corners,
    tangents_of,
    texels_per_pixel,
)
from handviz.render.shade_pixels import colour_surface
from handviz.render.surface import Picture, Surface, Texture, UInt8Array

Array = npt.NDArray[Any]
_NO_TANGENTS = np.zeros((0, 2, 3))
_NO_BUMPS = Texture(np.zeros((1, 3), np.uint8), np.array([[1, 1, 0]]))


def shade(
    surfaces: Sequence[Surface],
    K: FloatArray,
    height: int,
    width: int,
    light: Light,
    *,
    background: UInt8Array | None = None,
    orthographic: bool = False,
    samples: int = 2,
    occlusion_views: int = 8,
    mapped: int | None = None,
    near: float = NEAR_M,
) -> Picture:
    """Render surfaces of one scene over a background (height, width, 3) uint8, black where None.

    ``K`` (3, 3) as in ``rasterize``; ``samples`` sub-pixels along each side of a pixel; ``occlusion_views`` directions of soft
    occlusion, 0 for none. Surfaces hide and shadow each other. Shadow and occlusion are computed around the first ``mapped``
    surfaces (all by default), so that something large far behind does not make them coarse. Nothing in view gives the
    background. Raises ValueError for wrong shapes and values that are not finite.
    """
    if background is None:
        background = np.zeros((height, width, 3), np.uint8)
    if background.shape != (height, width, 3) or background.dtype != np.uint8:
        raise ValueError(f"the background must be uint8 of shape {(height, width, 3)}, not {background.dtype} {background.shape}")
    scene = _Scene(surfaces, occlusion_views, mapped)
    K_fine = scale_intrinsics(np.asarray(K, float), samples, samples)
    placed = place_corners(scene.points, scene.faces, K_fine, orthographic, near)
    face = np.full((height * samples, width * samples), -1, np.int32)
    cover(placed[0], placed[1], placed[4], orthographic, np.full(face.shape, np.inf, np.float32), face)
    sunlight, bias = _sunlight(scene, light)
    radiance = np.zeros((height, width, 3), np.float32)
    coverage = np.zeros((len(surfaces), height, width), np.float32)
    for i, surface in enumerate(surfaces):
        part = slice(scene.first_face[i], scene.first_face[i + 1])
        box = _bounds(placed[0][part], placed[4][part], samples, height, width)
        skin, tangents = _skin(surface, scene, part, placed, samples)
        geometry = (
            scene.faces,
            placed[0],
            placed[1],
            placed[3],
            scene.points,
            scene.normals,
            scene.occlusion,
            scene.uv,
            tangents,
        )
        colour_surface(
            face, box, part.start, part.stop, geometry, skin, sunlight, bias, _to_linear(1024), orthographic, samples, radiance,
            coverage[i],
        )  # fmt: skip
    rgb = np.empty((height, width, 3), np.uint8)
    finish(radiance, coverage.sum(0), np.ascontiguousarray(background), _to_linear(256), _to_srgb(), rgb)
    return Picture(rgb=rgb, coverage_SHW=coverage)


def _sunlight(scene: _Scene, light: Light) -> tuple[tuple[Array, ...], float]:
    """Return the light in the form the pixel loop takes, with the sun's depth map, and that map's bias."""
    view, depth = np.zeros((3, 4)), np.full((SHADOW_SIZE, SHADOW_SIZE), np.inf, np.float32)
    sun = np.stack([light.sun_direction, light.sun_rgb]).astype(float)
    pixel_m = depth_map(scene.points, scene.mapped, scene.faces, sun[0], SHADOW_SIZE, view, depth) if len(scene.points) else 0.0
    return (np.ascontiguousarray(light.sh_93, float), sun, view, depth), SHADOW_BIAS * pixel_m


def _skin(
    surface: Surface, scene: _Scene, part: slice, placed: tuple[Array, ...], samples: int
) -> tuple[tuple[Array, ...], Array]:
    """Return a surface's look in the form the pixel loop takes, and its triangles' tangents where it has bumps."""
    faces = scene.faces[part]
    density = texels_per_pixel(scene.uv, faces, placed[2][part], placed[4][part]) * samples**2
    bumps = surface.normal_map or _NO_BUMPS
    tangents = tangents_of(scene.points, scene.uv, faces) if surface.normal_map else _NO_TANGENTS
    gloss = np.array([surface.specular, surface.gloss, *surface.wrap], float)
    texels = (surface.texture.texels, _level(surface.texture, density), bumps.texels, _level(bumps, density))
    return (*texels, np.array(surface.tint, float), gloss), tangents


class _Scene:
    """All surfaces as one mesh, checked, in the types that the loops take, with normals and occlusion."""

    def __init__(self, surfaces: Sequence[Surface], occlusion_views: int, mapped: int | None) -> None:
        for surface in surfaces:
            _check(surface)
        first_vertex = np.cumsum([0] + [len(s.vertices_V3) for s in surfaces])
        self.first_face = np.cumsum([0] + [len(s.faces_F3) for s in surfaces])
        self.points = _joined([s.vertices_V3 for s in surfaces], 3, np.float64)
        self.faces = _joined([s.faces_F3 + first for s, first in zip(surfaces, first_vertex, strict=False)], 3, np.int32)
        self.uv = _joined([np.zeros((len(s.vertices_V3), 2)) if s.uv_V2 is None else s.uv_V2 for s in surfaces], 2, np.float64)
        first = np.concatenate([np.zeros(0, np.int32), *(_first_V(s) + n for s, n in zip(surfaces, first_vertex, strict=False))])
        self.normals = normals_of(self.points, first[self.faces].astype(np.int32))[first]
        self.mapped = int(first_vertex[: None if mapped is None else mapped + 1][-1])
        views = fibonacci_sphere(occlusion_views if len(self.points) else 0)
        self.occlusion = occlusion_of(self.points, self.mapped, self.normals, self.faces, views, OCCLUSION_SIZE)


def _first_V(surface: Surface) -> Array:
    return np.arange(len(surface.vertices_V3)) if surface.first_V is None else surface.first_V


def _joined(arrays: Sequence[Array], columns: int, dtype: type) -> Array:
    return np.concatenate([np.zeros((0, columns), dtype), *arrays]).astype(dtype)


def _check(surface: Surface) -> None:
    points, faces, uv = surface.vertices_V3, surface.faces_F3, surface.uv_V2
    if points.ndim != 2 or points.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"a surface needs vertices (V, 3) and faces (F, 3), not {points.shape} and {faces.shape}")
    if uv is not None and uv.shape != (len(points), 2):
        raise ValueError(f"a surface of {len(points)} vertices needs as many uv, not {uv.shape}")
    if surface.first_V is not None and surface.first_V.shape != (len(points),):
        raise ValueError(f"a surface of {len(points)} vertices needs as many in first_V, not {surface.first_V.shape}")
    if not np.isfinite(points).all() or (uv is not None and not np.isfinite(uv).all()):
        raise ValueError("vertices and uv must be finite numbers")
    if any(i.size and not (i.min() >= 0 and i.max() < len(points)) for i in (faces, _first_V(surface))):
        raise ValueError("a face or a seam refers to a vertex that does not exist")


def _bounds(corner: Array, drawn: Array, samples: int, height: int, width: int) -> Array:
    """Return x0, y0, x1, y1 (end excluded) of the pixels that triangles may cover."""
    if not drawn.any():
        return np.zeros(4, np.int64)
    step = SUBPIXEL * samples
    low, high = corner[drawn].reshape(-1, 2).min(0) // step, corner[drawn].reshape(-1, 2).max(0) // step + 1
    return np.clip([low[0], low[1], high[0], high[1]], 0, [width, height, width, height])


def _level(texture: Texture, density: float) -> Array:
    """Return the texture level whose texels are nearest to a pixel in size; ``density`` is uv area in one pixel."""
    texels = density * float(texture.levels[0, 0] * texture.levels[0, 1])
    return texture.levels[int(np.clip(np.floor(0.5 * np.log2(max(texels, 1e-9)) + 0.25), 0, len(texture.levels) - 1))]


@cache
def _to_linear(size: int) -> Array:
    s = np.linspace(0, 1, size)
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


@cache
def _to_srgb() -> Array:
    linear = np.linspace(0, 1, 8192)
    return np.asarray(255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) + 0.5, np.uint8)
