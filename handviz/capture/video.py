"""Video files."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from handviz.capture.base import MAX_SIDE_PX, CameraChoice, check_readable, opencv_name, to_rgb
from handviz.capture.containers import is_all_there
from handviz.capture.mirrored import is_mirrored
from handviz.capture.timeline import RESTART_S, Timeline, read_timeline
from handviz.errors import SourceError
from handviz.records import Frame, UInt8Array

DEFAULT_FPS = 30.0
# A pixel aspect ratio of more than this, or less than its inverse, is an error in the file.
MOST_STRETCH = 4.0
# A container may announce a few frames more than it holds; if more than this are missing, the file was cut short.
MISSING_SHARE = 0.02
MISSING_FRAMES = 3
# A search aims this much before its frame, at least two frames, and if it still lands too late, four times as much.
SEARCH_BACK_S = 0.1
# OpenCV reports a packet that cannot be decoded just like the end; after this many in a row it is the end.
LOST_IN_A_ROW = 300


class VideoSource:
    """A recording. Times are the file's own; a wrong length in the file is noticed at its end.

    A frame's index counts pictures, even if they are not evenly spaced in time, and includes those that cannot be decoded, which
    are left out with a warning. The frames' times are read from the file at the first ``seek`` beyond its start, so that
    opening it stays fast.
    """

    live = False

    def __init__(self, path: Path, camera: CameraChoice) -> None:
        self.path = path
        self.name = path.name
        self.warnings: list[str] = []
        self.camera = camera
        if not path.is_file():
            raise SourceError(f"{path}: no such video file. Check its name")
        self._capture = cv2.VideoCapture()
        if not _opens(self._capture, path):
            check_readable(path)
            if path.stat().st_size == 0:
                raise SourceError(f"{path}: the file is empty. Record or copy it again")
            raise SourceError(
                f"{path}: not a readable video. Give an mp4, mov, avi, mkv or webm file that plays elsewhere; "
                "if it is a picture (HEIC, AVIF), save it as JPEG or PNG"
            )
        self._refuse_huge()
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        # Some containers give their clock rate instead of a frame rate; the frame count that they announce is based on it.
        self._announced_fps = rate if np.isfinite(rate) and rate > 0 else DEFAULT_FPS
        self.fps = self._announced_fps if self._announced_fps < 1000 else DEFAULT_FPS
        self._announced = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self._count = self._announced
        self._next = 0
        self._clock = _Clock(1 / self.fps)
        # Whether the next frame is decoded already.
        self._grabbed = False
        self._timeline: Timeline | None = None
        self._sought = False
        self._size: tuple[int, int] | None = None
        self._stretch = _stretch(self._capture)
        self._flip = _flip(self._capture) if is_mirrored(path) else None
        self._last_t = -1.0

    @property
    def frame_count(self) -> int | None:
        """Number of frames: as announced, or as counted at the end or for a seek."""
        return self._count or None

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
        """Return the next frame; None at the end. Raises SourceError for a file that is empty or cut short, or changes size."""
        due = self._next
        lost = 0 if self._grabbed else self._decode()
        self._grabbed = False
        good, bgr = (False, None) if lost is None else self._capture.retrieve()
        if not good or bgr is None:
            self._at_end()
            return None
        if self._flip is not None:
            bgr = cv2.flip(bgr, self._flip)
        bgr = square_pixels(np.asarray(bgr, np.uint8), self._stretch)
        size = (bgr.shape[1], bgr.shape[0])
        if self._size is not None and size != self._size:
            raise SourceError(
                f"{self.path}: the picture size changes from {self._size[0]}x{self._size[1]} to {size[0]}x{size[1]} "
                f"at frame {self._next}. Re-encode it to one size"
            )
        self._size = size
        if lost and not self.warnings:
            self.warnings.append(
                f"{self.path}: damaged: frame {due} cannot be decoded and is left out; later ones may be, too. "
                "Record or copy it again."
            )
        index, self._next = self._next, self._next + 1
        choice = self.camera
        camera = choice.camera_for(*size, picture=str(self.path))
        return Frame(
            index=index,
            t_capture_s=self._time_of(index, self._clock.t_s),
            t_arrival_s=time.perf_counter(),
            rgb=choice.straighten(to_rgb(bgr, self.name)),
            camera=camera,
            path=self.path,
        )

    def _decode(self) -> int | None:
        """Decode the next picture that can be decoded; return how many were lost before it, or None at the end.

        Once the times are read they tell which frame it is. If there are none, or equal ones, frames are counted.
        """
        for lost in range(LOST_IN_A_ROW):
            if self._capture.grab():
                self._clock.tell(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0)
                if self._timeline is not None and self._timeline.times_s is not None:
                    self._next = max(self._next, self._timeline.index_at(self._clock.t_s))
                else:
                    self._next += lost
                return lost
        return None

    def _time_of(self, index: int, reported_s: float) -> float:
        # Some files report no times; some report the same twice. Time never runs backwards within a reading.
        t = reported_s if index == 0 or reported_s > 0 else index / self.fps
        if t <= self._last_t:
            t = self._last_t + 1e-3
        self._last_t = t
        return t

    def _at_end(self) -> None:
        read, whole = self._next, self._count
        if read == 0:
            raise SourceError(f"{self.path}: {self._why_nothing()}")
        if not self._sought:
            self._count = read
            if whole == 0 or _lacks(read, whole):
                whole = self._should_hold()
        if _lacks(read, whole):
            raise SourceError(
                f"{self.path}: cut short or damaged, only {read} of {whole} frames could be read. "
                "Record or copy it again; what was read is kept"
            )

    def _why_nothing(self) -> str:
        packets = self._read_timeline().packets
        if packets == 0:
            return "holds no frame that can be read. The file is empty or damaged"
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("ascii", "replace")
        codec = code if code.isprintable() else "unknown"
        return f"none of its {packets} frames (codec {codec}) can be decoded here. Convert it to H.264, or copy it again"

    def _should_hold(self) -> int:
        """Return how many frames the file would give if it were complete.

        It is cut short if it holds less than it announces both in packets and in time, the only thing that some containers
        know. Otherwise it may announce more than it shows: if time has gaps, or pictures lie before a trimmed start.
        """
        timeline, announced = self._read_timeline(), self._announced
        if timeline.restarts:  # only the first of several recordings is announced
            return timeline.packets
        last_s = self._last_t if timeline.times_s is None else float(timeline.times_s[-1])
        if _lacks(max(timeline.packets, round(last_s * self._announced_fps) + 1), announced):
            # If the file is complete, it is its sound that lasts longer.
            return timeline.frames if is_all_there(self.path) else announced
        return min(timeline.frames, announced or timeline.frames)

    def _read_timeline(self) -> Timeline:
        if self._timeline is None:
            self._timeline = read_timeline(self.path)
        return self._timeline

    def seek(self, index: int) -> None:
        """Make ``index`` the next frame; one beyond the end means the last. The first call beyond the start reads the file once.

        If a damaged file lacks the frame, the one after it is next.
        """
        if index > 0 and not self._sought:
            self._sought = True
            self._count_frames()
        index = min(max(index, 0), max(self._count, 1) - 1)
        if index == self._next:
            return
        self._search(index)
        few = self._count - self._next < LOST_IN_A_ROW and not _lacks(self._next, self._count)
        if not self._grabbed and self._next > 0 and few:
            # Those at the end cannot be decoded: the last is the one before them.
            self._count = self._next
            self._search(self._count - 1)
        self._last_t = -1.0

    def _count_frames(self) -> None:
        timeline, whole = self._read_timeline(), self._should_hold()
        self._count = timeline.frames if timeline.times_s is not None else min(timeline.frames, whole)
        if _lacks(self._count, whole):
            self.warnings.append(f"{self.path}: cut short or damaged, holds only {self._count} of {whole} frames.")

    def _search(self, index: int) -> None:
        """Decode the frame ``index``, or the one after it if it cannot be decoded.

        OpenCV seeks by the average rate, and so lands near the frame at best. The time of the picture tells where it
        landed; from a place before the frame, pictures are read on, and identified by their times.
        """
        if index > 0 and self._timeline is not None and self._timeline.times_s is not None:
            t_s, back_s = float(self._timeline.times_s[index]), max(SEARCH_BACK_S, 2 / self.fps)
            while back_s < t_s:
                self._capture.set(cv2.CAP_PROP_POS_MSEC, 1000.0 * (t_s - back_s))
                # If it landed on the frame itself, that may be the second of two with equal times.
                if self._reach(index) < self._timeline.index_at(t_s):
                    return
                back_s *= 4
        self._reopen()
        self._reach(index)

    def _reach(self, index: int) -> int:
        """Decode until ``index`` is reached or passed; return the first frame decoded, or the frame count if there was none."""
        self._next, self._grabbed = 0, False
        self._clock.reset()
        first = self._count
        while self._decode() is not None:
            first = min(first, self._next)
            if self._next >= index:
                self._grabbed = True
                break
            self._next += 1
        return first

    def _reopen(self) -> None:
        if not _opens(self._capture, self.path):
            raise SourceError(f"{self.path}: cannot be read any more. Check that it is still there, and open it again")

    def release(self) -> None:
        """Close the file."""
        self._capture.release()


class _Clock:
    """The time of the picture decoded last, as the file gives it; if the file's clock restarts, time runs on from before."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self.reset()

    def reset(self) -> None:
        """Forget the pictures before."""
        self.t_s, self._latest_s, self._offset_s = 0.0, 0.0, 0.0
        self._untold = 0

    def tell(self, reported_s: float) -> None:
        """Take the time that the file reports for a picture; zero if it gives none."""
        if reported_s <= 0 < self._latest_s:
            # Or this is the first picture of another recording, which the next picture will show.
            self.t_s = 0.0
            self._untold += 1
            return
        if reported_s + self._offset_s < self._latest_s - RESTART_S:
            self._offset_s = self._latest_s + (self._untold + 1) * self._step_s - reported_s
        self.t_s = self._latest_s = reported_s + self._offset_s
        self._untold = 0


