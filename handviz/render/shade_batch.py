"""Pictures in colour of many scenes at once, in torch: the CUDA counterpart of ``shade``.

The colour model is that of ``shade``, and like it shades each triangle once per pixel. Scenes share their topology
(``Layout``); everything else is set for each scene. On CUDA a few counts are read back for each call (how many triangles and
sub-pixels there are to work on): call it from its own thread and stream where a trainer must not wait for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from handviz.render.depth_maps import DepthMap, depth_along, occlusion
from handviz.render.grid import NEAR_M, SUBPIXEL
from handviz.render.raster import Backend, nearest
from handviz.render.scenes import Layout, Lights, Pictures, Scenes, TextureBank
from handviz.render.screen import Screen, to_screen
from handviz.render.shade_loops import OCCLUSION_SIZE, SHADOW_BIAS, SHADOW_SIZE
from handviz.render.surface import MAX_LEVELS


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """What N triangles show in a pixel each: scene, surface (counted through the batch), position, unit normal, uv, occlusion."""

    scene_N: Tensor
    surface_N: Tensor
    place_N3: Tensor
    normal_N3: Tensor
    uv_N2: Tensor
    open_N: Tensor


@torch.no_grad()
def shade_scenes(
    scenes: Scenes,
    layout: Layout,
    bank: TextureBank,
    lights: Lights,
    K_B33: Tensor,
    background_BHW3: Tensor,
    *,
    samples: int = 2,
    occlusion_views: int = 8,
    near: float = NEAR_M,
    backend: Backend = "auto",
) -> Pictures:
    """Render B scenes, each over its background (B, H, W, 3) uint8 and under its own light, by pinhole cameras.

    ``samples`` and ``occlusion_views`` as in ``shade``. Raises ValueError when cameras, lights, backgrounds and scenes differ
    in number. Vertices must be finite; they are not checked, because that would stall a GPU.
    """
    count, (height, width) = len(scenes.vertices_BV3), background_BHW3.shape[1:3]
    if not count == len(K_B33) == len(lights.sh_B93) == len(background_BHW3):
        raise ValueError(
            f"{count} scenes need as many cameras, lights and backgrounds, not {len(K_B33)}, {len(lights.sh_B93)} "
            f"and {len(background_BHW3)}"
        )
    screen = on_screen(scenes, layout, K_B33, samples, near)
    face, _ = nearest(screen, height * samples, width * samples, backend=backend)
    flipped_BF = scenes.looks.flipped_BM[:, layout.surface_F]
    normals = scene_normals(scenes, layout)
    mesh = (scenes.vertices_BV3, layout.mapped_V, layout.faces_F3, flipped_BF)
    opened = occlusion(mesh[0], normals, *mesh[1:], views=occlusion_views, size=OCCLUSION_SIZE, backend=backend)
    sun = depth_along(*mesh, lights.sun_direction_B3, SHADOW_SIZE, backend)
    shares = _shares(face, samples)
    points = _points(scenes, layout, screen, normals, opened, shares, height * width)
    colour = _colours(points, scenes, bank, _levels(scenes, layout, screen, bank, samples), lights, sun)
    light, covered = _summed(colour, shares, layout, (count, height, width), samples)
    return Pictures(rgb_BHW3=_over(background_BHW3, light, covered[..., 1]), coverage_BHW=covered[..., 0])


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    """Which triangles pixels show: the pixel, numbered through the batch, and a separate slot in it, the triangle, the part of
    the pixel that it covers, and the middle (N, 2) of that part on the sub-pixel grid."""

    pixel_N: Tensor
    slot_N: Tensor
    face_N: Tensor
    part_N: Tensor
    middle_N2: Tensor


def _shares(face_BHW: Tensor, samples: int) -> _Shares:
    """Gather the sub-pixels of each pixel that show the same triangle."""
    size, high, wide = face_BHW.shape
    fine = face_BHW.view(size, high // samples, samples, wide // samples, samples).transpose(2, 3).reshape(-1, samples**2)
    same = fine[:, :, None] == fine[:, None]
    earlier = same.tril(-1).any(2)
    pixel, slot = ((fine >= 0) & ~earlier).nonzero(as_tuple=True)
    alike = same[pixel, slot]
    sub = torch.arange(samples**2, device=fine.device)
    corner = torch.stack([pixel % (wide // samples), pixel // (wide // samples) % (high // samples)], -1) * samples
    count = alike.sum(1)
    within = torch.stack([(alike * (sub % samples)).sum(1), (alike * (sub // samples)).sum(1)], -1)
    middle = corner * SUBPIXEL + within * SUBPIXEL // count[:, None]
    return _Shares(pixel, slot, fine[pixel, slot].long(), count / samples**2, middle)


def on_screen(scenes: Scenes, layout: Layout, K_B33: Tensor, scale: float, near: float = NEAR_M) -> Screen:
    """Return the scenes' triangles on pictures ``scale`` times as fine as the cameras' own."""
    fine = K_B33.clone()
    fine[:, :2] *= scale
    fine[:, :2, 2] += 0.5 * scale - 0.5
    return to_screen(scenes.vertices_BV3, layout.faces_F3, fine, orthographic=False, near=near)


def scene_normals(scenes: Scenes, layout: Layout) -> Tensor:
    """Return area-weighted unit normals (B, V, 3) that point outwards. Summed vertex by vertex: the same on every run."""
    corner = scenes.vertices_BV3[:, layout.faces_F3]
    normal = torch.linalg.cross(corner[:, :, 1] - corner[:, :, 0], corner[:, :, 2] - corner[:, :, 0])
    total = F.pad(normal, (0, 0, 0, 1))[:, layout.around_VD].sum(2)
    outwards = 1.0 - 2.0 * scenes.looks.flipped_BM[:, layout.surface_V, None].to(total)
    return F.normalize(total * outwards, dim=-1, eps=1e-20)


def _points(
    scenes: Scenes, layout: Layout, screen: Screen, normals_BV3: Tensor, open_BV: Tensor, shares: _Shares, pixels: int
) -> _Points:
    """Interpolate what the vertices carry; normals are turned to the visible side, as in ``shade``."""
    vertices, f = scenes.vertices_BV3, shares.face_N
    scene = shares.pixel_N // pixels
    swapped = screen.swapped_BF[scene, f]
    bary = _barycentrics(screen.corner_BF32[scene, f], screen.depth_BF3[scene, f], swapped, shares.middle_N2).to(vertices)
    uv = layout.uv_V2.expand(len(vertices), -1, -1)
    carried = torch.cat([vertices, normals_BV3, uv, open_BV[..., None]], -1).flatten(0, 1)
    corner = layout.faces_F3[f] + (scene * vertices.shape[1])[:, None]
    blend = sum(bary[:, k, None] * carried[corner[:, k]] for k in range(3))
    place, normal, uv, opened = torch.as_tensor(blend).split([3, 3, 2, 1], -1)
    surface = scene * scenes.looks.flipped_BM.shape[1] + layout.surface_F[f]
    # The picture's y points down: a triangle seen from outside is one that was turned over.
    side = torch.where(swapped ^ scenes.looks.flipped_BM.flatten()[surface], 1.0, -1.0)[:, None]
    return _Points(scene, surface, place, F.normalize(normal, dim=-1) * side, uv, opened[:, 0])


def _barycentrics(corner_N32: Tensor, z_N3: Tensor, swapped_N: Tensor, at_N2: Tensor) -> Tensor:
    """Return perspective-correct barycentrics (N, 3) of positions on the sub-pixel grid, in the triangles' order of corners."""
    start, end = corner_N32[:, [1, 2, 0]], corner_N32[:, [2, 0, 1]]
    step, offset = end - start, at_N2[:, None] - start
    w = (step[..., 0] * offset[..., 1] - step[..., 1] * offset[..., 0]).double() / z_N3
    w = w / w.sum(1, keepdim=True)
    return torch.where(swapped_N[:, None], w[:, [0, 2, 1]], w)


