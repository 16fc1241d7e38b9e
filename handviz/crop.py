"""Crops: a square window on a hand, treated as a separate camera. The app and the training share this code.

A crop's camera has the full camera's centre and is rotated so that its axis passes through the centre
of the hand; it is rolled so that the wrist-to-middle-MCP direction points up, and mirrored for a left hand. Its
principal point is the crop's centre. Because both cameras share a centre the picture warp is exact for
every depth: a homography, and getting back to the full picture needs no formula besides the camera itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from handviz.geometry.camera import Camera, FloatArray, scale_intrinsics
from handviz.geometry.kinematics import axis_angle, turn_by
from handviz.hand.mirror import MIRROR, Side, mirror_rotation, needs_mirror
from handviz.hand.skeleton import MIDDLE_MCP, WRIST
from handviz.records import HandCrop, HandJoints, HandParams, IntArray, UInt8Array

MIN_WINDOW_PX = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSpec:
    """How an estimator wants its crops: side in pixels, and window side over the joints' largest extent.

    A still picture is analysed once for each of ``still_rolls_deg``, rotated by that angle, and the answers are averaged.
    If the estimator does not tell sides itself, the picture is also analysed as a hand of the other side, which it is taken for
    if the joints' mean confidence is higher by ``still_side_margin`` (None: the detector's side is kept).
    """

    size: int = 128
    expand: float = 1.5
    upright: bool = True
    still_rolls_deg: tuple[float, ...] = (0.0,)
    still_side_margin: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CropWindow:
    """A square in the full picture: centre (u, v) and side in pixels, and its roll in radians.

    ``roll`` is the angle from the picture's up to the window's up, clockwise as seen on screen.
    """

    u: float
    v: float
    side: float
    roll: float = 0.0


def window_from_joints(joints_px: FloatArray, spec: CropSpec) -> CropWindow:
    """Return the window around joints (21, 2) in pixels; NaN joints are left out.

    Raises ValueError when fewer than two joints are finite.
    """
    finite = np.isfinite(joints_px).all(-1)
    if finite.sum() < 2:
        raise ValueError("a crop needs at least two finite joints")
    roll = _roll_of(joints_px) if spec.upright else 0.0
    back = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    upright = joints_px[finite] @ back.T
    low, high = upright.min(0), upright.max(0)
    u, v = back.T @ ((low + high) / 2)
    side = max(float((high - low).max()) * spec.expand, MIN_WINDOW_PX)
    return CropWindow(u=float(u), v=float(v), side=side, roll=roll)


def _roll_of(joints_px: FloatArray) -> float:
    up = joints_px[MIDDLE_MCP] - joints_px[WRIST]
    if not np.isfinite(up).all() or float(np.hypot(*up)) < 1e-6:
        return 0.0
    return float(np.arctan2(up[0], -up[1]))


def crop_camera(camera: Camera, window: CropWindow, side: Side, size: int) -> tuple[FloatArray, FloatArray]:
    """Return (K_crop, Q_crop_from_camera) of the crop's camera for a window of the full picture.

    The focal length is chosen so that, at the window's centre, ``window.side`` pixels become ``size``.
    """
    ray = np.linalg.inv(camera.K) @ np.array([window.u, window.v, 1.0])
    forward = ray / np.linalg.norm(ray)
    # The picture direction that is to point up in the crop, as a direction in space at the window's centre.
    up_px = np.array([np.sin(window.roll), -np.cos(window.roll)])
    ahead = np.linalg.inv(camera.K) @ np.array([window.u + up_px[0], window.v + up_px[1], 1.0])
    step = ahead / np.linalg.norm(ahead) - forward
    up = step - forward * (step @ forward)
    down = -up / np.linalg.norm(up)
    R = np.stack([np.cross(down, forward), down, forward])
    # Pixels per radian around the window's centre, along its own up direction.
    px_per_radian = 1.0 / float(np.linalg.norm(up))
    focal = size * px_per_radian / window.side
    centre = (size - 1) / 2
    K_crop = np.array([[focal, 0.0, centre], [0.0, focal, centre], [0.0, 0.0, 1.0]])
    return K_crop, (MIRROR @ R if needs_mirror(side) else R)


def cut_crop(rgb: UInt8Array, camera: Camera, window: CropWindow, side: Side, size: int) -> HandCrop:
    """Cut the window out of the full picture; outside the picture it is black."""
    K_crop, Q = crop_camera(camera, window, side, size)
    H = K_crop @ Q @ np.linalg.inv(camera.K)
    H = H / H[2, 2]
    picture = warp(rgb, H, size, shrink=window.side / size)
    return HandCrop(side=side, rgb=picture, K_crop=K_crop, Q_crop_from_camera=Q, H_crop_from_image=H, camera=camera)


def warp(rgb: UInt8Array, H_crop_from_image: FloatArray, size: int, *, shrink: float = 1.0) -> UInt8Array:
    """Warp a picture by a homography to size x size; averages over pixels when it shrinks a lot."""
    # Bilinear sampling aliases when the window is much larger than the crop: warp finer, then average.
    over = 2 if shrink > 1.7 else 1
    halvings = int(math.log2(max(shrink / over, 1.0)))
    if halvings:
        # Still too coarse: average over blocks of pixels first.
        rgb, H_crop_from_image = _halved_window(rgb, H_crop_from_image, size, halvings)
    big = cv2.warpPerspective(
        rgb, scale_intrinsics(H_crop_from_image, over, over), (size * over, size * over), flags=cv2.INTER_LINEAR
    )
    if over == 1:
        return np.asarray(big, np.uint8)
    return np.asarray(cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _halved_window(rgb: UInt8Array, H_crop_from_image: FloatArray, size: int, times: int) -> tuple[UInt8Array, FloatArray]:
    """Return the part of a picture that a crop shows, halved ``times`` times, and the crop's homography from it."""
    by = 2**times
    whole = np.array([rgb.shape[1], rgb.shape[0]])
    low, high = _window_box(whole, H_crop_from_image, size, margin=3 * by)
    # Whole blocks: the excess is cut from the margin, if there is one.
    spare = (high - low) % by
    low, high = np.where(low > 0, low + spare, low), np.where((low == 0) & (high < whole), high - spare, high)
    part = rgb[low[1] : high[1], low[0] : high[0]]
    if part.size == 0:
        return rgb, H_crop_from_image
    over_x, over_y = -part.shape[1] % by, -part.shape[0] % by
    if over_x or over_y:
        part = np.asarray(cv2.copyMakeBorder(part, 0, over_y, 0, over_x, cv2.BORDER_CONSTANT), np.uint8)
    for _ in range(times):  # six times as fast as in one step
        half = (part.shape[1] // 2, part.shape[0] // 2)
        part = np.asarray(cv2.resize(part, half, interpolation=cv2.INTER_AREA), np.uint8)
    # A small pixel's position is the centre of its block.
    middle = 0.5 * by - 0.5
    image_from_small = np.array([[by, 0, low[0] + middle], [0, by, low[1] + middle], [0, 0, 1.0]])
    return part, H_crop_from_image @ image_from_small


def _window_box(whole: IntArray, H_crop_from_image: FloatArray, size: int, margin: int) -> tuple[IntArray, IntArray]:
    """Return the corners (x, y) of what a crop shows of a picture of size ``whole``: all of it if the crop is unbounded there."""
    edges = np.array([[x, y, 1.0] for x in (-0.5, size - 0.5) for y in (-0.5, size - 0.5)])
    corners = edges @ np.linalg.inv(H_crop_from_image).T
    if not (corners[:, 2] * corners[0, 2] > 1e-9).all():
        return np.zeros(2, int), whole
    corners = corners[:, :2] / corners[:, 2:]
    low, high = (np.clip(end, -1e6, 1e6).astype(int) for end in (corners.min(0) - margin, corners.max(0) + margin + 1))
    return low.clip(0, whole), high.clip(0, whole)


def image_to_crop(pixels: FloatArray, H_crop_from_image: FloatArray) -> FloatArray:
    """Take full-picture pixels (..., 2) to crop pixels."""
    uvw = np.concatenate([pixels, np.ones((*pixels.shape[:-1], 1))], -1) @ H_crop_from_image.T
    return np.asarray(uvw[..., :2] / uvw[..., 2:])


def crop_to_image(pixels: FloatArray, H_crop_from_image: FloatArray) -> FloatArray:
    """Take crop pixels (..., 2) to full-picture pixels."""
    return image_to_crop(pixels, np.linalg.inv(H_crop_from_image))


def joints_from_crop(crop: HandCrop, joints_crop_m: FloatArray, joints_crop_px: FloatArray, confidence: FloatArray) -> HandJoints:
    """Bring joints of the crop's camera (21, 3 metres; 21, 2 crop pixels) to the full camera, un-mirrored."""
    return HandJoints(
        joints_camera_m=joints_crop_m @ crop.Q_crop_from_camera,
        joints_px=crop_to_image(joints_crop_px, crop.H_crop_from_image),
        confidence=confidence,
    )


def params_from_crop(crop: HandCrop, params: HandParams, wrist_m: FloatArray) -> HandParams:
    """Bring right-hand parameters from the crop's camera to the full camera.

    ``wrist_m`` (3,) is the wrist joint of the flat, shaped, unplaced hand: the point the root rotation turns about.
    For a left hand the result describes the mirrored hand, as ``handviz.hand.mirror`` defines it.
    """
    return _turned(params, _turn_to_camera(crop), wrist_m)


def params_to_crop(crop: HandCrop, params: HandParams, wrist_m: FloatArray) -> HandParams:
    """Bring parameters of the full camera's frame into the crop's camera: the inverse of ``params_from_crop``."""
    return _turned(params, _turn_to_camera(crop).T, wrist_m)


def resized(params: HandParams, factor: float) -> HandParams:
    """Return the hand larger and further away by the same factor, so that its picture stays the same."""
    return replace(params, scale=params.scale * factor, translation_m=params.translation_m * factor)


def _turn_to_camera(crop: HandCrop) -> FloatArray:
    Q = crop.Q_crop_from_camera
    return mirror_rotation((MIRROR @ Q).T) if crop.mirrored else np.asarray(Q.T)


def _turned(params: HandParams, R: FloatArray, wrist_m: FloatArray) -> HandParams:
    # x = s (R_root (v - w) + w) + t: the rotation turns about the wrist w, so turning x moves t by the wrist's swing too.
    swing = params.scale * wrist_m
    return HandParams(
        pose=params.pose,
        shape=params.shape,
        root_rotation=axis_angle(R @ turn_by(params.root_rotation)),
        translation_m=R @ (swing + params.translation_m) - swing,
        scale=params.scale,
        hand_model=params.hand_model,
    )


def batch_of(crops: Sequence[HandCrop]) -> UInt8Array:
    """Stack crops of one size to (B, S, S, 3) uint8."""
    return np.stack([crop.rgb for crop in crops])