def _opens(capture: cv2.VideoCapture, path: Path) -> bool:
    opened = capture.open(opencv_name(path), cv2.CAP_FFMPEG)
    # Phones store upright recordings sideways, with metadata on how to turn them. ``open`` refuses this as a parameter.
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return bool(opened)


def _flip(capture: cv2.VideoCapture) -> int:
    """Return what OpenCV leaves to be done with a mirrored picture, which it turns so that only its rows are right: the flip."""
    return 1 if capture.get(cv2.CAP_PROP_ORIENTATION_META) % 180 else 0


def _stretch(capture: cv2.VideoCapture) -> float:
    """Return the ratio of a pixel's shown width to its height, not 1 on discs and tapes; for turned pictures, after turning."""
    wide, high = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    ratio = wide / high if wide > 0 and high > 0 else 1.0
    if not 1 / MOST_STRETCH <= ratio <= MOST_STRETCH:
        return 1.0
    return 1 / ratio if capture.get(cv2.CAP_PROP_ORIENTATION_META) % 180 else ratio


def square_pixels(picture: UInt8Array, stretch: float) -> UInt8Array:
    """Resample a picture (H, W, 3), whose pixels are ``stretch`` times as wide as high, to square ones, no fewer than before."""
    height, width = picture.shape[:2]
    size = (round(width * stretch), height) if stretch > 1 else (width, round(height / stretch))
    if size == (width, height):
        return picture
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _lacks(held: int, announced: int) -> bool:
    return announced - held > max(MISSING_FRAMES, MISSING_SHARE * announced)
