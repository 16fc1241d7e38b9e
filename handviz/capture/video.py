"""Video files."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from handviz.capture.base import MAX_SIDE_PX, CameraChoice, to_rgb
from handviz.capture.timeline import Timeline, read_timeline
from handviz.errors import SourceError
from handviz.records import Frame

DEFAULT_FPS = 30.0
# A container may announce a few frames more than it holds; more missing than this is a file cut short.
MISSING_SHARE = 0.02
MISSING_FRAMES = 3
# A search aims this much before its frame, and before that four times as much, since it may come out too late.
SEARCH_BACK_S = 0.1


class VideoSource:
    """A recording. Times are the file's own; a file that lies about its length is noticed at its end.

    A frame's index counts pictures, also where they are not evenly spaced in time. Which index is where is read from the
    file at the first ``seek``, so that opening it stays fast.
    """

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
        # Some containers give their clock instead of a rate; what they announce counts in that.
        self._announced_fps = rate if np.isfinite(rate) and rate > 0 else DEFAULT_FPS
        self.fps = self._announced_fps if self._announced_fps < 1000 else DEFAULT_FPS
        self._announced = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self._next = 0
        # The next frame is decoded already.
        self._grabbed = False
        self._timeline: Timeline | None = None
        self._sought = False
        self._size: tuple[int, int] | None = None
        self._last_t = -1.0

    @property
    def frame_count(self) -> int | None:
        """Number of frames: as announced, or as counted at the end or for a search."""
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
        grabbed, self._grabbed = self._grabbed or self._capture.grab(), False
        good, bgr = self._capture.retrieve() if grabbed else (False, None)
        if not good or bgr is None:
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
            path=self.path,
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
        if self._sought:
            return
        self._announced = read
        if _lacks(read, announced) and self._is_cut_short(announced):
            raise SourceError(
                f"{self.path}: cut short or damaged, only {read} of {announced} frames could be read. "
                "Record or copy it again; what was read is kept"
            )

    def _is_cut_short(self, announced: int) -> bool:
        """Say whether the file holds less than it announces: in packets, and in time, which is all that some containers know."""
        timeline = self._read_timeline()
        last_s = self._last_t if timeline.times_s is None else float(timeline.times_s[-1])
        return _lacks(max(timeline.packets, round(last_s * self._announced_fps) + 1), announced)

    def _read_timeline(self) -> Timeline:
        if self._timeline is None:
            self._timeline = read_timeline(self.path)
        return self._timeline

    def seek(self, index: int) -> None:
        """Make ``index`` the next frame; one beyond the end means the last. The first call reads the file once."""
        timeline = self._read_timeline()
        if not self._sought:
            self._sought = True
            self._count(timeline)
        index = min(max(index, 0), max(self._announced, 1) - 1)
        if index != self._next:
            self._next = self._count_to(index) if timeline.times_s is None else self._search(timeline, index)
            self._last_t = -1.0

    def _count(self, timeline: Timeline) -> None:
        announced = self._announced
        self._announced = (announced or timeline.packets) if timeline.times_s is None else len(timeline.times_s)
        if self._is_cut_short(announced):
            self.warnings.append(f"{self.path}: cut short or damaged, holds only {self._announced} of {announced} frames.")

    def _search(self, timeline: Timeline, index: int) -> int:
        """Decode the frame ``index``; returns which frame it became, which is another where a damaged file lacks it.

        OpenCV searches by average rate, and so comes out near the frame at best. Where it did, the time of the
        picture says; from a place before the frame its pictures are counted on by their times.
        """
        assert timeline.times_s is not None
        t_s, back_s = float(timeline.times_s[index]), SEARCH_BACK_S
        while back_s < t_s:
            self._capture.set(cv2.CAP_PROP_POS_MSEC, 1000.0 * (t_s - back_s))
            found = self._grab_on(timeline, index)
            if found <= index:
                return found
            back_s *= 4
        self._reopen()
        return self._grab_on(timeline, index)

    def _grab_on(self, timeline: Timeline, index: int) -> int:
        """Decode pictures until ``index`` is reached; returns the frame of the last one, or their number at the end."""
        while self._capture.grab():
            self._grabbed = True
            found = timeline.index_at(float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0)
            if found >= index:
                return found
        self._grabbed = False
        return self._announced

    def _count_to(self, index: int) -> int:
        """Go to ``index`` from the start, one by one: the only sure way in a file that does not tell its frames apart."""
        self._reopen()
        self._grabbed = False
        reached = 0
        while reached < index and self._capture.grab():
            reached += 1
        return reached

    def _reopen(self) -> None:
        if not self._capture.open(str(self.path), cv2.CAP_FFMPEG):
            raise SourceError(f"{self.path}: can not be read any more. See whether it is still there, and open it again")

    def release(self) -> None:
        """Close the file."""
        self._capture.release()


def _lacks(held: int, announced: int) -> bool:
    return announced - held > max(MISSING_FRAMES, MISSING_SHARE * announced)
