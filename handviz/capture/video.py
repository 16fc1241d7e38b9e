"""Video files."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from handviz.capture.base import MAX_SIDE_PX, CameraChoice, to_rgb
from handviz.errors import SourceError
from handviz.records import Frame

DEFAULT_FPS = 30.0
# A container may announce a few frames more than it holds; more missing than this is a file cut short.
MISSING_SHARE = 0.02
MISSING_FRAMES = 3


class VideoSource:
    """A recording, read in order. Times are the file's own; a file that lies about its length is noticed at its end."""

    live = False

    def __init__(self, path: Path, camera: CameraChoice) -> None:
        self.path = path
        self.name = path.name
        self.warnings: list[str] = []
        self.camera = camera
        if not path.is_file():
            raise SourceError(f"{path}: no such video file")
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(f"{path}: no video that can be read. Give an mp4, mov, avi, mkv or webm file that plays elsewhere")
        self._refuse_huge()
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = rate if np.isfinite(rate) and 0 < rate < 1000 else DEFAULT_FPS
        self._announced = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self._next = 0
        self._size: tuple[int, int] | None = None
        self._last_t = -1.0

    @property
    def frame_count(self) -> int | None:
        """Number of frames: as announced, or as counted once the end was reached."""
        return self._announced or None

    def _refuse_huge(self) -> None:
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if max(width, height) > MAX_SIDE_PX:
            self.release()
            raise SourceError(
                f"{self.path}: {width}x{height} is larger than {MAX_SIDE_PX} pixels a side. "
                f"Scale it first, for instance: ffmpeg -i {self.path.name} -vf scale=1920:-2 smaller.mp4"
            )

    def read(self) -> Frame | None:
        """Return the next frame; None at the end. Raises SourceError for a file that is empty, cut short or changes size."""
        good, bgr = self._capture.read()
        if not good:
            self._at_end()
            return None
        size = (bgr.shape[1], bgr.shape[0])
        if self._size is not None and size != self._size:
            raise SourceError(
                f"{self.path}: the picture changes from {self._size[0]}x{self._size[1]} to {size[0]}x{size[1]} "
                f"at frame {self._next}. Re-encode it to one size"
            )
        self._size = size
        index, self._next = self._next, self._next + 1
        # After a read this is the time of the frame just read.
        t = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0
        return Frame(
            index=index,
            t_capture_s=self._time_of(index, t),
            t_arrival_s=time.monotonic(),
            rgb=self.camera.straighten(to_rgb(np.asarray(bgr, np.uint8), self.name)),
            camera=self.camera.camera_for(*size),
        )

    def _time_of(self, index: int, reported_s: float) -> float:
        # Some files report no times; some report the same twice. Time never runs backwards within a reading.
        t = reported_s if index == 0 or reported_s > 0 else index / self.fps
        if t <= self._last_t:
            t = self._last_t + 1e-3
        self._last_t = t
        return t

    def _at_end(self) -> None:
        read, announced = self._next, self._announced
        if read == 0:
            raise SourceError(f"{self.path}: holds no frame that can be read. The file is empty or damaged")
        self._announced = read
        if announced - read > max(MISSING_FRAMES, MISSING_SHARE * announced):
            raise SourceError(
                f"{self.path}: cut short or damaged, only {read} of {announced} frames could be read. "
                "Record or copy it again; what was read is kept"
            )

    def seek(self, index: int) -> None:
        """Make ``index`` the next frame."""
        last = (self._announced or 1) - 1
        index = min(max(index, 0), last)
        if index == self._next:
            return
        if not self._capture.set(cv2.CAP_PROP_POS_FRAMES, index):
            raise SourceError(f"{self.path}: this file can not be searched. Play it from the start")
        self._next = index
        self._last_t = -1.0

    def release(self) -> None:
        """Close the file."""
        self._capture.release()
