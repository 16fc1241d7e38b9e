"""Which triangle each pixel shows: one interface, a compiled backend for the CPU and a torch backend for CUDA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from handviz.render.compiled import have_numba
from handviz.render.grid import NEAR_M
from handviz.render.raster_numba import nearest_numba, rasterize_numba
from handviz.render.raster_torch import nearest_torch, rasterize_torch
from handviz.render.screen import Screen, check_scene, to_screen

Backend = Literal["auto", "numba", "torch"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fragments:
    """What each pixel shows.

    ``face_id_BHW`` int32, -1 where no triangle is; ``bary_BHW3`` perspective-correct barycentrics of that triangle's
    corners (zero where none); ``depth_BHW`` z in metres (infinite where none).
    """

    face_id_BHW: Tensor
    bary_BHW3: Tensor
    depth_BHW: Tensor

    @property
    def mask_BHW(self) -> Tensor:
        """Return where a triangle is, as bool (B, H, W)."""
        return self.face_id_BHW >= 0


@torch.no_grad()
def rasterize(
    vertices_BV3: Tensor,
    faces_F3: Tensor,
    K_B33: Tensor,
    height: int,
    width: int,
    *,
    orthographic: bool = False,
    near: float = NEAR_M,
    backend: Backend = "auto",
) -> Fragments:
    """Find the nearest triangle at each pixel centre of ``height`` x ``width`` pictures.

    ``vertices_BV3`` metres in the camera frame; ``K_B33`` intrinsics, (3, 3) or one per batch entry (pixels per metre when
    ``orthographic``). Both sides of a triangle are drawn. ``screen`` says what is not drawn; a hand entirely behind
    the camera or outside the picture, no faces, and pictures without area give an empty result. Both backends agree
    pixel by pixel. Nothing here carries gradients: see ``interpolate`` and ``soft_mask``. Raises ValueError for wrong
    shapes and for values that are not finite.
    """
    K = check_scene(vertices_BV3, faces_F3, K_B33, height, width)
    screen = to_screen(vertices_BV3, faces_F3, K, orthographic=orthographic, near=near)
    work = rasterize_numba if _uses_numba(screen, backend) else rasterize_torch
    face, bary, depth = work(screen, height, width, orthographic=orthographic)
    return Fragments(face_id_BHW=face, bary_BHW3=bary.to(vertices_BV3.dtype), depth_BHW=depth.to(vertices_BV3.dtype))


def nearest(
    screen: Screen, height: int, width: int, *, orthographic: bool = False, backend: Backend = "auto"
) -> tuple[Tensor, Tensor]:
    """Return which triangle (B, H, W) int32 each pixel shows, -1 for none, and its depth float32, infinite for none.

    Like ``rasterize``, for triangles that are already on the screen, unchecked and without barycentrics.
    """
    work = nearest_numba if _uses_numba(screen, backend) else nearest_torch
    return work(screen, height, width, orthographic=orthographic)


def _uses_numba(screen: Screen, backend: Backend) -> bool:
    return have_numba() and screen.drawn_BF.device.type == "cpu" if backend == "auto" else backend == "numba"