def _colours(points: _Points, scenes: Scenes, bank: TextureBank, level_P3: Tensor, lights: Lights, sun: DepthMap) -> Tensor:
    """Return linear light (N, 3) of the points; the terms are those of ``shade_pixels.shade_point``."""
    n, scene = points.normal_N3, points.scene_N
    own = scenes.looks
    looks = torch.cat([own.tint_BM3, own.wrap_BM3, own.specular_BM[..., None], own.gloss_BM[..., None]], -1)
    tint, reach, specular, gloss = looks.flatten(0, 1)[points.surface_N].split([3, 3, 1, 1], -1)
    towards, sun_rgb = lights.sun_direction_B3[scene], lights.sun_rgb_B3[scene]
    eye = -F.normalize(points.place_N3, dim=-1)
    across = (n * eye).sum(-1, keepdim=True).clamp(min=0)
    fresnel = specular + (1 - specular) * 0.35 * (1 - across) ** 5
    facing = (n * towards).sum(-1, keepdim=True)
    bright = sun.lit_points(scene, points.place_N3, SHADOW_BIAS)[:, None]
    half = (n * F.normalize(towards + eye, dim=-1)).sum(-1, keepdim=True).clamp(min=0)
    shine = bright * facing.clamp(min=0) * fresnel * (gloss + 8) / 8 * half**gloss
    direct = bright * (facing + reach).clamp(min=0) / (1 + reach) ** 2
    sh = lights.sh_B93[scene]
    albedo = to_linear(_texels(bank, level_P3[points.surface_N], points.uv_N2)) * tint
    opened = points.open_N[:, None]
    matt = albedo * (opened * _sh_light(sh, n) + direct * sun_rgb)
    return matt + opened * fresnel * _sh_light(sh, 2 * across * n - eye) + shine * sun_rgb


