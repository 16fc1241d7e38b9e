"""Terms of losses on a whole mesh: its Laplacian, and its mask as a crop's camera sees it.

Shape suffixes: B batch, V vertices, F triangles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from handviz.hand.model import HandModel
from handviz.hand.skeleton import PALM
from handviz.render.soft_mask import soft_mask


@dataclass(frozen=True, slots=True, eq=False)
class Laplacian:
    """L_Lap: how far vertices lie from the middle of their neighbours, compared with the flat template, in palm lengths.

    Kanazawa et al. (2018) penalise the offset itself; the template's own offsets are subtracted here, so that knuckles
    and fingertips are not pulled flat.
    """

    matrix_VV: Tensor
    template_V3: Tensor
    palm: float

    @staticmethod
    def of(hand: HandModel) -> Laplacian:
        """Return the Laplacian of a hand's mesh, made once per model."""
        return _laplacian(hand)

    def __call__(self, vertices_BV3: Tensor) -> Tensor:
        """Return the mean squared difference in length of the offsets, a scalar."""
        return self.each(vertices_BV3).mean()

    def each(self, vertices_BV3: Tensor) -> Tensor:
        """Return the term for every mesh (B,)."""
        offsets = self._offset_lengths(vertices_BV3) - self._offset_lengths(self.template_V3[None])
        return (offsets / self.palm).square().mean(1)

    def _offset_lengths(self, vertices_BV3: Tensor) -> Tensor:
        offset_BV3 = torch.einsum("vw,bwk->bvk", self.matrix_VV, vertices_BV3)
        # The tiny term keeps the derivative finite where a vertex lies exactly between its neighbours.
        return (offset_BV3.square().sum(-1) + 1e-12).sqrt()


@lru_cache(maxsize=8)
def _laplacian(hand: HandModel) -> Laplacian:
    count = len(hand.template_V3)
    near = torch.zeros(count, count, dtype=hand.dtype, device=hand.device)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        near[hand.faces_F3[:, a], hand.faces_F3[:, b]] = 1
        near[hand.faces_F3[:, b], hand.faces_F3[:, a]] = 1
    matrix = torch.eye(count, dtype=hand.dtype, device=hand.device) - near / near.sum(1, keepdim=True)
    joints = hand.skeleton_regressor_JV @ hand.template_V3
    palm = float((joints[PALM[1]] - joints[PALM[0]]).norm())
    return Laplacian(matrix, hand.template_V3, palm)


def resized(K_B33: Tensor, size: int, side: int) -> Tensor:
    """Return the intrinsics of crops of ``size`` pixels after they are resized to ``side`` pixels."""
    factor = side / size
    shift = torch.zeros_like(K_B33)
    shift[:, :2, 2] = 0.5 * factor - 0.5
    scaled = K_B33.clone()
    scaled[:, :2] *= factor
    return scaled + shift


def mask_of(vertices_BV3: Tensor, hand: HandModel, K_B33: Tensor, size: int, side: int) -> Tensor:
    """Return soft masks (B, side, side) of meshes seen by crops of ``size`` pixels, differentiable in the vertices."""
    return soft_mask(vertices_BV3, hand.faces_F3, resized(K_B33, size, side), side, side)
