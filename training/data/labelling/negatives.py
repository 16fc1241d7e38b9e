"""Crops without a hand from the same photographs (faces, clothes, furniture), from which a network learns hand presence."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handviz.crop import CropWindow, cut_crop
from handviz.detect.mediapipe_detector import box_of
from handviz.geometry.camera import FloatArray, camera_from_fov
from handviz.hand.skeleton import NUM_JOINTS
from handviz.records import HandDetection, UInt8Array
from training.data.labelling.judge import Judge
from training.data.pack import STORED_SIZE
from training.data.sample import Sample
from training.data.splits import split_key

# The landmark network must be this sure that there is no hand.
MAX_PRESENCE = 0.03
_TRIES = 3


def negative_samples(
    rgb: UInt8Array, detections: Sequence[HandDetection], path: Path, source: str, judge: Judge
) -> tuple[Sample, ...]:
    """Return at most one crop of a picture that shows no hand; none where no hand was found (it may have been missed)."""
    height, width = rgb.shape[:2]
    if not detections or min(height, width) < 200:
        return ()
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    camera = camera_from_fov(width, height)
    for _ in range(_TRIES):
        side = float(rng.uniform(0.2, 0.55) * min(height, width))
        window = CropWindow(u=rng.uniform(side / 2, width - side / 2), v=rng.uniform(side / 2, height - side / 2), side=side)
        if any(_overlaps(window, box_of(hand.joints_px)) for hand in detections):
            continue
        seen = judge.estimator.estimate([cut_crop(rgb, camera, window, "right", judge.estimator.crop_spec.size)], [None])[0]
        if seen.score < MAX_PRESENCE:
            crop = cut_crop(rgb, camera, window, "right", STORED_SIZE)
            return (_negative(crop.rgb, crop.K_crop, source, path),)
    return ()


def _overlaps(window: CropWindow, box_xyxy: FloatArray) -> bool:
    half = window.side / 2
    x0, y0, x1, y1 = box_xyxy
    margin = 0.2 * max(x1 - x0, y1 - y0)
    return bool(
        window.u + half > x0 - margin
        and window.u - half < x1 + margin
        and window.v + half > y0 - margin
        and window.v - half < y1 + margin
    )


def _negative(rgb: UInt8Array, K: FloatArray, source: str, path: Path) -> Sample:
    return Sample(
        rgb=rgb,
        K=K,
        joints_px=np.zeros((NUM_JOINTS, 2)),
        joint_valid=np.zeros(NUM_JOINTS, bool),
        sigma_px=np.zeros(NUM_JOINTS),
        side="right",
        source=source,
        name=f"{path.name}#none",
        split_key=split_key(source, path.stem),
        is_hand=False,
    )