def _sh_light(sh_N93: Tensor, n_N3: Tensor) -> Tensor:
    """Return what matt white surfaces of these normals shine with (N, 3), at least zero; see ``light.sh_basis``."""
    x, y, z = n_N3.unbind(-1)
    basis = [0.282095 * torch.ones_like(x), 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y, 1.092548 * y * z]
    basis += [0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y)]
    return (torch.stack(basis, -1)[..., None] * sh_N93).sum(1).clamp(min=0)


def _levels(scenes: Scenes, layout: Layout, screen: Screen, bank: TextureBank, samples: int) -> Tensor:
    """Return height, width and first texel (B * M, 3) of the texture level whose texels are nearest to a pixel in size."""
    uv = layout.uv_V2[layout.faces_F3]
    e, g = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    uv_area = (e[:, 0] * g[:, 1] - e[:, 1] * g[:, 0]).abs()
    drawn = screen.drawn_BF.float()
    owner = F.one_hot(layout.surface_F, scenes.looks.texture_BM.shape[1]).float()
    in_uv = (drawn * uv_area) @ owner
    on_screen = (drawn * screen.area_BF.float() / SUBPIXEL**2) @ owner
    first = bank.levels_TL3[scenes.looks.texture_BM, 0]
    texels = in_uv / on_screen.clamp(min=1e-9) * samples**2 * (first[..., 0] * first[..., 1])
    level = torch.floor(0.5 * torch.log2(texels.clamp(min=1e-9)) + 0.25).long().clamp(0, MAX_LEVELS - 1)
    return bank.levels_TL3[scenes.looks.texture_BM, level].flatten(0, 1)


def _texels(bank: TextureBank, level_N3: Tensor, uv_N2: Tensor) -> Tensor:
    """Return bilinear texture values (N, 3) in [0, 1], edges repeated."""
    height, width, start = level_N3.unbind(-1)
    last = torch.stack([width, height], -1) - 1
    at = (uv_N2 * (last + 1) - 0.5).clamp(min=0)
    at = torch.minimum(at, last.to(at))
    low = at.long()
    high = torch.minimum(low + 1, last)
    share = at - low
    total = torch.zeros(len(uv_N2), 3, device=uv_N2.device)
    for y, weight_y in ((low[:, 1], 1 - share[:, 1]), (high[:, 1], share[:, 1])):
        for x, weight_x in ((low[:, 0], 1 - share[:, 0]), (high[:, 0], share[:, 0])):
            total += bank.texels_N3[start + y * width + x] * (weight_x * weight_y)[:, None]
    return total / 255


def _summed(
    colour_N3: Tensor, shares: _Shares, layout: Layout, shape: tuple[int, int, int], samples: int
) -> tuple[Tensor, Tensor]:
    """Add up each pixel's triangles: linear light (B, H, W, 3), and the shares (B, H, W, 2) of the first and of any surface.

    Each has its own slot, so that the order of additions does not change from run to run.
    """
    count, height, width = shape
    own = layout.surface_F[shares.face_N] == 0
    part = shares.part_N[:, None].to(colour_N3)
    values = torch.cat([colour_N3 * part, own[:, None] * part, part], -1)
    slots = torch.zeros(count * height * width * samples**2, 5, device=colour_N3.device)
    slots.index_copy_(0, shares.pixel_N * samples**2 + shares.slot_N, values)
    total = slots.view(count, height, width, samples**2, 5).sum(3)
    return total[..., :3], total[..., 3:]


def _over(background_BHW3: Tensor, light_BHW3: Tensor, covered_BHW: Tensor) -> Tensor:
    left = 1 - covered_BHW[..., None]
    mixed = (to_srgb(light_BHW3 + left * to_linear(background_BHW3.float() / 255)) * 255).round().byte()
    return torch.where(left > 0.999, background_BHW3, mixed)


def to_linear(srgb: Tensor) -> Tensor:
    """Return linear light of sRGB values in [0, 1]."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055).clamp(min=0) ** 2.4)


def to_srgb(linear: Tensor) -> Tensor:
    """Return sRGB values in [0, 1] of linear light, clipped to what a picture can hold."""
    clipped = linear.clamp(0, 1)
    return torch.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped.clamp(min=1e-8) ** (1 / 2.4) - 0.055)
