"""A smoothly shaded picture of a hand's surface, cut to its size, to be laid over the camera's picture."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import Camera, FloatArray, project, scale_intrinsics
from handviz.hand.palette import RGB, SKIN
from handviz.records import IntArray, UInt8Array
from handviz.render.compiled import compiled
from handviz.render.raster_numba import cover, edge_at
from handviz.render.screen import SUBPIXEL
from handviz.render.shade_loops import normals_of, place_corners

# Lit from above and behind the camera's left shoulder (camera frame: +y down, +z away).
_LIGHT = np.array([-0.36, -0.56, -0.75])
_AMBIENT = 0.4
# Up to this size edges are smoothed by drawing twice as fine; a larger hand has fewer edge pixels for its size.
_FINE_PIXELS = 120_000
_NEAREST_M = 1e-3


def mesh_picture(
    vertices_camera_m: FloatArray, faces: IntArray, camera: Camera, colour: RGB = SKIN
) -> tuple[UInt8Array, tuple[int, int]] | None:
    """Return an RGBA picture (h, w, 4) and the place of its top left pixel (u, v) in the camera's picture.

    Alpha is how much of a pixel the surface covers. None where nothing is to be seen: a mesh that is not finite, that
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
    lit, cover = _brightness(vertices_camera_m, faces, scale_intrinsics(K, fine, fine), height * fine, width * fine)
    lit, cover = (cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in (lit * cover, cover))
    lit = lit / np.maximum(cover, 1e-6)
    picture = np.empty((height, width, 4), np.uint8)
    picture[..., :3] = np.minimum(lit[..., None] * np.array(colour, np.float32), 255)
    picture[..., 3] = cover * 255
    return picture, (int(low[0]), int(low[1]))


def lay_over(canvas: UInt8Array, picture: UInt8Array, place: tuple[int, int], alpha: float) -> None:
    """Blend an RGBA picture into a canvas (H, W, 3) in place, its top left pixel at (u, v)."""
    height, width = picture.shape[:2]
    window = canvas[place[1] : place[1] + height, place[0] : place[0] + width]
    share = picture[..., 3].astype(np.float32) * (alpha / 255)
    window[:] = cv2.blendLinear(np.ascontiguousarray(window), np.ascontiguousarray(picture[..., :3]), 1 - share, share)


def _brightness(
    vertices_camera_m: FloatArray, faces: IntArray, K: FloatArray, height: int, width: int
) -> tuple[FloatArray, FloatArray]:
    """Return light (about 0.4 to 1) and coverage (0 or 1) at each pixel, both (height, width) float32."""
    points, corners = np.ascontiguousarray(vertices_camera_m, np.float64), np.ascontiguousarray(faces, np.int32)
    corner, z, _, swapped, drawn = place_corners(points, corners, K, False, _NEAREST_M)
    face = np.full((height, width), -1, np.int32)
    cover(corner, z, drawn, False, np.full(face.shape, np.inf, np.float32), face)
    towards = (normals_of(points, corners) @ _LIGHT)[corners]
    # A triangle that had to be swapped shows its outside; the inside of the open wrist is lit with its normals turned.
    towards = np.where(swapped[:, None], towards, -towards)
    lit = np.zeros((height, width), np.float32)
    _spread(corner, swapped, _AMBIENT + (1 - _AMBIENT) * np.clip(towards, 0, 1), face, lit)
    return lit, (face >= 0).astype(np.float32)


@compiled
def _spread(
    corner: npt.NDArray[np.int64],
    swapped: npt.NDArray[np.bool_],
    light_F3: FloatArray,
    face: IntArray,
    lit: FloatArray,
) -> None:
    """Write each pixel's light from the corners of its triangle (a hand is small: no perspective inside a triangle)."""
    height, width = face.shape
    for y in range(height):
        for x in range(width):
            f = face[y, x]
            if f < 0:
                continue
            p0, p1, p2 = corner[f, 0], corner[f, 1], corner[f, 2]
            w0 = float(edge_at(p1, p2, x * SUBPIXEL, y * SUBPIXEL))
            w1 = float(edge_at(p2, p0, x * SUBPIXEL, y * SUBPIXEL))
            w2 = float(edge_at(p0, p1, x * SUBPIXEL, y * SUBPIXEL))
            if swapped[f]:
                w1, w2 = w2, w1
            lit[y, x] = (w0 * light_F3[f, 0] + w1 * light_F3[f, 1] + w2 * light_F3[f, 2]) / (w0 + w1 + w2)
