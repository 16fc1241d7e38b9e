"""A single picture, or a folder of pictures; each is on its own."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from handviz.capture.base import IMAGE_SUFFIXES, MAX_PHOTO_SIDE_PX, CameraChoice, to_rgb
from handviz.errors import SourceError
from handviz.records import Frame

# In the app a folder is shown like a slow film.
FOLDER_FPS = 2.0


class PicturesSource:
    """Pictures in the order of their names. One that can not be read is reported in ``warnings``; the rest goes on."""

    live = False

    def __init__(self, path: Path, camera: CameraChoice) -> None:
        self.name = path.name
        self.fps = FOLDER_FPS
        self.warnings: list[str] = []
        self.camera = camera
        self._single = not path.is_dir()
        self._paths = [path] if self._single else sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        if not self._paths:
            raise SourceError(f"{path}: holds no picture ({', '.join(sorted(IMAGE_SUFFIXES))}). Give another folder")
        self._next = 0

    @property
    def frame_count(self) -> int | None:
        """Number of picture files."""
        return len(self._paths)

    def read(self) -> Frame | None:
        """Return the next readable picture; None after the last. Raises SourceError when a single picture is unreadable."""
        while self._next < len(self._paths):
            index, self._next = self._next, self._next + 1
            frame = self._load(index)
            if frame is not None:
                return frame
        return None

    def _load(self, index: int) -> Frame | None:
        path = self._paths[index]
        bgr = _decode(path)
        if bgr is None:
            message = f"{path}: no picture that can be read. Save it again as JPEG or PNG"
            if self._single:
                raise SourceError(message)
            self.warnings.append(message)
            return None
        try:
            rgb = self.camera.straighten(to_rgb(np.asarray(bgr, np.uint8), str(path), most_px=MAX_PHOTO_SIDE_PX))
        except SourceError as error:
            if self._single:
                raise
            self.warnings.append(str(error))
            return None
        camera = self.camera.camera_for(rgb.shape[1], rgb.shape[0])
        return Frame(
            index=index,
            t_capture_s=index / self.fps,
            t_arrival_s=time.monotonic(),
            rgb=rgb,
            camera=camera,
            name=path.name,
            path=path,
        )

    def seek(self, index: int) -> None:
        """Make the picture ``index`` the next."""
        self._next = min(max(index, 0), len(self._paths) - 1)

    def release(self) -> None:
        """Nothing is held open."""


def _decode(path: Path) -> np.ndarray | None:  # type: ignore[type-arg]
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    if data.size == 0:
        return None
    try:
        return cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
