"""Pictures in colour of many meshes of one kind at once, in torch: the CUDA counterpart of ``shade``.

The colour model is that of ``shade`` without soft occlusion, evaluated at every sub-pixel; see there. Every batch entry has
its own vertices, camera and light; faces, uv and texture are shared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from handviz.render.attributes import vertex_normals
from handviz.render.grid import NEAR_M
from handviz.render.light import Light
from handviz.render.raster import Backend, Fragments, rasterize
from handviz.render.shade_loops import SHADOW_BIAS
from handviz.render.surface import Texture

SHADOW_SIZE = 160


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SkinLook:
    """How a surface looks; as in ``Surface``."""

    texture: Texture
    uv_V2: Tensor
    specular: float = 0.028
    gloss: float = 24.0
    wrap: tuple[float, float, float] = (0.3, 0.12, 0.06)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureBatch:
    """``rgb_BHW3`` uint8 sRGB, and ``coverage_BHW`` in [0, 1], the share of each pixel that shows the mesh."""

    rgb_BHW3: Tensor
    coverage_BHW: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """What the N covered sub-pixels show: batch entry, place, unit normal, uv."""

    batch: Tensor
    place_N3: Tensor
    normal_N3: Tensor
    uv_N2: Tensor


@torch.no_grad()
def shade_batch(
    vertices_BV3: Tensor,
    faces_F3: Tensor,
    look: SkinLook,
    K_B33: Tensor,
    height: int,
    width: int,
    lights: Sequence[Light],
    *,
    background_BHW3: Tensor | None = None,
    samples: int = 2,
    near: float = NEAR_M,
    backend: Backend = "auto",
) -> PictureBatch:
    """Render B meshes, each over its background (uint8, black where None) and under its own light, by a pinhole camera.

    Raises ValueError when there are not as many lights as meshes, and as ``rasterize`` does.
    """
    if len(lights) != len(vertices_BV3):
        raise ValueError(f"{len(vertices_BV3)} meshes need as many lights, not {len(lights)}")
    fine = K_B33.expand(len(vertices_BV3), 3, 3).clone()
    fine[:, :2] *= samples
    fine[:, :2, 2] += 0.5 * samples - 0.5
    drawn = rasterize(vertices_BV3, faces_F3, fine, height * samples, width * samples, near=near, backend=backend)
    points = _points(drawn, vertices_BV3, faces_F3, look.uv_V2)
    colour = _colours(points, look, lights, vertices_BV3, faces_F3, backend)
    picture = torch.zeros(*drawn.face_id_BHW.shape, 4, device=colour.device, dtype=colour.dtype)
    picture[drawn.mask_BHW] = torch.cat([colour, torch.ones_like(colour[:, :1])], -1)
    mean = F.avg_pool2d(picture.permute(0, 3, 1, 2), samples).permute(0, 2, 3, 1) if height and width else picture
    behind = torch.zeros_like(mean[..., :3]) if background_BHW3 is None else _to_linear(background_BHW3.to(mean.dtype) / 255)
    linear = mean[..., :3] + (1 - mean[..., 3:]) * behind
    return PictureBatch(rgb_BHW3=(_to_srgb(linear) * 255 + 0.5).to(torch.uint8), coverage_BHW=mean[..., 3])


def _points(drawn: Fragments, vertices_BV3: Tensor, faces_F3: Tensor, uv_V2: Tensor) -> _Points:
    mask = drawn.mask_BHW
    batch = mask.nonzero()[:, 0]
    corner = faces_F3.long()[drawn.face_id_BHW[mask].long()]
    bary = drawn.bary_BHW3[mask][..., None]
    normals = vertex_normals(vertices_BV3, faces_F3)
    place = (vertices_BV3[batch[:, None], corner] * bary).sum(1)
    normal = F.normalize((normals[batch[:, None], corner] * bary).sum(1), dim=-1)
    a, b, c = vertices_BV3[batch[:, None], corner].unbind(1)
    # The inside of an open surface is lit by its own side.
    inside = (torch.linalg.cross(b - a, c - a) * place).sum(-1, keepdim=True) > 0
    return _Points(batch, place, torch.where(inside, -normal, normal), (uv_V2[corner] * bary).sum(1))


def _colours(
    points: _Points, look: SkinLook, lights: Sequence[Light], vertices_BV3: Tensor, faces_F3: Tensor, backend: Backend
) -> Tensor:
    """Return the linear colours (N, 3) of covered sub-pixels; the terms are those of ``shade_pixels.shade_point``."""
    n = points.normal_N3
    sh, sun_to, sun_rgb = (
        torch.stack([torch.as_tensor(getattr(light, name)) for light in lights]).to(n)
        for name in ("sh_93", "sun_direction", "sun_rgb")
    )
    eye = -F.normalize(points.place_N3, dim=-1)
    across = (n * eye).sum(-1, keepdim=True).clamp(min=0)
    fresnel = look.specular + (1 - look.specular) * 0.35 * (1 - across) ** 5
    sun = sun_to[points.batch]
    facing = (n * sun).sum(-1, keepdim=True)
    bright = _sunlit(points, vertices_BV3, faces_F3, sun_to, backend)[:, None]
    half = (n * F.normalize(sun + eye, dim=-1)).sum(-1, keepdim=True).clamp(min=0)
    shine = bright * facing.clamp(min=0) * fresnel * (look.gloss + 8) / 8 * half**look.gloss
    reach = torch.tensor(look.wrap).to(n)
    direct = bright * (facing + reach).clamp(min=0) / (1 + reach) ** 2
    ambient, mirror = _sh_light(sh, points.batch, n), _sh_light(sh, points.batch, 2 * across * n - eye)
    albedo = _to_linear(_texels(look, points.uv_N2, len(vertices_BV3)))
    glow = sun_rgb[points.batch]
    return albedo * (ambient + direct * glow) + fresnel * mirror + shine * glow


def _sh_light(sh_B93: Tensor, batch: Tensor, n: Tensor) -> Tensor:
    x, y, z = n.unbind(-1)
    basis = [0.282095 * torch.ones_like(x), 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y, 1.092548 * y * z]
    basis += [0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y)]
    return (torch.stack(basis, -1)[:, None] @ sh_B93[batch])[:, 0].clamp(min=0)


def _sunlit(points: _Points, vertices_BV3: Tensor, faces_F3: Tensor, sun_B3: Tensor, backend: Backend) -> Tensor:
    """Return how much of the sun (N,) reaches points, from a depth map along its light, four samples weighted."""
    z = -sun_B3
    helper = F.one_hot(z.abs().argmin(-1), 3).to(z)
    x = F.normalize(torch.linalg.cross(helper, z), dim=-1)
    R_B33 = torch.stack([x, torch.linalg.cross(z, x), z], 1)
    turned = vertices_BV3 @ R_B33.transpose(1, 2)
    low, high = turned.amin(1), turned.amax(1)
    scale = (SHADOW_SIZE - 3) / (high - low)[:, :2].amax(-1).clamp(min=1e-9)
    size = torch.stack([scale, scale, torch.ones_like(scale)], -1)
    K = torch.eye(3).to(z)
    flat = (turned - low[:, None]) * size[:, None] + 1
    # Only what faces the light is drawn, so that a surface does not shadow itself from behind.
    depth = _lit_depth(flat, faces_F3, K, backend)
    at = ((points.place_N3[:, None] @ R_B33[points.batch].transpose(1, 2))[:, 0] - low[points.batch]) * size[points.batch] + 1
    limit = at[:, 2] - SHADOW_BIAS / scale[points.batch]
    first = at[:, :2].floor()
    share = at[:, :2] - first
    total = torch.zeros_like(limit)
    for dy in (0, 1):
        for dx in (0, 1):
            u, v = ((first[:, k] + d).long().clamp(0, SHADOW_SIZE - 1) for k, d in ((0, dx), (1, dy)))
            weight = (share[:, 0] if dx else 1 - share[:, 0]) * (share[:, 1] if dy else 1 - share[:, 1])
            total += weight * (depth[points.batch, v, u] > limit)
    return total


def _lit_depth(flat_BV3: Tensor, faces_F3: Tensor, K: Tensor, backend: Backend) -> Tensor:
    corner = flat_BV3[..., :2][:, faces_F3.long()]
    a, b = corner[:, :, 1] - corner[:, :, 0], corner[:, :, 2] - corner[:, :, 0]
    away = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0] >= 0
    # A triangle that looks away is folded to a point, which is not drawn.
    count = faces_F3.shape[0]
    own = flat_BV3[:, faces_F3.long()]
    own = torch.where(away[..., None, None], own[:, :, :1], own).flatten(1, 2)
    own_faces = torch.arange(3 * count, device=flat_BV3.device).view(count, 3)
    drawn = rasterize(own, own_faces, K, SHADOW_SIZE, SHADOW_SIZE, orthographic=True, near=1e-3, backend=backend)
    return drawn.depth_BHW


def _texels(look: SkinLook, uv_N2: Tensor, meshes: int) -> Tensor:
    """Return bilinear texture values (N, 3) in [0, 1] from the level whose texels are about as large as a sub-pixel."""
    height, width, _ = (int(x) for x in look.texture.levels[0])
    # Of a texture laid round a closed surface about a quarter is seen from one side, the rest being hidden or unused.
    texels = 0.25 * height * width * meshes / max(len(uv_N2), 1)
    level = min(max(round(0.5 * math.log2(max(texels, 1.0))), 0), len(look.texture.levels) - 1)
    height, width, start = (int(x) for x in look.texture.levels[level])
    picture = torch.from_numpy(look.texture.texels[start : start + height * width]).to(uv_N2.device, uv_N2.dtype)
    picture = picture.view(1, height, width, 3).permute(0, 3, 1, 2) / 255
    grid = (uv_N2 * 2 - 1)[None, :, None]
    return F.grid_sample(picture, grid, padding_mode="border", align_corners=False)[0, :, :, 0].T


def _to_linear(s: Tensor) -> Tensor:
    return torch.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055).clamp(min=0) ** 2.4)


def _to_srgb(linear: Tensor) -> Tensor:
    clipped = linear.clamp(0, 1)
    return torch.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped.clamp(min=1e-8) ** (1 / 2.4) - 0.055)
