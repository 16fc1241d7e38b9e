"""The compiled loop that colours the pixels of one surface; see ``shade``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.render.compiled import compiled
from handviz.render.cover import edge_at
from handviz.render.grid import SUBPIXEL
from handviz.render.shade_loops import lit, map_point, sh_channel, texel

Array = npt.NDArray[Any]


@compiled
def colour_surface(
    face_HW: Array, box: Array, faces_from: int, faces_to: int, geometry: tuple[Array, ...], skin: tuple[Array, ...],
    light: tuple[Array, ...], shadow_bias: float, to_linear: Array, orthographic: bool, samples: int, light_HW3: Array,
    covered_HW: Array,
) -> None:  # fmt: skip
    """Add one surface's light to ``light_HW3`` and its share of each pixel to ``covered_HW``.

    The surface owns triangles ``faces_from`` to ``faces_to`` of ``face_HW``. A triangle is shaded once per pixel, at the middle
    of the sub-pixels that it covers. ``box`` (x0, y0, x1, y1) bounds the pixels to colour.
    """
    share = 1.0 / (samples * samples)
    held = np.empty(samples * samples, np.int32)
    colour = np.empty(3)
    for y in range(box[1], box[3]):
        for x in range(box[0], box[2]):
            count = 0
            for j in range(samples):
                for i in range(samples):
                    held[count] = face_HW[y * samples + j, x * samples + i]
                    count += 1
            for first in range(count):
                f = held[first]
                if f < faces_from or f >= faces_to:
                    continue
                same, sum_x, sum_y = 0, 0, 0
                for other in range(first, count):
                    if held[other] == f:
                        same += 1
                        sum_x += x * samples + other % samples
                        sum_y += y * samples + other // samples
                        held[other] = -1
                at_x, at_y = sum_x * SUBPIXEL // same, sum_y * SUBPIXEL // same
                shade_point(f, f - faces_from, at_x, at_y, geometry, skin, light, shadow_bias, to_linear, orthographic, colour)
                for k in range(3):
                    light_HW3[y, x, k] += share * same * colour[k]
                covered_HW[y, x] += share * same


@compiled
def shade_point(
    f: int, own: int, at_x: int, at_y: int, geometry: tuple[Array, ...], skin: tuple[Array, ...], light: tuple[Array, ...],
    shadow_bias: float, to_linear: Array, orthographic: bool, colour: Array,
) -> None:  # fmt: skip
    """Write the linear colour of triangle ``f`` (number ``own`` within its surface) at a position on the sub-pixel grid."""
    faces, corner, z, swapped, points, normals, occlusion, uv, tangents = geometry
    texels, level, bumps, bump_level, tint, gloss = skin
    sh, sun, shadow_view, shadow = light
    w0 = edge_at(corner[f, 1], corner[f, 2], at_x, at_y) * 1.0
    w1 = edge_at(corner[f, 2], corner[f, 0], at_x, at_y) * 1.0
    w2 = edge_at(corner[f, 0], corner[f, 1], at_x, at_y) * 1.0
    if not orthographic:
        w0, w1, w2 = w0 / z[f, 0], w1 / z[f, 1], w2 / z[f, 2]
    total = 1.0 / (w0 + w1 + w2)
    w0, w1, w2 = w0 * total, w1 * total, w2 * total
    # Corners 1 and 2 were swapped where the triangle was turned over.
    a, b, c = faces[f, 0], faces[f, 2 if swapped[f] else 1], faces[f, 1 if swapped[f] else 2]
    px = w0 * points[a, 0] + w1 * points[b, 0] + w2 * points[c, 0]
    py = w0 * points[a, 1] + w1 * points[b, 1] + w2 * points[c, 1]
    pz = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
    nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
    ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
    nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
    u = w0 * uv[a, 0] + w1 * uv[b, 0] + w2 * uv[c, 0]
    v = w0 * uv[a, 1] + w1 * uv[b, 1] + w2 * uv[c, 1]
    occluded = w0 * occlusion[a] + w1 * occlusion[b] + w2 * occlusion[c]
    if len(bumps) > 1:
        red, green, blue = texel(bumps, bump_level, u, v)
        s, t, rise = red / 127.5 - 1.0, green / 127.5 - 1.0, max(blue / 127.5 - 1.0, 0.1)
        nx = rise * nx + s * tangents[own, 0, 0] + t * tangents[own, 1, 0]
        ny = rise * ny + s * tangents[own, 0, 1] + t * tangents[own, 1, 1]
        nz = rise * nz + s * tangents[own, 0, 2] + t * tangents[own, 1, 2]
    # The picture's y points down: a triangle seen from outside is one that was turned over.
    side = (1.0 if swapped[f] else -1.0) / (math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12)
    nx, ny, nz = nx * side, ny * side, nz * side
    ex, ey, ez = 0.0, 0.0, -1.0
    if not orthographic:
        far = -1.0 / math.sqrt(px * px + py * py + pz * pz)
        ex, ey, ez = px * far, py * far, pz * far
    across = max(nx * ex + ny * ey + nz * ez, 0.0)
    grazing = (1.0 - across) * (1.0 - across)
    fresnel = gloss[0] + (1.0 - gloss[0]) * 0.35 * grazing * grazing * (1.0 - across)
    facing = nx * sun[0, 0] + ny * sun[0, 1] + nz * sun[0, 2]
    bright, shine = 0.0, 0.0
    if facing > -gloss[2] and sun[1, 0] + sun[1, 1] + sun[1, 2] > 0:
        sx, sy, sz = map_point(shadow_view, px, py, pz)
        bright = lit(shadow, sx, sy, sz, shadow_bias)
        hx, hy, hz = sun[0, 0] + ex, sun[0, 1] + ey, sun[0, 2] + ez
        half = (nx * hx + ny * hy + nz * hz) / (math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-12)
        if facing > 0.0 and bright > 0.0 and half > 0.0:
            shine = bright * facing * fresnel * (gloss[1] + 8.0) / 8.0 * half ** gloss[1]
    mx, my, mz = 2 * across * nx - ex, 2 * across * ny - ey, 2 * across * nz - ez
    texel_rgb = texel(texels, level, u, v)
    for k in range(3):
        reach = gloss[2 + k]
        direct = bright * max(facing + reach, 0.0) / ((1.0 + reach) * (1.0 + reach))
        albedo = to_linear[int(texel_rgb[k] / 255.0 * (len(to_linear) - 1) + 0.5)] * tint[k]
        matt = albedo * (occluded * sh_channel(sh, k, nx, ny, nz) + direct * sun[1, k])
        colour[k] = matt + occluded * fresnel * sh_channel(sh, k, mx, my, mz) + shine * sun[1, k]
