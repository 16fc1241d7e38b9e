"""A dense network's outputs from several looks at one hand, brought into the first look's crop and averaged.

The averaged 2D joints, depths and mask are nearer to the truth than those of one look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from handviz.crop import image_to_crop
from handviz.estimate.looks import mean_chance
from handviz.fit.refinement import Target
from handviz.fit.seen import Seen
from handviz.fit.silhouette import Silhouette
from handviz.geometry.camera import FloatArray, scale_intrinsics
from handviz.records import HandCrop


def together(crops: Sequence[HandCrop], seen: Sequence[Seen]) -> Seen:
    """Return what was seen in the first crop, with the target and the belief in the side averaged over all looks at it.

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
    return replace(seen[0], target=target, side_chance=mean_chance([one.side_chance for one in seen]))


def _mean(arrays: Sequence[FloatArray | None]) -> FloatArray | None:
    known = [array for array in arrays if array is not None]
    return np.asarray(np.mean(known, 0)) if known else None


def _silhouette(target: Target, chances: Sequence[FloatArray | None], back: Sequence[FloatArray], size: int) -> Silhouette | None:
    """Return the silhouette of the masks' mean probabilities, averaged at each pixel over the looks that cover it."""
    total, weight = np.zeros((size, size)), np.zeros((size, size))
    for chance, H in zip(chances, back, strict=True):
        if chance is not None:
            total += _placed(chance, H, size)
            weight += _placed(np.ones_like(chance), H, size)
    return Silhouette.of(total / np.maximum(weight, 1e-6), size, target.K) if weight.any() else None


def _placed(map_SS: FloatArray, H: FloatArray, size: int) -> FloatArray:
    """Return a look's map in the first crop, zero where the look does not cover it."""
    grow = scale_intrinsics(np.eye(3), size / len(map_SS), size / len(map_SS))
    return np.asarray(cv2.warpPerspective(map_SS.astype(np.float32), H @ grow, (size, size), flags=cv2.INTER_LINEAR), float)
