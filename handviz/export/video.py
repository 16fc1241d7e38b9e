"""Videos of results: one writer that takes every picture (for recordings), one for a live view that it never holds up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from handviz.errors import OutputError
from handviz.export.files import check_writable, refuse_source
from handviz.export.jsonl import JsonlWriter
from handviz.export.mp4 import Mp4Writer
from handviz.export.poses import pose_frame
from handviz.records import FrameResult, UInt8Array

VIDEO_SUFFIXES = (".mp4", ".mov")
POSES_SUFFIX = ".jsonl"
_JPEG_QUALITY = 88
# Live pictures that may wait for the writer, about a quarter of a second, before one is dropped.
_WAITING_FRAMES = 8
# No picture of a playing source is shown longer than this, however slow the machine is: a longer step is a leap.
_LEAP_S = 2.0
_USUAL_STEP_S = 1 / 30


Draw = Callable[[FrameResult], UInt8Array]


def recorded_files(path: Path) -> tuple[Path, Path]:
    """Return the files of a recording with this name: its video and its poses."""
    return path, path.with_suffix(POSES_SUFFIX)


def plain_picture(result: FrameResult) -> UInt8Array:
    """Return the picture without any drawing, as ``VideoRecorder`` wants it."""
    return result.frame.rgb


class VideoWriter:
    """Writes every picture given, each with its true time; the file plays even after a crash or a full disk.

    The file is begun with the first picture, whose size is the video's; a picture of another size is fitted in with black
    borders. Raises OutputError, immediately if that is already clear, if the file cannot be written; what was written before
    stays playable.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() not in VIDEO_SUFFIXES:
            raise OutputError(f"{self._path}: videos are saved as {' or '.join(VIDEO_SUFFIXES)}. Give a name that ends so.")
        check_writable(self._path)
        self._mp4: Mp4Writer | None = None
        self._size = (0, 0)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def frames(self) -> int:
        """Pictures written."""
        return 0 if self._mp4 is None else self._mp4.frames

    @property
    def length_s(self) -> float:
        """Time from the first picture to the last, in seconds."""
        return 0.0 if self._mp4 is None else self._mp4.length_s

    @property
    def bytes_written(self) -> int:
        """Size of the file so far."""
        return 0 if self._mp4 is None else self._mp4.bytes_written

    def write(self, rgb: UInt8Array, t_s: float) -> None:
        """Append a picture (height, width, 3) that is shown from ``t_s`` seconds on."""
        if self._mp4 is None:
            self._size = (rgb.shape[1], rgb.shape[0])
            self._mp4 = Mp4Writer(self._path, *self._size)
        bgr = cv2.cvtColor(_fitted(rgb, self._size), cv2.COLOR_RGB2BGR)
        done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        assert done, "a uint8 picture always encodes"
        self._mp4.write(jpeg.tobytes(), t_s)

    def close(self) -> None:
        """Finish the file; closing twice does nothing."""
        if self._mp4 is not None:
            self._mp4.close()


def _fitted(rgb: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    scale = min(size[0] / width, size[1] / height)
    small = cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    top, left = (size[1] - small.shape[0]) // 2, (size[0] - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


class RecordingClock:
    """Time within a recording, in seconds from 0. It follows the source's time; if that goes back (a loop, another
    source) or leaps (a seek, a pause of a camera), it advances by the last step instead.
    """

    def __init__(self) -> None:
        self._source_s: float | None = None
        self._step_s = _USUAL_STEP_S
        self._now_s = 0.0

    def __call__(self, source_s: float) -> float:
        """Return the next picture's time in the recording; its time in the source is ``source_s``."""
        if self._source_s is not None:
            if 0 < source_s - self._source_s <= _LEAP_S:
                self._step_s = source_s - self._source_s
            self._now_s += self._step_s
        self._source_s = source_s
        return self._now_s


class VideoRecorder:
    """Records live results: a video, and next to it the poses as JSON lines (``POSES_SUFFIX``), line i for picture i.

    ``write`` never waits: a thread draws, encodes and writes, and if it falls behind, the
    result is left out of both files and counted in ``dropped``. In the poses ``frame`` and ``t_s`` count within the video,
    whose time runs steadily whatever the source's does (``RecordingClock``).

    Both files are begun with the first picture: existing files stay if nothing is recorded. Raises OutputError immediately
    if one of them cannot be written, or is one of the ``sources``, the files being read meanwhile.
    """

    def __init__(self, path: Path | str, sources: Iterable[Path | None] = ()) -> None:
        self.path, self._poses_path = recorded_files(Path(path))
        self.dropped = 0
        self._video = VideoWriter(self.path)
        check_writable(self._poses_path)
        for source in sources:
            refuse_source(self.path, source)
            refuse_source(self._poses_path, source)
        self._clock = RecordingClock()
        self._error: OutputError | None = None
        self._waiting: queue.Queue[tuple[FrameResult, float, Draw] | None] = queue.Queue(_WAITING_FRAMES)
        self._thread = threading.Thread(target=self._run, name="video recorder", daemon=True)
        self._thread.start()

    @property
    def frames(self) -> int:
        """Pictures recorded so far."""
        return self._video.frames

    @property
    def length_s(self) -> float:
        """Length recorded so far in seconds."""
        return self._video.length_s

    @property
    def error(self) -> OutputError | None:
        """Why recording stopped (such as a full disk), or None while all is well. The files are finished by then."""
        return self._error

    def write(self, result: FrameResult, draw: Draw = plain_picture) -> bool:
        """Hand a result over; False when it was dropped. ``draw`` makes its picture, with an overlay or without."""
        if self._error is not None:
            return False
        # A dropped result takes up its time, too.
        t_s = self._clock(result.frame.t_capture_s)
        try:
            self._waiting.put_nowait((result, t_s, draw))
        except queue.Full:
            self.dropped += 1
            return False
        return True

    def close(self) -> None:
        """Write what is waiting and finish both files. Raises the OutputError that stopped the recording, if any."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._write_all()
        except OutputError as error:
            self._fail(error)
        except Exception as error:  # whatever it is, it is reported and not lost with the thread
            self._fail(
                OutputError(
                    f"{self.path}: recording failed after {self.frames} pictures ({error!r}). They are kept; record again."
                )
            )

    def _fail(self, error: OutputError) -> None:
        self._error = error
        # ``close`` may be waiting for room in the queue. Do not wait for its None: it may have been taken already.
        while not self._waiting.empty():
            self._waiting.get_nowait()

    def _write_all(self) -> None:
        poses: JsonlWriter | None = None
        with ExitStack() as files:
            files.enter_context(self._video)
            while (waiting := self._waiting.get()) is not None:
                result, t_s, draw = waiting
                pose = replace(pose_frame(result), index=self._video.frames, t_s=t_s)
                self._video.write(draw(result), t_s)
                if poses is None:
                    poses = files.enter_context(JsonlWriter(self._poses_path))
                poses.write(pose)
