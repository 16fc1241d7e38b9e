"""More looks at one crop: the same picture zoomed and rolled, and what is seen of all of them brought into the first.

A network errs a little differently on each. Averaged, its 2D joints, depths and mask are nearer to the truth than those of
one look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from handviz.crop import image_to_crop
from handviz.fit.refinement import Target
from handviz.fit.seen import Seen
from handviz.fit.silhouette import Silhouette
from handviz.geometry.camera import FloatArray, scale_intrinsics
from handviz.records import HandCrop


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A camera at the crop's own place, rolled and zoomed against it: a zoom above one sees less, larger."""

    roll_deg: float = 0.0
    zoom: float = 1.0


def look_again(crop: HandCrop, look: Look) -> HandCrop:
    """Return what a look sees of a crop's picture, whose border is repeated where the look goes beyond it."""
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


def together(crops: Sequence[HandCrop], seen: Sequence[Seen]) -> Seen:
    """Return what was seen of the first crop, its target the mean of what was seen of it and of other looks at it.

    Looks are rolled about the axis that they share, so that relative depths mean the same in each.
    """
    first = crops[0]
    back = [first.H_crop_from_image @ np.linalg.inv(crop.H_crop_from_image) for crop in crops]
    targets = [one.target for one in seen]
    pixels = [image_to_crop(target.joints_px_J2, H) for target, H in zip(targets, back, strict=True)]
    target = replace(
        targets[0],
        joints_px_J2=np.mean(pixels, 0),
        sigma_px_J=np.mean([target.sigma_px_J for target in targets], 0),
        depth_J=_mean([target.depth_J for target in targets]),
        sigma_depth_J=_mean([target.sigma_depth_J for target in targets]),
        silhouette=_silhouette(targets[0], [one.mask_SS for one in seen], back, first.size),
    )
    return replace(seen[0], target=target)


def _mean(arrays: Sequence[FloatArray | None]) -> FloatArray | None:
    known = [array for array in arrays if array is not None]
    return np.asarray(np.mean(known, 0)) if known else None


def _silhouette(target: Target, chances: Sequence[FloatArray | None], back: Sequence[FloatArray], size: int) -> Silhouette | None:
    """Return the silhouette of the mean of masks' probabilities, each where its look reached."""
    total, weight = np.zeros((size, size)), np.zeros((size, size))
    for chance, H in zip(chances, back, strict=True):
        if chance is not None:
            total += _placed(chance, H, size)
            weight += _placed(np.ones_like(chance), H, size)
    return Silhouette.of(total / np.maximum(weight, 1e-6), size, target.K) if weight.any() else None


def _placed(map_SS: FloatArray, H: FloatArray, size: int) -> FloatArray:
    """Return a look's map in the first crop, zero where the look did not reach."""
    grow = scale_intrinsics(np.eye(3), size / len(map_SS), size / len(map_SS))
    return np.asarray(cv2.warpPerspective(map_SS.astype(np.float32), H @ grow, (size, size), flags=cv2.INTER_LINEAR), float)
