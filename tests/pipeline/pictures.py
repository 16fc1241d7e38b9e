"""Frames of the fakes' bright patches, and answers about them."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from handviz.crop import crop_to_image, joints_from_crop
from handviz.geometry.camera import camera_from_fov, project
from handviz.records import CropResult, Frame, HandCrop

# The answer of an estimator that takes whatever it sees for an upright hand half as large as a crop of 64 pixels.
UPRIGHT_PX = np.stack([np.full(21, 31.5), np.linspace(47, 15, 21)], -1)


def frame(fakes: ModuleType, index: int, *columns: int | None) -> Frame:
    rgb = np.max([fakes.disc_picture(u) for u in columns], axis=0)
    camera = camera_from_fov(rgb.shape[1], rgb.shape[0])
    return Frame(index=index, t_capture_s=index / 30, t_arrival_s=0.0, rgb=rgb, camera=camera)


def seen(crop: HandCrop, hand_m: np.ndarray, *, score: float = 0.95, confidence: float = 0.95) -> CropResult:
    joints = joints_from_crop(crop, hand_m, project(hand_m, crop.K_crop), np.full(21, confidence))
    return CropResult(score=score, joints=joints)


def middle_of(crop: HandCrop) -> np.ndarray:
    """Return the place (u, v) in the picture of a crop's middle."""
    return crop_to_image(np.full(2, (crop.size - 1) / 2), crop.H_crop_from_image)
