"""From a labelled hand in a full picture to a stored sample, with the crop code of the live app."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from handviz.crop import CropSpec, cut_crop, image_to_crop, warp, window_from_joints
from handviz.errors import SourceError
from handviz.geometry.camera import Camera, FloatArray, camera_from_fov, narrowed_for
from handviz.hand.mirror import Side
from handviz.records import HandCrop, UInt8Array
from training.data.pack import STORED_EXPAND, STORED_SIZE
from training.data.sample import Sample

STORED_SPEC = CropSpec(size=STORED_SIZE, expand=STORED_EXPAND)
# The view of samples with doubtful labels, by which reports and draws distinguish them from the others.
DOUBTFUL = "doubtful"


class TooFewJointsError(SourceError):
    """A hand with fewer than two joints to cut a crop around: its files are fine, so it is left out and counted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledHand:
    """A hand in a full picture.

    Joints (21, 2) in its pixels, NaN where unknown, and their uncertainty; joints (21, 3) m in its camera's frame; the
    hand's mask (H, W) uint8 0 or 255; whether the label is ``doubtful``. ``extent_px`` is the extent of the full hand in pixels
    where the joints do not show it; without it, the extent is that of the joints.
    """

    side: Side
    joints_px: FloatArray
    sigma_px: FloatArray
    joints_m: FloatArray | None = None
    mask: UInt8Array | None = None
    doubtful: bool = False
    extent_px: float | None = None


def assumed_camera(width: int, height: int, metres_per_px_at_1m: float | None = None) -> Camera:
    """Return a camera with the default field of view, narrowed as ``process`` narrows it for a photograph.

    ``metres_per_px_at_1m`` is the hand's size in metres over its size in pixels: times the focal length, it is the distance.
    """
    camera = camera_from_fov(width, height)
    return camera if metres_per_px_at_1m is None else narrowed_for(camera, float(camera.K[0, 0]) * metres_per_px_at_1m)


def cut_sample(
    rgb: UInt8Array,
    camera: Camera,
    hand: LabelledHand,
    *,
    source: str,
    name: str,
    split_key: str,
    spec: CropSpec = STORED_SPEC,
) -> Sample:
    """Cut a stored sample around a labelled hand. Raises TooFewJointsError when fewer than two joints are finite.

    Beyond the picture's edge its last pixels are repeated, so that a picture that shows little more than the hand
    does not teach a network that hands are surrounded by black; ``augment`` draws the black edges of live frames.
    """
    if np.isfinite(hand.joints_px).all(-1).sum() < 2:
        raise TooFewJointsError(f"{source} {name}: fewer than two joints lie in front of the camera.")
    window = window_from_joints(hand.joints_px, spec)
    if hand.extent_px is not None:
        window = replace(window, side=hand.extent_px * spec.expand)
    pad = round(1.5 * window.side)
    wide = np.asarray(cv2.copyMakeBorder(rgb, pad, pad, pad, pad, cv2.BORDER_REPLICATE), np.uint8)
    moved = replace(window, u=window.u + pad, v=window.v + pad)
    crop = cut_crop(wide, _padded(camera, pad), moved, hand.side, spec.size)
    joints_px = image_to_crop(hand.joints_px + pad, crop.H_crop_from_image)
    valid = np.isfinite(joints_px).all(-1)
    return Sample(
        rgb=crop.rgb,
        K=crop.K_crop,
        joints_px=np.where(valid[:, None], joints_px, 0.0),
        joint_valid=valid,
        sigma_px=hand.sigma_px * spec.size / window.side,
        side=hand.side,
        source=source,
        name=name,
        split_key=split_key,
        view=DOUBTFUL if hand.doubtful else "",
        joints_m=_turned(hand.joints_m, crop),
        mask=None if hand.mask is None else _cut_mask(hand.mask, pad, crop),
    )


def _turned(points: FloatArray | None, crop: HandCrop) -> FloatArray | None:
    return None if points is None else np.where(np.isfinite(points), points, 0.0) @ crop.Q_crop_from_camera.T


def _cut_mask(mask: UInt8Array, pad: int, crop: HandCrop) -> UInt8Array:
    wide = np.asarray(cv2.copyMakeBorder(mask, pad, pad, pad, pad, cv2.BORDER_CONSTANT), np.uint8)
    return warp(wide, crop.H_crop_from_image, crop.size)


def _padded(camera: Camera, pad: int) -> Camera:
    K = camera.K + np.array([[0.0, 0.0, pad], [0.0, 0.0, pad], [0.0, 0.0, 0.0]])
    return replace(camera, width=camera.width + 2 * pad, height=camera.height + 2 * pad, K=K)
