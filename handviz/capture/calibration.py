"""A camera's intrinsics in files: readable JSON, one file per camera and picture size."""

from __future__ import annotations

import json
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from handviz.capture.exif import axes
from handviz.errors import OutputError, SourceError
from handviz.geometry.camera import Camera, FloatArray, scale_intrinsics
from handviz.paths import data_folder, replace_file
from handviz.records import UInt8Array

FORMAT = "handviz-camera"
VERSION = 1
# Two sizes have the same shape if their width-to-height ratios agree this well: 1280x720 and 854x480 do.
_ASPECT_TOLERANCE = 0.005
# Beyond these limits a file's numbers are in another unit, or belong to another picture.
_VIEW_DEG = (0.5, 175.0)
_MOST_DISTORTION = 1000.0
_MOST_SIDE_PX = 100_000
# Least distance of the principal point from the picture's edges, as a fraction of its sides, if the file gives no picture size.
_LEAST_INSIDE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intrinsics:
    """What a calibration gives: K (3, 3) in pixels of a ``width`` x ``height`` picture.

    ``size`` is None for a bare matrix without a picture size. ``distortion`` (5,) holds OpenCV's k1 k2 p1 p2 k3,
    ``error_px`` the root mean square reprojection error; None if the file does not have them.
    """

    K: FloatArray
    size: tuple[int, int] | None
    distortion: FloatArray | None = None
    error_px: float | None = None
    camera_name: str | None = None


def load_intrinsics(path: Path | str) -> Intrinsics:
    """Read intrinsics from our own JSON, from ``{"K": 3x3, "width": w, "height": h}``, or from .npy / .npz without pickle.

    An .npz holds ``K`` and may hold ``width``, ``height`` and ``distortion``; an .npy holds K alone. Raises
    SourceError with what is wrong and what to do.
    """
    path = Path(path)
    try:
        entry = _read_numpy(path) if path.suffix.lower() in (".npy", ".npz") else _read_json(path)
        return _parse(entry)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}. Give a camera file.") from error
    except Exception as error:  # numpy's readers raise a dozen kinds for damaged files
        raise SourceError(
            f"{path} holds no camera intrinsics: {_reason(error)}. It must be a JSON file with K (3x3, pixels), "
            "width and height, or an .npy or .npz file with K."
        ) from error


def camera_for(
    intrinsics: Intrinsics,
    width: int,
    height: int,
    *,
    orientation: int = 1,
    path: Path | str = "the camera file",
    picture: str = "the picture",
) -> Camera:
    """Return the calibrated camera of an upright picture of this size; K is scaled when only the resolution differs.

    K belongs to pictures as the sensor stores them, and is turned as EXIF's ``orientation`` turns this one. Raises SourceError
    that names both if the picture's aspect ratio differs from the calibration's, because then it was cropped and no scaling is
    right, and if K is implausible for such a picture.
    """
    A = axes(orientation)
    stored = (width, height) if A[0, 0] else (height, width)
    upright_from_stored, camera_from_sensor = np.eye(3), np.eye(3)
    upright_from_stored[:2, :2] = camera_from_sensor[:2, :2] = A
    upright_from_stored[:2, 2] = np.where(A.sum(1) < 0, (width - 1, height - 1), 0)
    K_stored = _scaled(intrinsics, *stored, path, picture)
    if problem := _misfit(K_stored, *stored, told_size=intrinsics.size is not None):
        raise SourceError(f"{path} does not fit {picture}, {width}x{height}: {problem}")
    K = upright_from_stored @ K_stored @ camera_from_sensor.T
    return Camera(width=width, height=height, K=K, source="calibrated")


def _scaled(intrinsics: Intrinsics, width: int, height: int, path: Path | str, picture: str) -> FloatArray:
    """Return K of a picture of this size as it is stored."""
    if intrinsics.size is None or intrinsics.size == (width, height):
        return intrinsics.K
    was_width, was_height = intrinsics.size
    if abs(was_width * height / (was_height * width) - 1) > _ASPECT_TOLERANCE:
        raise SourceError(
            f"{path} was calibrated at {was_width}x{was_height}, but {picture} is {width}x{height}, another aspect ratio. "
            "Calibrate at this resolution, or choose one with the same aspect ratio."
        )
    return scale_intrinsics(intrinsics.K, width / was_width, height / was_height)


def _misfit(K: FloatArray, width: int, height: int, *, told_size: bool) -> str | None:
    """Return why K cannot belong to a picture of this size as it is stored, and what to do; None if it can."""
    view_deg = np.degrees(2 * np.arctan(0.5 * np.array([width, height]) / K[[0, 1], [0, 1]]))
    if not (_VIEW_DEG[0] <= view_deg.min() and view_deg.max() <= _VIEW_DEG[1]):
        return (
            f"it would see {view_deg[0]:.3g} degrees across and {view_deg[1]:.3g} down. K must be in pixels of the picture, "
            "not in millimetres or fractions of the width."
        )
    inside = 0.0 if told_size else _LEAST_INSIDE
    shares = K[:2, 2] / (width, height)
    if shares.min() < inside or shares.max() > 1 - inside:
        where = f"its principal point, ({K[0, 2]:.5g}, {K[1, 2]:.5g}), is not {'in' if told_size else 'near the middle of'} it."
        return where + (" Calibrate again." if told_size else " Add the width and height of the pictures that K belongs to.")
    return None


