"""A quick shaded picture of a mesh for the overlay: painter's algorithm over flat triangles, farthest first."""

from __future__ import annotations

import cv2
import numpy as np

from handviz.app.viewport.shapes import vertex_normals
from handviz.geometry.camera import Camera, FloatArray, project
from handviz.hand.palette import RGB
from handviz.records import IntArray, UInt8Array

# Lit from above and behind the camera's left shoulder (camera frame: +y down, +z away).
LIGHT = np.array([-0.35, -0.55, -0.76])
AMBIENT = 0.42
ALPHA = 225
SUBPIXEL_BITS = 3


def visible_faces(vertices_camera_m: FloatArray, faces: IntArray) -> IntArray:
    """Faces (M, 3) that look towards the camera, farthest first."""
    a, b, c = (vertices_camera_m[faces[:, i]] for i in range(3))
    across = np.cross(b - a, c - a)
    towards = (across * a).sum(1) < 0
    depth = a[:, 2] + b[:, 2] + c[:, 2]
    order = np.argsort(-depth[towards])
    return faces[towards][order]


def shaded_mesh(
    vertices_camera_m: FloatArray, faces: IntArray, camera: Camera, colour: RGB
) -> tuple[UInt8Array | None, tuple[int, int]]:
    """Return an RGBA picture of the mesh and its top left pixel in the full picture; None where nothing is to be seen."""
    pixels = project(vertices_camera_m, camera.K)
    if not np.isfinite(pixels).all():
        return None, (0, 0)
    low = np.maximum(np.floor(pixels.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(pixels.max(0)).astype(int) + 2, camera.size)
    if (high - low < 1).any():
        return None, (0, 0)
    shown = visible_faces(vertices_camera_m, faces)
    light = np.clip(vertex_normals(vertices_camera_m, faces) @ LIGHT, 0, 1)
    strength = AMBIENT + (1 - AMBIENT) * light[shown].mean(1)
    shades = np.clip(strength[:, None] * np.array(colour), 0, 255).astype(int)
    corners = np.round((pixels[shown] - low) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    picture = np.zeros((high[1] - low[1], high[0] - low[0], 4), np.uint8)
    for triangle, (r, g, b) in zip(corners, shades.tolist(), strict=True):
        cv2.fillConvexPoly(picture, triangle, (r, g, b, ALPHA), cv2.LINE_8, SUBPIXEL_BITS)
    return picture, (int(low[0]), int(low[1]))
