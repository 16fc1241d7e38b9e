"""One photograph, several looks: MediaPipe's landmarks averaged over variants of a crop, kept where they agree.

Where a landmark network is right, its answers under a flip, small rotations, scalings and shifts lie close together. Their mean
is the label, their spread is the label's uncertainty. Where only most of the variants agree, the mean of those is a doubtful
label: without such hands a network would see few fists, half of which have doubtful labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from handviz.crop import CropSpec, CropWindow, cut_crop, window_from_joints
from handviz.estimate.base import Estimator
from handviz.geometry.alignment import placed_on_rays
from handviz.geometry.camera import Camera, FloatArray
from handviz.hand.mirror import Side, other_side
from handviz.hand.skeleton import ROOT
from handviz.records import CropResult, HandDetection, UInt8Array
from training.data.photo_crop import LabelledHand, assumed_camera


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way to look at a crop again: rotated, scaled, shifted (shares of its side), or mirrored."""

    turn_deg: float = 0.0
    scale: float = 1.0
    shift_u: float = 0.0
    shift_v: float = 0.0
    flip: bool = False


VARIANTS: tuple[Variant, ...] = (
    Variant(),
    Variant(flip=True),
    Variant(turn_deg=14.0, scale=0.93),
    Variant(turn_deg=-14.0, scale=1.1),
    Variant(shift_u=0.05, shift_v=-0.05, flip=True, scale=1.12),
    Variant(shift_u=-0.05, shift_v=0.05, turn_deg=7.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyLimits:
    """When a hand is kept. Spreads are root mean squares over variants, in 2D as shares of the hand's extent.

    The ``doubtful_*`` limits apply to doubtful labels: how many variants must lie within ``doubtful_reach`` (mean over joints) of
    the median of all, how far these may be apart in space, and the least uncertainty that the label is given.
    """

    min_handedness: float = 0.75
    min_presence: float = 0.6
    max_mean_spread: float = 0.04
    max_joint_spread: float = 0.14
    max_spread_m: float = 0.013
    min_extent_px: float = 24.0
    doubtful_handedness: float = 0.5
    doubtful_variants: int = 3
    doubtful_reach: float = 0.06
    doubtful_spread_m: float = 0.03
    doubtful_sigma: float = 0.02


def label_hand(
    rgb: UInt8Array, camera: Camera, detection: HandDetection, judge: Estimator, limits: ConsistencyLimits
) -> LabelledHand | None:
    """Return the label of a detected hand, sure or doubtful, or None when MediaPipe's answers for it do not agree."""
    joints_px = detection.joints_px
    if joints_px is None or detection.score < limits.doubtful_handedness:
        return None
    first = _look(rgb, camera, window_from_joints(joints_px, judge.crop_spec), detection.side, judge)
    window = window_from_joints(first.joints.joints_px, judge.crop_spec)
    looks = [_look_again(rgb, camera, window, detection.side, judge, variant) for variant in VARIANTS]
    sure = None
    if detection.score >= limits.min_handedness and min(look.score for look in looks) >= limits.min_presence:
        sure = _agreed(looks, camera, detection.side, limits)
    return sure or _mostly_agreed(looks, camera, detection.side, limits)


def _look_again(
    rgb: UInt8Array, camera: Camera, window: CropWindow, side: Side, judge: Estimator, variant: Variant
) -> CropResult:
    moved = replace(
        window,
        u=window.u + variant.shift_u * window.side,
        v=window.v + variant.shift_v * window.side,
        side=window.side * variant.scale,
        roll=window.roll + np.radians(variant.turn_deg),
    )
    return _look(rgb, camera, moved, other_side(side) if variant.flip else side, judge)


def _look(rgb: UInt8Array, camera: Camera, window: CropWindow, side: Side, judge: Estimator) -> CropResult:
    spec: CropSpec = judge.crop_spec
    return judge.estimate([cut_crop(rgb, camera, window, side, spec.size)], [None])[0]


def _agreed(looks: Sequence[CropResult], camera: Camera, side: Side, limits: ConsistencyLimits) -> LabelledHand | None:
    joints_LJ2 = np.stack([look.joints.joints_px for look in looks])
    metric_LJ3 = np.stack([look.joints.joints_camera_m for look in looks])
    relative_LJ3 = metric_LJ3 - metric_LJ3[:, ROOT : ROOT + 1]
    sigma_px = _spread(joints_LJ2)
    joints_px, relative_m = joints_LJ2.mean(0), relative_LJ3.mean(0)
    extent = float((joints_px.max(0) - joints_px.min(0)).max())
    agree = (
        extent >= limits.min_extent_px
        and sigma_px.mean() <= limits.max_mean_spread * extent
        and sigma_px.max() <= limits.max_joint_spread * extent
        and _spread(relative_LJ3).mean() <= limits.max_spread_m
    )
    if not agree:
        return None
    return _label(camera, side, joints_px, relative_m, sigma_px)


def _mostly_agreed(looks: Sequence[CropResult], camera: Camera, side: Side, limits: ConsistencyLimits) -> LabelledHand | None:
    joints_LJ2 = np.stack([look.joints.joints_px for look in looks])
    median_J2 = np.median(joints_LJ2, 0)
    extent = float(np.ptp(median_J2, axis=0).max())
    near_L = np.linalg.norm(joints_LJ2 - median_J2, axis=-1).mean(1) <= limits.doubtful_reach * extent
    present = float(np.median([look.score for look in looks])) >= limits.min_presence
    if extent < limits.min_extent_px or not present or near_L.sum() < limits.doubtful_variants:
        return None
    metric_LJ3 = np.stack([look.joints.joints_camera_m for look in looks])[near_L]
    relative_LJ3 = metric_LJ3 - metric_LJ3[:, ROOT : ROOT + 1]
    if _spread(relative_LJ3).mean() > limits.doubtful_spread_m:
        return None
    sigma_px = np.maximum(_spread(joints_LJ2[near_L]), limits.doubtful_sigma * extent)
    return replace(_label(camera, side, joints_LJ2[near_L].mean(0), relative_LJ3.mean(0), sigma_px), doubtful=True)


def _label(camera: Camera, side: Side, joints_px: FloatArray, relative_m: FloatArray, sigma_px: FloatArray) -> LabelledHand:
    """Return the label: depth from the metric landmarks, direction from those in the picture, which are more exact."""
    joints_m = placed_on_rays(relative_m, joints_px, camera.K)
    return LabelledHand(side=side, joints_px=joints_px, sigma_px=sigma_px, joints_m=joints_m)


def _spread(points_LJD: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(points_LJD.var(0).sum(-1)))


def camera_for_hand(width: int, height: int, hand: LabelledHand) -> Camera:
    """Return the camera assumed for a picture, given a hand labelled with any camera of its size."""
    if hand.joints_m is None:
        return assumed_camera(width, height)
    size_m = np.sqrt(hand.joints_m[:, :2].var(0).sum())
    size_px = np.sqrt(hand.joints_px.var(0).sum())
    return assumed_camera(width, height, float(size_m / size_px))


def placed_in(camera: Camera, hand: LabelledHand) -> LabelledHand:
    """Return the label with its metric joints placed in front of another camera of the same picture."""
    if hand.joints_m is None:
        return hand
    relative = hand.joints_m - hand.joints_m[ROOT]
    return replace(hand, joints_m=placed_on_rays(relative, hand.joints_px, camera.K))
