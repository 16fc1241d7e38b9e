"""More looks at one crop: the same picture zoomed and rolled. A network makes slightly different errors on each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from handviz.records import CropResult, HandCrop


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A camera at the crop camera's position, rolled and zoomed relative to it: a zoom above one sees less, larger."""

    roll_deg: float = 0.0
    zoom: float = 1.0


def look_again(crop: HandCrop, look: Look) -> HandCrop:
    """Return what a look sees of a crop's picture, whose border pixels are repeated where the look reaches beyond it."""
    turn = math.radians(look.roll_deg)
    R = np.array([[math.cos(turn), -math.sin(turn), 0.0], [math.sin(turn), math.cos(turn), 0.0], [0.0, 0.0, 1.0]])
    K = crop.K_crop * np.array([[look.zoom, 1.0, 1.0], [1.0, look.zoom, 1.0], [1.0, 1.0, 1.0]])
    H = K @ R @ np.linalg.inv(crop.K_crop)
    size = (crop.size, crop.size)
    rgb = cv2.warpPerspective(crop.rgb, H, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return replace(
        crop,
        rgb=np.asarray(rgb, np.uint8),
        K_crop=K,
        Q_crop_from_camera=R @ crop.Q_crop_from_camera,
        H_crop_from_image=H @ crop.H_crop_from_image,
    )


def averaged(results: list[CropResult]) -> CropResult:
    """Average joints and beliefs of several looks at one hand; the rest comes from the first."""
    if len(results) == 1:
        return results[0]
    joints = replace(
        results[0].joints,
        joints_camera_m=np.mean([r.joints.joints_camera_m for r in results], axis=0),
        joints_px=np.mean([r.joints.joints_px for r in results], axis=0),
        confidence=np.mean([r.joints.confidence for r in results], axis=0),
    )
    return replace(
        results[0],
        joints=joints,
        score=float(np.mean([r.score for r in results])),
        side_chance=mean_chance([r.side_chance for r in results]),
    )


def mean_chance(chances: Sequence[float | None]) -> float | None:
    """Return the mean of the known chances; None if there are none."""
    known = [chance for chance in chances if chance is not None]
    return float(np.mean(known)) if known else None
