"""The interface that all sources share, and how a source is named on the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from handviz.capture.calibration import Intrinsics, Undistorter, camera_for, load_intrinsics
from handviz.capture.device import device_name
from handviz.capture.exif import UNTOLD, Shot, shot_in
from handviz.capture.exposure import Exposure
from handviz.errors import SourceError
from handviz.geometry.camera import PHOTO_FOV_DEG, Camera, camera_from_fov
from handviz.records import Frame, UInt8Array

SourceKind = Literal["camera", "video", "image", "folder"]
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mts", ".3gp", ".wmv"})
# Larger frames are refused: decoding alone would take longer than a frame lasts. Photographs may be as large as phones take them.
MAX_SIDE_PX = 4608
MAX_PHOTO_SIDE_PX = 16384
# OpenCV reads the hundreds of a camera's number as the backend to open it with.
MOST_CAMERAS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """A source as the user named it. For cameras also the requested size, rate and exposure (None: the camera's own)."""

    kind: SourceKind
    path: Path | None = None
    pictures: tuple[Path, ...] = ()
    camera: int | str = 0
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    exposure: Exposure | None = None

    @property
    def stills(self) -> bool:
        """Whether its pictures are independent of one another."""
        return self.kind in ("image", "folder")

    @property
    def name(self) -> str:
        """Short name for titles and messages; a camera's calibration is stored under it."""
        if self.path is not None:
            return self.path.name
        device = device_name(self.camera)
        return f"camera {self.camera} ({device})" if device else f"camera {self.camera}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraChoice:
    """Where a source's camera matrix comes from: a calibration file, a given field of view, a photograph's EXIF, or nothing."""

    fov_deg: float | None = None
    calibrated: Intrinsics | None = None
    path: Path | None = None

    def camera_for(self, width: int, height: int, shot: Shot | None = None, picture: str = "the picture") -> Camera:
        """Return the camera of an upright width x height picture; ``shot`` is given for photographs.

        Raises SourceError if the calibration does not fit it.
        """
        if self.calibrated is None and self.fov_deg is None:
            # A cropped photograph keeps its EXIF, so a camera from EXIF is trusted no more than an assumed one.
            fov_deg = None if shot is None else shot.fov_deg(width, height) or PHOTO_FOV_DEG
            return replace(camera_from_fov(width, height, fov_deg), source="assumed")
        if self.calibrated is None:
            return camera_from_fov(width, height, self.fov_deg)
        path = self.path or "the camera file"
        return camera_for(self.calibrated, width, height, orientation=(shot or UNTOLD).orientation, path=path, picture=picture)

    def camera_of(self, frame: Frame) -> Camera:
        """Return the camera of a frame that was read before. Raises SourceError as ``camera_for`` does."""
        if frame.path is None or frame.name is None:  # of a camera or a video
            return self.camera_for(*frame.camera.size)
        return self.camera_for(*frame.camera.size, shot_in(frame.path), str(frame.path))

    @property
    def straightens(self) -> bool:
        """Whether a lens distortion is removed from pictures."""
        return self.calibrated is not None and self.calibrated.distortion is not None

    def straighten(self, rgb: UInt8Array, orientation: int = 1) -> UInt8Array:
        """Remove the calibrated lens distortion, if there is one, from an upright picture (height, width, 3)."""
        if self.calibrated is None or not self.straightens:
            return rgb
        straight = _undistorter(self.calibrated, rgb.shape[1], rgb.shape[0], orientation).apply(rgb)
        straight.flags.writeable = False
        return straight


@lru_cache(maxsize=4)
def _undistorter(intrinsics: Intrinsics, width: int, height: int, orientation: int) -> Undistorter:
    return Undistorter(intrinsics, width, height, orientation)


def camera_choice(fov_deg: float | None, path: Path | None) -> CameraChoice:
    """Return the user's choice: a calibration file wins over the field of view. Raises SourceError for a bad file."""
    return CameraChoice(fov_deg=fov_deg, calibrated=load_intrinsics(path) if path else None, path=path)


class Source(Protocol):
    """Blocking reads of frames, oldest first for recordings, newest for cameras.

    ``read`` returns None at the end of a recording, and raises SourceError when the source fails. ``warnings`` are
    sentences about things that were skipped (an unreadable picture in a folder); reading went on. ``camera`` may be
    changed at any time; the change takes effect with the next frame.
    """

    camera: CameraChoice

    @property
    def name(self) -> str:
        """Short name for titles and results."""
        ...

    @property
    def live(self) -> bool:
        """True for a camera: it cannot seek and does not wait."""
        ...

    @property
    def frame_count(self) -> int | None:
        """Number of frames, None for a camera."""
        ...

    @property
    def fps(self) -> float:
        """Nominal rate in frames per second; 0 if there is none (pictures)."""
        ...

    @property
    def warnings(self) -> list[str]:
        """Sentences about what was skipped so far."""
        ...

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end."""
        ...

    def seek(self, index: int) -> None:
        """Make ``index`` the next frame to be read. Raises SourceError for a camera."""
        ...

    def release(self) -> None:
        """Give the device or file back; safe to call twice."""
        ...


def parse_source(text: str) -> SourceSpec:
    """Turn a command-line word into a spec: a number or /dev/videoN is a camera, else a video, picture or folder.

    Raises SourceError for a path that does not exist, and for a number that no camera has.
    """
    if text.isdecimal():
        if len(text) > 4 or int(text) >= MOST_CAMERAS:
            raise SourceError(f"{text}: no camera has this number. Give a smaller one; for a file of this name write ./{text}")
        return SourceSpec(kind="camera", camera=int(text))
    if text.startswith("/dev/video"):
        return SourceSpec(kind="camera", camera=text)
    path = Path(text)
    try:
        if text.startswith("~") and not path.exists():
            path = path.expanduser()
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, RuntimeError) as error:  # a name that is too long, a folder without read permission; no such user
        reason = error.strerror if isinstance(error, OSError) else "no such file, and no such user"
        raise SourceError(f"{path}: {reason}. Give a camera number, a video, a picture or a folder of pictures") from error
    if is_folder:
        return SourceSpec(kind="folder", path=path)
    if not is_there:
        raise SourceError(f"{path}: no such file or folder. Give a camera number, a video, a picture or a folder of pictures")
    return SourceSpec(kind="image" if path.is_file() and _is_picture(path) else "video", path=path)


def parse_sources(words: Sequence[str]) -> SourceSpec:
    """Turn one or more command-line words into a spec; several must be pictures, and then act as a folder of just these.

    Raises SourceError for a path that does not exist, and for several paths if one is not a picture or two have the same name.
    """
    specs = [parse_source(word) for word in words]
    if len(specs) == 1:
        return specs[0]
    for spec in specs:
        if spec.kind != "image":
            raise SourceError(f"{spec.name}: several sources at once must all be pictures. Give this one alone")
    if again := [name for name, count in Counter(spec.name for spec in specs).items() if count > 1]:
        raise SourceError(f"{again[0]}: two pictures have this name, by which results tell them apart. Give only one of them")
    pictures = tuple(spec.path for spec in specs if spec.path is not None)
    return SourceSpec(kind="folder", path=pictures[0].parent, pictures=pictures)


def _is_picture(path: Path) -> bool:
    """Say whether a file is a picture, by its suffix or else by its first bytes; a GIF is one if it is not animated."""
    ending = path.suffix.lower()
    if ending == ".gif":
        return frames_of(path) == 1
    return ending in IMAGE_SUFFIXES or bool(cv2.haveImageReader(opencv_name(path)))


def opencv_name(path: Path) -> str:
    """Return a file's absolute path for OpenCV, which would take a colon in a relative one for the end of a protocol's name.

    Raises SourceError for bytes that are not valid text, on which OpenCV crashes.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{path}: its name or a folder's is not valid UTF-8. Rename it, or move it") from error
    return name


def frames_of(path: Path) -> int:
    """Return how many frames a video decoder finds in a file: 0, 1, or 2 for more. Raises as ``opencv_name`` does."""
    capture = cv2.VideoCapture(opencv_name(path), cv2.CAP_FFMPEG)
    frames = int(capture.grab()) and 1 + int(capture.grab())
    capture.release()
    return frames


def check_readable(path: Path) -> None:
    """Raise SourceError if a file cannot be opened."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}. Check its permissions, or give another file") from error


def refuse_larger(width: int, height: int, name: str, most_px: int) -> None:
    """Raise SourceError when a side of a picture is longer than ``most_px``."""
    if max(width, height) > most_px:
        raise SourceError(f"{name}: {width}x{height} is larger than {most_px} pixels a side. Scale it down first")


def to_rgb(bgr: UInt8Array, name: str, *, most_px: int = MAX_SIDE_PX) -> UInt8Array:
    """Return a contiguous, read-only RGB copy of an OpenCV picture. Raises SourceError when a side is longer than ``most_px``."""
    refuse_larger(bgr.shape[1], bgr.shape[0], name, most_px)
    rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    rgb.flags.writeable = False
    return rgb
