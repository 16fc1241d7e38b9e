"""Skin from photographs: the visible parts of a fitted hand, mapped to the hand's texture (after Baek et al. 2020, 3.5).

Each texel is looked up where its point of the fitted surface lies in the photograph. Texels that the photograph does not show
come from the hand's own skin picture, adapted to the photograph's colour. Smooth lighting is taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from handviz.geometry.camera import FloatArray, project
from handviz.hand.model import HandModel
from handviz.records import BoolArray, HandParams, IntArray, UInt8Array
from handviz.render.raster import rasterize
from training.data.encoded import EncodedPack
from training.data.synth.skin import TEXTURE_SIZE, Skin, plain_bases, skin_of, tone

# A texel counts as seen where its surface faces the camera by at least this cosine and lies at most this far behind the front.
_LEAST_FACING = 0.35
_DEPTH_SLACK_M = 0.004
_LEAST_SEEN = 0.12
# Share of the smooth light that is taken out; all of it would also take out variations of the skin's own colour.
_DELIGHT = 0.75
# How far the photograph's colour is moved towards that of equally dark skin under white light.
_WHITE_BALANCE = 0.7
# Texels darker than this share of the skin, or brighter than its inverse, are cuffs, rings, gaps and glare.
_DARKEST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TexelMap:
    """For each texel of a hand's texture: the triangle it lies in (-1 for none) and its position in it."""

    face_HW: IntArray
    bary_HW3: FloatArray


def texel_map(model: HandModel, size: int = TEXTURE_SIZE) -> TexelMap:
    """Return which point of the surface each texel is, by drawing the triangles at their texture coordinates."""
    uv = model.uv_V2 % 1.0 * size - 0.5
    flat = torch.cat([uv, torch.ones_like(uv[:, :1])], 1)[None]
    drawn = rasterize(flat, model.faces_F3, torch.eye(3), size, size, orthographic=True)
    return TexelMap(face_HW=drawn.face_id_BHW[0].numpy(), bary_HW3=drawn.bary_BHW3[0].numpy())


def photo_skins(rng: np.random.Generator, photos: EncodedPack, model: HandModel, count: int) -> list[Skin]:
    """Return up to ``count`` skins of photographs with parameters of this hand, drawn evenly over sources and persons."""
    pack = photos.labels
    usable = np.flatnonzero(pack.has_params_N & np.array([hand == model.name for hand in pack.names.hand_model]))
    if len(usable) == 0:
        return []
    order = photos.drawn_evenly(rng, usable, 3 * count)
    texels = texel_map(model)
    skins: list[Skin] = []
    for i in order:
        params = pack.sample(int(i)).params
        if params is None:
            continue
        picture = photos.pictures(np.array([i]))[0][0]
        skin = skin_of_photo(picture, pack.K_N33[i].astype(float), params, model, texels)
        skins += [skin] if skin is not None else []
        if len(skins) == count:
            break
    return skins


def skin_of_photo(rgb: UInt8Array, K: FloatArray, params: HandParams, model: HandModel, texels: TexelMap) -> Skin | None:
    """Return the skin of one fitted photograph, or None where it shows too little or no skin."""
    points, facing, seen_depth = _texel_points(K, params, model, texels, rgb.shape[0])
    pixels = project(points.reshape(-1, 3), K).reshape(*points.shape[:2], 2).astype(np.float32)
    front = cv2.remap(seen_depth, pixels[..., 0], pixels[..., 1], cv2.INTER_NEAREST, borderValue=0.0)
    seen = (texels.face_HW >= 0) & (facing > _LEAST_FACING) & (points[..., 2] < front + _DEPTH_SLACK_M)
    if seen.sum() < _LEAST_SEEN * (texels.face_HW >= 0).sum():
        return None
    photo = cv2.remap(rgb, pixels[..., 0], pixels[..., 1], cv2.INTER_LINEAR).astype(np.float32)
    colour = np.median(photo[seen], 0)
    if not _is_skin(colour):
        return None
    return _skin(_without_light(photo, seen, colour), seen, colour, model)


def _texel_points(
    K: FloatArray, params: HandParams, model: HandModel, texels: TexelMap, side: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return each texel's point (H, W, 3), how much it faces the camera, and the picture's depth map, infinite where empty."""
    tensors = (params.pose, params.shape, params.root_rotation, params.scale, params.translation_m)
    values = [torch.as_tensor(np.asarray(x), dtype=torch.float32)[None] for x in tensors]
    vertices = model.forward(*values).vertices_BV3
    drawn = rasterize(vertices, model.faces_F3, torch.from_numpy(K).float(), side, side)
    V, F = vertices[0].double().numpy(), model.faces_F3.numpy()
    corners = V[F[texels.face_HW.clip(0)]]
    points = (corners * texels.bary_HW3[..., None]).sum(2)
    normals = np.cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :])
    ray = -points / np.linalg.norm(points, axis=-1, keepdims=True).clip(1e-9)
    facing = (normals * ray).sum(-1) / np.linalg.norm(normals, axis=-1).clip(1e-12)
    return np.where(texels.face_HW[..., None] >= 0, points, 1.0), facing, _eroded(drawn.depth_BHW[0].numpy())


def _eroded(depth: FloatArray) -> FloatArray:
    """Return the depth map without its outermost pixels, where a fit one pixel off would take background for skin."""
    inside = cv2.erode(np.isfinite(depth).astype(np.uint8), np.ones((5, 5), np.uint8))
    return np.where(inside > 0, depth, 0.0).astype(np.float32)


def _is_skin(colour: FloatArray) -> bool:
    """Say whether an sRGB colour (3,) can be skin under some white light: red above blue, not black, not white."""
    red, green, blue = colour
    return bool(red > blue and red > 0.95 * green and 35 < colour.mean() < 235)


def _without_light(photo: FloatArray, seen: BoolArray, colour: FloatArray) -> FloatArray:
    """Return the photograph's texels with smooth lighting evened out."""
    weight, sigma = seen.astype(np.float32), photo.shape[0] / 12
    smooth = cv2.GaussianBlur(photo.mean(-1) * weight, (0, 0), sigma)
    smooth = smooth / cv2.GaussianBlur(weight, (0, 0), sigma).clip(1e-4)
    return np.asarray(photo * (colour.mean() / smooth.clip(8))[..., None] ** _DELIGHT)


def _skin(photo: FloatArray, seen: BoolArray, colour: FloatArray, model: HandModel) -> Skin:
    """Return the skin composed of the photograph, where it shows skin, and the hand's own picture elsewhere."""
    darkness = _darkness_of(colour)
    white = (tone(darkness) / colour) ** _WHITE_BALANCE
    photo, colour = photo * white, colour * white
    ratio = photo.mean(-1) / colour.mean()
    seen = seen & (ratio > _DARKEST) & (ratio < 1 / _DARKEST)
    base = cv2.resize(plain_bases(model)[0].astype(np.float32), photo.shape[:2], interpolation=cv2.INTER_AREA)
    matched = base * (colour / np.median(base[seen], 0).clip(1))
    inner = cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    share = (cv2.GaussianBlur(inner, (0, 0), 4.0) * seen)[..., None]
    picture = np.clip(share * photo + (1 - share) * matched, 0, 255).astype(np.uint8)
    return skin_of(picture, model, colour, darkness)


def _darkness_of(colour: FloatArray) -> float:
    steps = np.linspace(0, 1, 41)
    return float(steps[np.abs([tone(d).mean() - colour.mean() for d in steps]).argmin()])
