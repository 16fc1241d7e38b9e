"""Pinhole cameras, and every convention of space that the project uses.

Conventions (defined only here):

- Lengths in metres, times in seconds, angles in radians, unless a name says otherwise (``_mm``, ``_deg``).
- Pictures are RGB ``uint8`` arrays of shape (height, width, 3).
- Camera frames follow OpenCV: +x right, +y down, +z forward, away from the viewer.
- Pixel centres lie on integers: the top left pixel covers [-0.5, 0.5) in u and v, and a picture of width
  ``w`` spans [-0.5, w - 0.5]. Resizing by a factor s maps u to ``s * (u + 0.5) - 0.5``.
- Depth is z, not distance along the ray.
- Boxes are ``xyxy`` in pixels.
- The right hand is canonical: networks and hand models see right hands only, and ``handviz.hand.mirror``
  is the one place that turns a left hand into a right one and back.
- Frames are written in names: ``joints_camera_m`` are metres in the camera frame, ``joints_px`` pixels of
  the full picture, ``joints_crop_px`` pixels of a crop, ``Q_crop_from_camera`` takes camera to crop (it may mirror).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
CameraSource = Literal["calibrated", "told", "assumed"]

DEFAULT_FOV_DEG = 60.0
# For a photograph whose EXIF does not tell: any lens may have taken it, and it may be cropped from a larger one. Assuming
# too wide a camera costs more than too narrow a one: 300 webcam-like hands were 9.00 mm off (PA-MPJPE of groups-fit) with two
# thirds of the true focal length, 8.80 with the true one, 8.79 with 1.4 times as much.
PHOTO_FOV_DEG = 50.0
# A picture that shows nothing but a hand was cropped from a larger one: with the default field of view the hand would be a hand's
# width from the lens. Where nothing is known about the camera, no hand of a photograph is assumed to be nearer than this.
NEAREST_M = 0.35


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Camera:
    """A pinhole camera without distortion.

    ``K`` is 3x3 in pixels of a ``width`` x ``height`` picture; ``source`` says whether it was calibrated, made from a field of
    view that the user gave, or assumed (from the photograph's EXIF, or a usual one). Raises ValueError when K is not an
    intrinsic matrix.
    """

    width: int
    height: int
    K: FloatArray
    source: CameraSource = "assumed"

    def __post_init__(self) -> None:
        if self.K.shape != (3, 3):
            raise ValueError(f"the camera matrix must have shape (3, 3), not {self.K.shape}")
        if not np.isfinite(self.K).all():
            raise ValueError("the camera matrix must hold finite numbers")
        if self.K[0, 0] <= 0 or self.K[1, 1] <= 0:
            raise ValueError("focal lengths must be positive")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def fov_deg(self) -> float:
        """Degrees that the longer side spans."""
        focal = self.K[0, 0] if self.width >= self.height else self.K[1, 1]
        return math.degrees(2 * math.atan(max(self.size) / 2 / focal))


def intrinsics_from_fov(width: int, height: int, fov_deg: float = DEFAULT_FOV_DEG) -> FloatArray:
    """Return K (3x3, float64, pixels) of a camera whose longer side spans ``fov_deg`` degrees."""
    if not 1.0 <= fov_deg < 179.0:
        raise ValueError(f"field of view must lie in 1 to 179 degrees, not {fov_deg}")
    focal = 0.5 * max(width, height) / math.tan(math.radians(fov_deg) / 2)
    return np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])


def camera_from_fov(width: int, height: int, fov_deg: float | None = None) -> Camera:
    """Return a camera for a picture of this size: with the given field of view, or an assumed one."""
    K = intrinsics_from_fov(width, height, DEFAULT_FOV_DEG if fov_deg is None else fov_deg)
    return Camera(width=width, height=height, K=K, source="assumed" if fov_deg is None else "told")


def narrowed_for(camera: Camera, hand_distance_m: float) -> Camera:
    """Return a photograph's assumed camera, narrowed where it puts a hand nearer than ``NEAREST_M``; other cameras unchanged.

    ``hand_distance_m`` is where the unchanged camera puts the nearest hand.
    """
    if camera.source != "assumed" or not 0 < hand_distance_m < NEAREST_M:
        return camera
    K = camera.K.copy()
    K[0, 0], K[1, 1] = K[0, 0] * NEAREST_M / hand_distance_m, K[1, 1] * NEAREST_M / hand_distance_m
    return replace(camera, K=K)


def project(points_m: FloatArray, K: FloatArray) -> FloatArray:
    """Project camera-frame points (..., 3) in metres to pixels (..., 2).

    Points at or behind the camera plane give NaN, never a plausible pixel.
    """
    z = np.where(points_m[..., 2:3] > 1e-6, points_m[..., 2:3], np.nan)
    uvw = (points_m / z) @ K.T
    return np.asarray(uvw[..., :2])


def unproject(pixels: FloatArray, depth_m: FloatArray, K: FloatArray) -> FloatArray:
    """Lift pixels (..., 2) at depths (...) in metres to camera-frame points (..., 3)."""
    ones = np.ones((*pixels.shape[:-1], 1))
    rays = np.concatenate([pixels, ones], axis=-1) @ np.linalg.inv(K).T
    return np.asarray(rays * depth_m[..., None])


def scale_intrinsics(K: FloatArray, factor_x: float, factor_y: float) -> FloatArray:
    """Return K, or a homography to a picture, after that picture is resized by these factors (pixel centres respected)."""
    S = np.array([[factor_x, 0, 0.5 * factor_x - 0.5], [0, factor_y, 0.5 * factor_y - 0.5], [0, 0, 1.0]])
    return np.asarray(S @ K)