class Undistorter:
    """Makes a camera's upright pictures those of a pinhole camera with the same K. The tables are made once per picture size."""

    def __init__(self, intrinsics: Intrinsics, width: int, height: int, orientation: int = 1) -> None:
        K = camera_for(intrinsics, width, height, orientation=orientation).K
        distortion = np.zeros(5) if intrinsics.distortion is None else intrinsics.distortion.copy()
        # Of OpenCV's k1 k2 p1 p2 k3 the tangential terms (p2, p1) rotate like a vector; the others do not depend on direction.
        distortion[[3, 2]] = axes(orientation) @ distortion[[3, 2]]
        self._map_x, self._map_y = cv2.initUndistortRectifyMap(K, distortion, None, K, (width, height), cv2.CV_16SC2)

    def apply(self, rgb: UInt8Array) -> UInt8Array:
        """Return the straightened picture (height, width, 3); what lies outside the camera's view is black."""
        return np.asarray(cv2.remap(rgb, self._map_x, self._map_y, cv2.INTER_LINEAR), np.uint8)


def calibration_path(camera_name: str, width: int, height: int) -> Path:
    """Return where the calibration of a camera at a picture size is kept, in the user's data folder."""
    slug = re.sub(r"[^a-z0-9]+", "-", camera_name.lower()).strip("-") or "camera"
    return data_folder() / "cameras" / f"{slug}_{width}x{height}.json"


def save_intrinsics(intrinsics: Intrinsics, path: Path) -> None:
    """Write a calibration with its picture size as readable JSON. Raises OutputError when it cannot be written."""
    assert intrinsics.size is not None
    entry = {
        "format": FORMAT,
        "version": VERSION,
        "camera": intrinsics.camera_name,
        "width": intrinsics.size[0],
        "height": intrinsics.size[1],
        "K": intrinsics.K.tolist(),
        "distortion": None if intrinsics.distortion is None else intrinsics.distortion.tolist(),
        "error_px": intrinsics.error_px,
    }
    try:
        replace_file(path, (json.dumps(entry, indent=2) + "\n").encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Check that folder, or set HANDVIZ_DATA.") from error


def _read_json(path: Path) -> dict[str, Any]:
    # As bytes: json detects the UTF variant, with a byte order mark or without (PowerShell's > writes UTF-16).
    entry = json.loads(path.read_bytes())
    if not isinstance(entry, dict):
        raise ValueError("it is not a JSON object")
    if entry.get("format", FORMAT) != FORMAT:
        raise ValueError(f"its format is {reprlib.repr(entry['format'])}")
    version = entry.get("version", VERSION)
    if not isinstance(version, int) or version > VERSION:
        raise ValueError(
            f"it has version {reprlib.repr(version)}, but this program reads up to {VERSION}: update handviz or calibrate again"
        )
    return entry


def _read_numpy(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"K": loaded}
        with loaded:
            return {key: loaded[key] for key in ("K", "width", "height", "distortion") if key in loaded.files}


def _parse(entry: dict[str, Any]) -> Intrinsics:
    K = _matrix(entry["K"])
    size = (_pixels(entry, "width"), _pixels(entry, "height")) if "width" in entry or "height" in entry else None
    distortion = entry.get("distortion")
    error_px = entry.get("error_px")
    name = entry.get("camera")
    return Intrinsics(
        K=K,
        size=size,
        distortion=None if distortion is None else _distortion(distortion),
        error_px=None if error_px is None else float(error_px),
        camera_name=None if name is None else str(name),
    )


def _matrix(value: Any) -> FloatArray:
    K = np.asarray(value, dtype=np.float64)
    if K.shape != (3, 3):
        raise ValueError(f"K has shape {K.shape}, not (3, 3)")
    if not np.isfinite(K).all():
        raise ValueError("K holds a number that is not finite")
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise ValueError("a focal length in K is not positive")
    if not np.allclose(K[2], [0, 0, 1]) or abs(K[1, 0]) > 1e-6 * K[0, 0]:
        raise ValueError("K is not upper triangular with last row 0 0 1 (is it transposed?)")
    return K


def _pixels(entry: dict[str, Any], key: str) -> int:
    value = entry[key]
    number = int(value)
    if number != value or not 0 < number <= _MOST_SIDE_PX:
        raise ValueError(f"{key} is {reprlib.repr(value)}, not a whole number from 1 to {_MOST_SIDE_PX}")
    return number


def _distortion(value: Any) -> FloatArray:
    distortion = np.asarray(value, dtype=np.float64).reshape(-1)
    if distortion.shape != (5,) or not np.isfinite(distortion).all():
        raise ValueError("distortion must be five finite numbers")
    if np.abs(distortion).max() > _MOST_DISTORTION:
        raise ValueError(f"distortion holds {np.abs(distortion).max():.3g}: too much for any lens")
    return distortion


def _reason(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
