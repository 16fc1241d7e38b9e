"""A smoothly shaded picture of a hand's surface, cropped to it, to be drawn over the camera's picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import Camera, FloatArray, project, scale_intrinsics
from handviz.hand.palette import RGB, SKIN
from handviz.records import IntArray, UInt8Array
from handviz.render.compiled import compiled
from handviz.render.cover import cover
from handviz.render.grid import SUBPIXEL
from handviz.render.shade_loops import normals_of, place_corners

# Lit from above and behind the camera's left shoulder (camera frame: +y down, +z away).
_LIGHT = np.array([-0.36, -0.56, -0.75])
_AMBIENT = 0.4
# Up to this size edges are smoothed by rendering at twice the resolution; larger hands have fewer edge pixels for their size.
_FINE_PIXELS = 120_000
_NEAREST_M = 1e-3


def mesh_picture(
    vertices_camera_m: FloatArray, faces: IntArray, camera: Camera, colour: RGB = SKIN
) -> tuple[UInt8Array, tuple[int, int]] | None:
    """Return an RGBA picture (h, w, 4) and the position of its top left pixel (u, v) in the camera's picture.

    Alpha is how much of a pixel the surface covers. None if nothing can be seen: the mesh is not finite,
    reaches behind the camera, or lies outside the picture.
    """
    if not np.isfinite(vertices_camera_m).all() or vertices_camera_m[:, 2].min() < _NEAREST_M:
        return None
    pixels = project(vertices_camera_m, camera.K)
    low = np.maximum(np.floor(pixels.min(0)), 0).astype(int)
    high = np.minimum(np.ceil(pixels.max(0)) + 1, camera.size).astype(int)
    width, height = (int(side) for side in high - low)
    if width < 1 or height < 1:
        return None
    fine = 2 if width * height <= _FINE_PIXELS else 1
    K = camera.K.astype(np.float64).copy()
    K[:2, 2] -= low
    picture = np.zeros((height, width, 4), np.uint8)
    _draw(vertices_camera_m, faces, scale_intrinsics(K, fine, fine), fine, np.array(colour, np.float64), picture)
    return picture, (int(low[0]), int(low[1]))


def lay_over(canvas: UInt8Array, picture: UInt8Array, place: tuple[int, int], alpha: float) -> None:
    """Blend an RGBA picture into a canvas (H, W, 3) in place, its top left pixel at (u, v)."""
    height, width = picture.shape[:2]
    window = canvas[place[1] : place[1] + height, place[0] : place[0] + width]
    _blend(window, picture, alpha)


def _draw(
    vertices_camera_m: FloatArray, faces: IntArray, K: FloatArray, fine: int, colour: FloatArray, picture: UInt8Array
) -> None:
    """Fill an RGBA picture with the surface as seen by a camera of ``fine`` times its resolution."""
    points, corners = np.ascontiguousarray(vertices_camera_m, np.float64), np.ascontiguousarray(faces, np.int32)
    _draw_compiled(points, corners, K, fine, colour, _LIGHT, picture)


@compiled
def _draw_compiled(
    points: FloatArray, faces: IntArray, K: FloatArray, fine: int, colour: FloatArray, lamp: FloatArray, picture: UInt8Array
) -> None:
    # A single call, because after each one a thread must wait for the GIL.
    corner, z, area, swapped, drawn = place_corners(points, faces, K, False, _NEAREST_M)
    size = (picture.shape[0] * fine, picture.shape[1] * fine)
    nearest, face = np.full(size, np.inf, np.float32), np.full(size, -1, np.int32)
    cover(corner, z, drawn, False, nearest, face)
    light = _light_of(corner, area, swapped, drawn, faces, normals_of(points, faces), lamp)
    _colour_pixels(corner, light, face, fine, colour, picture)


@compiled
def _light_of(
    corner: npt.NDArray[np.int64],
    area: npt.NDArray[np.int64],
    swapped: npt.NDArray[np.bool_],
    drawn: npt.NDArray[np.bool_],
    faces: IntArray,
    normals: FloatArray,
    lamp: FloatArray,
) -> FloatArray:
    """Return each triangle's light (F, 3): at its first corner, and its slope along x and y (a hand is small: no perspective)."""
    light = np.zeros((len(faces), 3))
    at = np.zeros(3)
    for f in range(len(faces)):
        if not drawn[f]:
            continue
        # A triangle that had to be swapped shows its outside; the inside of the open wrist is lit with flipped normals.
        outside = 1.0 if swapped[f] else -1.0
        for k in range(3):
            i = faces[f, 3 - k if swapped[f] and k > 0 else k]
            towards = normals[i, 0] * lamp[0] + normals[i, 1] * lamp[1] + normals[i, 2] * lamp[2]
            at[k] = _AMBIENT + (1 - _AMBIENT) * min(max(outside * towards, 0.0), 1.0)
        x1, y1 = corner[f, 1, 0] - corner[f, 0, 0], corner[f, 1, 1] - corner[f, 0, 1]
        x2, y2 = corner[f, 2, 0] - corner[f, 0, 0], corner[f, 2, 1] - corner[f, 0, 1]
        first, second = at[1] - at[0], at[2] - at[0]
        light[f, 0] = at[0]
        light[f, 1] = (first * y2 - second * y1) / area[f]
        light[f, 2] = (second * x1 - first * x2) / area[f]
    return light


@compiled
def _colour_pixels(
    corner: npt.NDArray[np.int64], light: FloatArray, face: IntArray, fine: int, colour: FloatArray, picture: UInt8Array
) -> None:
    """Average light and coverage of the finer picture."""
    height, width = picture.shape[:2]
    for y in range(height):
        for x in range(width):
            total, seen = 0.0, 0
            for v in range(y * fine, (y + 1) * fine):
                for u in range(x * fine, (x + 1) * fine):
                    f = face[v, u]
                    if f >= 0:
                        right, down = u * SUBPIXEL - corner[f, 0, 0], v * SUBPIXEL - corner[f, 0, 1]
                        total += light[f, 0] + light[f, 1] * right + light[f, 2] * down
                        seen += 1
            if seen > 0:
                for k in range(3):
                    picture[y, x, k] = min(255.0, colour[k] * total / seen)
                picture[y, x, 3] = 255 * seen // (fine * fine)


@compiled
def _blend(window: UInt8Array, picture: UInt8Array, alpha: float) -> None:
    height, width = picture.shape[:2]
    for y in range(height):
        for x in range(width):
            share = alpha * picture[y, x, 3] / 255.0
            if share > 0:
                for k in range(3):
                    window[y, x, k] = round(window[y, x, k] * (1 - share) + picture[y, x, k] * share)
