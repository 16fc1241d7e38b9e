"""A network's mask and features of a crop, as overlays of the full picture. No Qt."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import FloatArray, scale_intrinsics
from handviz.hand.palette import RGB
from handviz.records import HandCrop, HandEstimate, UInt8Array

SEEN_COLOUR: RGB = (200, 120, 255)
SEEN_ALPHA, FEATURES_ALPHA = 0.55, 0.85
RGBA = 4


def seen_mask_picture(hand: HandEstimate, size: tuple[int, int]) -> UInt8Array:
    """The network's mask, more opaque where it is surer, over the full picture of (width, height): RGBA (height, width, 4)."""
    assert hand.mask is not None and hand.crop is not None
    chance = over_picture(hand.mask.astype(np.float32), hand.crop, size)
    picture = np.empty((*chance.shape, RGBA), np.uint8)
    picture[..., :3] = SEEN_COLOUR
    picture[..., 3] = np.clip(chance, 0, 1) * (255 * SEEN_ALPHA)
    return picture


def features_picture(hand: HandEstimate, size: tuple[int, int]) -> UInt8Array:
    """The network's features in false colours over the full picture of (width, height): RGBA (height, width, 4)."""
    assert hand.features is not None and hand.crop is not None
    alpha = np.full((*hand.features.shape[:2], 1), round(255 * FEATURES_ALPHA), np.uint8)
    return np.asarray(over_picture(np.concatenate([hand.features, alpha], -1), hand.crop, size), np.uint8)


def over_picture(map_HWC: npt.NDArray[Any], crop: HandCrop, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Warp a map of a crop to the full picture of (width, height); zero outside the crop."""
    return cv2.warpPerspective(map_HWC, H_image_from_map(crop, map_HWC.shape[0]), size, flags=cv2.INTER_LINEAR)


def H_image_from_map(crop: HandCrop, side: int) -> FloatArray:
    """Return the homography from a map of a crop with ``side`` cells to the full picture's pixels."""
    cells = side / crop.size
    return np.asarray(np.linalg.inv(scale_intrinsics(crop.H_crop_from_image, cells, cells)))
