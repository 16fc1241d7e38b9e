"""Matching the outline of a fitted hand with the outline of a mask, for one round of the solver.

Each match is a line that a vertex should move to: normal . pixel = offset. Matches go both ways, so that a finger of the mask
that the hand does not cover pulls as well as a part of the hand that sticks out. Distances to the hand's own outline are
subtracted, so that two equal masks leave every residual at zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from handviz.fit.rig import Rig
from handviz.geometry.camera import FloatArray
from handviz.records import BoolArray, HandParams, IntArray
from handviz.render.cover import cover
from handviz.render.grid import NEAR_M
from handviz.render.shade_loops import place_corners

OUTLINE_PX = 1.5
HIDDEN_M = 0.012
RIDGE = 0.75
# A match is left out when the two outlines differ by more than 60 degrees in direction, or lie further apart than most.
SAME_WAY, FAR_PX, FAR_MEDIANS = 0.5, 2.0, 3.0
TARGETS = 160


@dataclass(frozen=True, slots=True, eq=False)
class Distance:
    """Signed distance (H, W) in pixels to a mask's outline, positive outside, and its gradient (H, W, 2) over u and v."""

    value: FloatArray
    gradient: FloatArray

    def at(self, pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return distances (N,) and unit gradients (N, 2) at pixels (N, 2) inside the picture, bilinear.

        A gradient is zero on a ridge, where two parts of the outline are equally near and none can be chosen.
        """
        fields = np.concatenate([self.value[..., None], self.gradient], -1).astype(np.float32)
        u, v = pixels[:, 0].astype(np.float32), pixels[:, 1].astype(np.float32)
        found = cv2.remap(fields, u[:, None], v[:, None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
        length = np.linalg.norm(found[:, 1:], axis=1, keepdims=True)
        unit = np.where(length > RIDGE, found[:, 1:] / np.maximum(length, 1e-6), 0.0)
        return found[:, 0].astype(float), unit.astype(float)


def distance_to(mask_HW: BoolArray) -> Distance:
    """Return the signed distance to the outline of a mask that is neither empty nor full."""
    inside = mask_HW.astype(np.uint8)
    outer = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inner = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    value = np.where(mask_HW, 0.5 - inner, outer - 0.5).astype(float)
    down, right = np.gradient(value)
    return Distance(value, np.stack([right, down], -1))


def outline_pixels(mask_HW: BoolArray, most: int) -> FloatArray:
    """Return up to ``most`` pixels (N, 2) of a mask that touch its outside, evenly picked; the picture's edge does not count."""
    inside = mask_HW.astype(np.uint8)
    rim = mask_HW & (cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=1) == 0)
    v, u = rim.nonzero()
    step = max(1, int(np.ceil(len(u) / most)))
    return np.stack([u, v], -1).astype(float)[::step]


def drawn_mask(vertices_V3: FloatArray, faces_F3: IntArray, K: FloatArray, height: int, width: int) -> BoolArray:
    """Return the mask (H, W) of one mesh."""
    return np.isfinite(_draw(vertices_V3, faces_F3, K, height, width)[0])


def _draw(
    vertices_V3: FloatArray, faces_F3: IntArray, K: FloatArray, height: int, width: int
) -> tuple[npt.NDArray[np.float32], BoolArray]:
    """Return depths (H, W), infinite outside, and which vertices (V,) lie between triangles seen from outside and from inside."""
    corner, z, _, swapped, drawn = place_corners(vertices_V3, faces_F3, K, False, NEAR_M)
    depth = np.full((height, width), np.inf, np.float32)
    cover(corner, z, drawn, False, depth, np.empty((height, width), np.int32))
    front, back = np.zeros(len(vertices_V3), bool), np.zeros(len(vertices_V3), bool)
    front[faces_F3[swapped]] = True
    back[faces_F3[~swapped]] = True
    return depth, front & back


def mask_iou(a: BoolArray, b: BoolArray) -> float:
    """Return intersection over union of two masks; 1 for two empty ones."""
    union = float((a | b).sum())
    return float((a & b).sum()) / union if union else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class EdgeTarget:
    """A mask prepared for many rounds: its signed distance, and outline pixels (N, 2) to be matched with the hand."""

    distance: Distance
    outline: FloatArray
    at_outline: FloatArray
    normal_at_outline: FloatArray

    @staticmethod
    def of(mask_HW: BoolArray) -> EdgeTarget | None:
        """Return the target, or None for a mask without an outline."""
        outline = outline_pixels(mask_HW, TARGETS)
        if len(outline) == 0:
            return None
        distance = distance_to(mask_HW)
        return EdgeTarget(distance, outline, *distance.at(outline))


@dataclass(frozen=True, slots=True, eq=False)
class EdgeLines:
    """Vertices (N,) on the outline and lines to move them to: index into ``vertices`` (L,), normal (L, 2), offset (L,)."""

    vertices: IntArray
    point: IntArray
    normal: FloatArray
    offset: FloatArray


NO_LINES = EdgeLines(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros(0))


def match_edges(rig: Rig, params: HandParams, K: FloatArray, target: EdgeTarget) -> EdgeLines:
    """Return the lines for a hand as it is now; none where its outline is not in the picture."""
    height, width = target.distance.value.shape
    vertices, _ = rig.mesh(params)
    depth, turning = _draw(vertices, rig.faces_F3, K, height, width)
    drawn = np.isfinite(depth)
    if not drawn.any() or drawn.all():
        return NO_LINES
    pixels = vertices @ K.T
    pixels = pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-6)
    inside = ((pixels >= 0) & (pixels <= [width - 1, height - 1])).all(1) & (vertices[:, 2] > NEAR_M)
    candidates = (inside & (turning | rig.rim)).nonzero()[0]
    own = distance_to(drawn)
    own_value, own_normal = own.at(pixels[candidates])
    # Of several surfaces at one pixel only the nearest one can be the outline that is seen.
    u, v = np.round(pixels[candidates]).astype(int).T
    nearest_depth = cv2.erode(depth, np.ones((3, 3), np.uint8))[v, u]
    near = (np.abs(own_value) < OUTLINE_PX) & (vertices[candidates, 2] < nearest_depth + HIDDEN_M)
    chosen, own_value, own_normal = candidates[near], own_value[near], own_normal[near]
    if len(chosen) == 0:
        return NO_LINES
    placed = pixels[chosen]
    value, normal = target.distance.at(placed)
    # Backwards: an outline pixel of the mask draws the nearest point of the hand's outline towards itself.
    back_value, back_normal = own.at(target.outline)
    nearest_outline = target.outline - back_value[:, None] * back_normal
    nearest = np.square(nearest_outline[:, None] - placed[None]).sum(-1).argmin(1)
    point = np.concatenate([np.arange(len(chosen)), nearest])
    apart = np.concatenate([own_value - value, back_value - target.at_outline])
    line_normal = np.concatenate([normal, back_normal])
    agrees = np.concatenate([(normal * own_normal).sum(1), (back_normal * target.normal_at_outline).sum(1)]) > SAME_WAY
    agrees &= np.abs(apart) < FAR_PX + FAR_MEDIANS * np.median(np.abs(apart))
    offset = (line_normal * placed[point]).sum(1) + apart
    return EdgeLines(chosen, point[agrees], line_normal[agrees], offset[agrees])
