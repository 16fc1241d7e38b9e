"""The compiled loops of ``shade``: corners, normals, shadow and occlusion look-ups, colour of a pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.render.compiled import compiled
from handviz.render.cover import cover, edge_at
from handviz.render.grid import REACH_PX, SUBPIXEL

Array = npt.NDArray[Any]
# How far behind a depth map's surface a point must lie to be in shadow, in pixels of that map.
SHADOW_BIAS, OCCLUSION_BIAS = 3.5, 2.0
# Sides of the maps in which shadow and soft occlusion are looked up.
SHADOW_SIZE, OCCLUSION_SIZE = 160, 56


@compiled
def place_corners(
    points: Array, faces: Array, K: Array, orthographic: bool, near: float
) -> tuple[Array, Array, Array, Array, Array]:
    """Return grid corners (F, 3, 2), depths (F, 3), area, swapped and drawn (F,) of triangles, as ``to_screen`` does."""
    count = len(faces)
    corner = np.zeros((count, 3, 2), np.int64)
    z = np.ones((count, 3))
    area = np.zeros(count, np.int64)
    swapped = np.zeros(count, np.bool_)
    drawn = np.zeros(count, np.bool_)
    pixel = np.empty((len(points), 2))
    for i in range(len(points)):
        depth = points[i, 2]
        scale = 1.0 if orthographic else 1.0 / (depth if abs(depth) > 1e-9 else 1e-9)
        x, y = points[i, 0] * scale, points[i, 1] * scale
        pixel[i, 0] = K[0, 0] * x + K[0, 1] * y + K[0, 2]
        pixel[i, 1] = K[1, 0] * x + K[1, 1] * y + K[1, 2]
    for f in range(count):
        visible = True
        for k in range(3):
            i = faces[f, k]
            visible &= points[i, 2] >= near and abs(pixel[i, 0]) < REACH_PX and abs(pixel[i, 1]) < REACH_PX
        if not visible:
            continue
        for k in range(3):
            i = faces[f, k]
            corner[f, k, 0], corner[f, k, 1] = round(pixel[i, 0] * SUBPIXEL), round(pixel[i, 1] * SUBPIXEL)
            z[f, k] = points[i, 2]
        twice = edge_at(corner[f, 0], corner[f, 1], corner[f, 2, 0], corner[f, 2, 1])
        if twice < 0:
            for c in range(2):
                corner[f, 1, c], corner[f, 2, c] = corner[f, 2, c], corner[f, 1, c]
            z[f, 1], z[f, 2] = z[f, 2], z[f, 1]
        area[f], swapped[f], drawn[f] = abs(twice), twice < 0, twice != 0
    return corner, z, area, swapped, drawn


@compiled
def normals_of(points: Array, faces: Array) -> Array:
    """Return area-weighted unit normals (V, 3)."""
    normal = np.zeros((len(points), 3))
    for f in range(len(faces)):
        a, b, c = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in range(3):
            i = faces[f, k]
            normal[i, 0] += nx
            normal[i, 1] += ny
            normal[i, 2] += nz
    for i in range(len(points)):
        length = math.sqrt(normal[i, 0] ** 2 + normal[i, 1] ** 2 + normal[i, 2] ** 2)
        if length > 0:
            normal[i] /= length
    return normal


@compiled
def tangents_of(points: Array, uv: Array, faces: Array) -> Array:
    """Return, for each triangle, the directions in space (F, 2, 3) in which u and v grow, unit length."""
    tangent = np.zeros((len(faces), 2, 3))
    for f in range(len(faces)):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        e, g = points[j] - points[i], points[k] - points[i]
        du1, dv1 = uv[j, 0] - uv[i, 0], uv[j, 1] - uv[i, 1]
        du2, dv2 = uv[k, 0] - uv[i, 0], uv[k, 1] - uv[i, 1]
        area = du1 * dv2 - du2 * dv1
        sign = 1.0 if area > 0 else -1.0
        t, s = (e * dv2 - g * dv1) * sign, (g * du1 - e * du2) * sign
        tangent[f, 0] = t / (math.sqrt((t * t).sum()) + 1e-20)
        tangent[f, 1] = s / (math.sqrt((s * s).sum()) + 1e-20)
    return tangent


@compiled
def texel(texels: Array, level: Array, u: float, v: float) -> tuple[float, float, float]:
    """Return the bilinear texture value at (u, v) in [0, 1], edges repeated, in 0 to 255."""
    height, width, start = level[0], level[1], level[2]
    x = min(max(u * width - 0.5, 0.0), width - 1.0)
    y = min(max(v * height - 0.5, 0.0), height - 1.0)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    fx, fy = x - x0, y - y0
    a, b, c, d = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    p, q, r, s = start + y0 * width + x0, start + y0 * width + x1, start + y1 * width + x0, start + y1 * width + x1
    return (
        a * texels[p, 0] + b * texels[q, 0] + c * texels[r, 0] + d * texels[s, 0],
        a * texels[p, 1] + b * texels[q, 1] + c * texels[r, 1] + d * texels[s, 1],
        a * texels[p, 2] + b * texels[q, 2] + c * texels[r, 2] + d * texels[s, 2],
    )


@compiled
def sh_channel(sh: Array, k: int, x: float, y: float, z: float) -> float:
    """Return what a matt white surface of this normal shines with in one colour, at least zero; see ``light.sh_basis``."""
    low = 0.282095 * sh[0, k] + 0.488603 * (y * sh[1, k] + z * sh[2, k] + x * sh[3, k])
    mixed = 1.092548 * (x * y * sh[4, k] + y * z * sh[5, k] + x * z * sh[7, k])
    return max(0.0, low + mixed + 0.315392 * (3 * z * z - 1) * sh[6, k] + 0.546274 * (x * x - y * y) * sh[8, k])


@compiled
def lit(depth: Array, x: float, y: float, z: float, bias: float) -> float:
    """Return how much of a depth map's light reaches (x, y, z) in its pixels and depth: four samples, weighted."""
    height, width = depth.shape
    x0, y0 = int(math.floor(x)), int(math.floor(y))
    if x0 < 0 or y0 < 0 or x0 + 1 >= width or y0 + 1 >= height:
        return 1.0
    fx, fy, limit = x - x0, y - y0, z - bias
    total = 0.0
    total += (1 - fx) * (1 - fy) if depth[y0, x0] > limit else 0.0
    total += fx * (1 - fy) if depth[y0, x0 + 1] > limit else 0.0
    total += (1 - fx) * fy if depth[y0 + 1, x0] > limit else 0.0
    total += fx * fy if depth[y0 + 1, x0 + 1] > limit else 0.0
    return total


