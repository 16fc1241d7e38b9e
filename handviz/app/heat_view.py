"""Heatmaps as an overlay of the full picture, aligned with it and un-mirrored. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handviz.app.maps_view import over_picture
from handviz.crop import crop_to_image
from handviz.geometry.camera import FloatArray
from handviz.hand.palette import RGB
from handviz.records import HandCrop, HandEstimate, UInt8Array

HEAT_ALPHA = 0.8
# Below one, so that the spread of a heatmap shows, not just its peak.
HEAT_GAMMA = 0.6


def heat_picture(hand: HandEstimate, size: tuple[int, int], joints: Sequence[int], colours: Sequence[RGB]) -> UInt8Array:
    """Heatmaps of some joints of a hand, each joint in its colour, over the full picture of (width, height): RGBA (H, W, 4)."""
    assert hand.heatmaps is not None and hand.crop is not None
    heat = np.nan_to_num(np.asarray(hand.heatmaps, np.float32))[list(joints)]
    heat = heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-6)
    alpha = np.clip(heat.max(0), 0, 1) ** HEAT_GAMMA
    mixed = np.einsum("jhw,jc->hwc", heat, np.array(colours, np.float32)[list(joints)])
    mixed = mixed / np.maximum(heat.sum(0), 1e-6)[..., None]
    small = np.concatenate([mixed, alpha[..., None] * 255 * HEAT_ALPHA], -1).astype(np.uint8)
    return np.asarray(over_picture(small, hand.crop, size), np.uint8)


def crop_corners(crop: HandCrop) -> FloatArray:
    """Return the crop's corners (4, 2) in pixels of the full picture, in order around it."""
    low, high = -0.5, crop.size - 0.5
    return crop_to_image(np.array([[low, low], [high, low], [high, high], [low, high]]), crop.H_crop_from_image)
