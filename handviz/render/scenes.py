"""Batches of scenes for ``shade_scenes``: textured surfaces with one topology for all, and their textures on one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from handviz.render.light import Light
from handviz.render.surface import MAX_LEVELS, Texture

R = TypeVar("R", bound="TensorRecord")


class TensorRecord:
    """A frozen record whose tensors, also those of records within it, move to another device or are indexed together."""

    __slots__ = ()

    def to(self: R, device: torch.device | str) -> R:
        """Return the record on another device. A copy to a GPU does not wait: its stream keeps the order."""
        ahead = torch.device(device).type != "cpu"
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=ahead))

    def take(self: R, rows: slice | Tensor) -> R:
        """Return some rows of every tensor."""
        return self._mapped(lambda tensor: tensor[rows])

    def _mapped(self: R, work: Callable[[Tensor], Tensor]) -> R:
        changed: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                changed[field.name] = work(value)
            elif isinstance(value, TensorRecord):
                changed[field.name] = value._mapped(work)
        return replace(self, **changed)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextureBank(TensorRecord):
    """T textures as one array of texels, so that each point of a batch can sample its own.

    ``texels_N3`` uint8 sRGB; ``levels_TL3`` int64: height, width, first texel of each halved copy, the smallest repeated.
    """

    texels_N3: Tensor
    levels_TL3: Tensor


def texture_bank(textures: Sequence[Texture]) -> TextureBank:
    """Return the bank of textures, on the CPU; a texture's number is its place in the sequence."""
    levels = np.zeros((len(textures), MAX_LEVELS, 3), np.int64)
    start = 0
    for row, texture in zip(levels, textures, strict=True):
        row[:] = texture.levels[np.minimum(np.arange(MAX_LEVELS), len(texture.levels) - 1)]
        row[:, 2] += start
        start += len(texture.texels)
    return TextureBank(
        texels_N3=torch.from_numpy(np.concatenate([t.texels for t in textures])), levels_TL3=torch.from_numpy(levels)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout(TensorRecord):
    """The topology of a scene's M surfaces, one after the other.

    ``faces_F3`` int64 into the scene's vertices, wound counter-clockwise seen from outside; ``uv_V2`` in [0, 1], v downwards;
    ``surface_F`` and ``surface_V`` the surface's number; ``around_VD`` the triangles at each vertex's position, padded with F;
    ``mapped_V`` says which vertices shadow and occlusion maps span.
    """

    faces_F3: Tensor
    uv_V2: Tensor
    surface_F: Tensor
    surface_V: Tensor
    around_VD: Tensor
    mapped_V: Tensor


def layout_of(
    surfaces: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]], mapped: int | None = None
) -> Layout:
    """Return the layout of surfaces, given as faces (F, 3), uv (V, 2) and the first vertex (V,) at each one's place.

    ``mapped`` as in ``shade``; the first surface must always be present.
    """
    starts = np.cumsum([0] + [len(uv) for _, uv, _ in surfaces])
    faces = np.concatenate([f + start for (f, _, _), start in zip(surfaces, starts, strict=False)]).astype(np.int64)
    first = np.concatenate([f + start for (_, _, f), start in zip(surfaces, starts, strict=False)]).astype(np.int64)
    number = np.arange(len(surfaces))
    owner = number.repeat([len(uv) for _, uv, _ in surfaces])
    return Layout(
        faces_F3=torch.from_numpy(faces),
        uv_V2=torch.from_numpy(np.concatenate([uv for _, uv, _ in surfaces]).astype(np.float32)),
        surface_F=torch.from_numpy(number.repeat([len(f) for f, _, _ in surfaces])),
        surface_V=torch.from_numpy(owner),
        mapped_V=torch.from_numpy(owner < (len(surfaces) if mapped is None else mapped)),
        around_VD=torch.from_numpy(_around(first[faces], int(starts[-1]))[first]),
    )


def _around(faces_F3: npt.NDArray[np.int64], vertices: int) -> npt.NDArray[np.int64]:
    order = np.argsort(faces_F3.ravel(), kind="stable")
    owner = faces_F3.ravel()[order]
    count = np.bincount(owner, minlength=vertices)
    table = np.full((vertices, int(count.max(initial=1))), len(faces_F3))
    table[owner, np.arange(len(owner)) - (np.cumsum(count) - count)[owner]] = order // 3
    return table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lights(TensorRecord):
    """A light for each scene; as in ``Light``."""

    sh_B93: Tensor
    sun_direction_B3: Tensor
    sun_rgb_B3: Tensor


def lights_of(light: Light) -> Lights:
    """Return B lights from one whose arrays have B rows each, float32 on the CPU."""
    arrays = (light.sh_93, light.sun_direction, light.sun_rgb)
    sh, direction, rgb = (torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in arrays)
    return Lights(sh_B93=sh, sun_direction_B3=direction, sun_rgb_B3=rgb)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks(TensorRecord):
    """How M surfaces of B scenes look; as in ``Surface``.

    ``flipped_BM`` marks surfaces that are mirrored, their triangles wound the other way; ``texture_BM`` numbers in the bank.
    """

    flipped_BM: Tensor
    texture_BM: Tensor
    tint_BM3: Tensor
    specular_BM: Tensor
    gloss_BM: Tensor
    wrap_BM3: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenes(TensorRecord):
    """B scenes of M surfaces each, in their cameras' frames.

    ``vertices_BV3`` metres; a surface whose vertices all lie in one point is absent.
    """

    vertices_BV3: Tensor
    looks: Looks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures(TensorRecord):
    """``rgb_BHW3`` uint8 sRGB; ``coverage_BHW`` in [0, 1], the share of each pixel that shows the first surface."""

    rgb_BHW3: Tensor
    coverage_BHW: Tensor