@compiled
def depth_map(points: Array, mapped: int, faces: Array, towards: Array, size: int, view: Array, depth: Array) -> float:
    """Draw a scene's depth map along parallel light: write the view (3, 4) to map pixels and depth, and the depths; return a
    pixel's size in metres.

    The map spans the first ``mapped`` points, at all depths; what lies outside it counts as lit.
    Only triangles that face the light are drawn, so that a surface does not shadow itself from behind.
    """
    view[2, :3] = -towards
    helper = np.zeros(3)
    helper[np.argmin(np.abs(towards))] = 1.0
    view[0, :3] = np.cross(helper, view[2, :3])
    view[0, :3] /= math.sqrt((view[0, :3] * view[0, :3]).sum())
    view[1, :3] = np.cross(view[2, :3], view[0, :3])
    turned = np.empty((len(points), 3))
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for i in range(len(points)):
        for k in range(3):
            value = view[k, 0] * points[i, 0] + view[k, 1] * points[i, 1] + view[k, 2] * points[i, 2]
            turned[i, k] = value
            if i < mapped or k == 2:
                low[k], high[k] = min(low[k], value), max(high[k], value)
    scale = (size - 3) / max(high[0] - low[0], high[1] - low[1], 1e-9)
    view[:2, :3] *= scale
    view[0, 3], view[1, 3], view[2, 3] = 1 - scale * low[0], 1 - scale * low[1], 1 - low[2]
    turned[:, :2] *= scale
    turned += view[:, 3]
    corner, z, _, swapped, drawn = place_corners(turned, faces, np.eye(3), True, 1e-3)
    depth[:] = np.inf
    cover(corner, z, drawn & swapped, True, depth, np.empty(depth.shape, np.int32))
    return 1.0 / scale


@compiled
def occlusion_of(points: Array, mapped: int, normals: Array, faces: Array, directions: Array, size: int) -> Array:
    """Return the share (V,) of light from these directions (N, 3) that reaches each vertex, weighted by the cosine."""
    seen, most = np.full(len(points), 1e-3), np.full(len(points), 1e-3)
    view, depth = np.empty((3, 4)), np.empty((size, size), np.float32)
    for d in range(len(directions)):
        bias = OCCLUSION_BIAS * depth_map(points, mapped, faces, directions[d], size, view, depth)
        for i in range(len(points)):
            facing = (normals[i] * directions[d]).sum()
            if facing > 0.0:
                x, y, z = map_point(view, points[i, 0], points[i, 1], points[i, 2])
                seen[i] += facing * lit(depth, x, y, z, bias)
                most[i] += facing
    return seen / most


@compiled
def map_point(view: Array, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return where a point of space lies in a depth map: pixels and depth."""
    return (
        view[0, 0] * x + view[0, 1] * y + view[0, 2] * z + view[0, 3],
        view[1, 0] * x + view[1, 1] * y + view[1, 2] * z + view[1, 3],
        view[2, 0] * x + view[2, 1] * y + view[2, 2] * z + view[2, 3],
    )


@compiled
def texels_per_pixel(uv: Array, faces: Array, area: Array, drawn: Array) -> float:
    """Return the area in uv, over the area in the picture's pixels, of triangles as placed on the screen."""
    in_uv, on_screen = 0.0, 0.0
    for f in range(len(faces)):
        if drawn[f]:
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            e0, e1, g0, g1 = uv[j, 0] - uv[i, 0], uv[j, 1] - uv[i, 1], uv[k, 0] - uv[i, 0], uv[k, 1] - uv[i, 1]
            in_uv += abs(e0 * g1 - e1 * g0)
            on_screen += area[f]
    return in_uv / max(on_screen / (SUBPIXEL * SUBPIXEL), 1e-9)


@compiled
def finish(light: Array, covered: Array, background: Array, to_linear: Array, to_srgb: Array, out: Array) -> None:
    """Lay linear light (H, W, 3), already weighted by coverage, over an sRGB background and write sRGB bytes."""
    height, width = covered.shape
    top = len(to_srgb) - 1
    for y in range(height):
        for x in range(width):
            left = 1.0 - covered[y, x]
            if left > 0.999:
                for k in range(3):
                    out[y, x, k] = background[y, x, k]
                continue
            for k in range(3):
                value = light[y, x, k] + left * to_linear[background[y, x, k]]
                out[y, x, k] = to_srgb[int(min(value, 1.0) * top + 0.5)]
