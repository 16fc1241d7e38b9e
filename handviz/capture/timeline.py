"""When the frames of a video file are shown, read from its packets without decoding them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from handviz.capture.base import opencv_name
from handviz.geometry.camera import FloatArray

# A picture this much earlier than the last one begins another recording in the same file, as after `cat a.ts b.ts`.
RESTART_S = 0.5
# Pictures that are stored out of order are at most this many places off.
MOST_REORDERED = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """``times_s`` (N,) are the times of all frames in order, of which some may be equal; None if the file gives none.

    ``packets`` counts all that the file holds, including what is never shown: a trimmed file keeps pictures before its start.
    ``restarts`` says that its clock starts again within the file, so that times are ambiguous and ``times_s`` is None.
    """

    times_s: FloatArray | None
    packets: int
    restarts: bool = False

    @property
    def frames(self) -> int:
        """Number of frames, or of packets if there are no times."""
        return self.packets if self.times_s is None else len(self.times_s)

    def index_at(self, t_s: float) -> int:
        """Return the frame shown from ``t_s`` seconds on: the first of several at that time, or the next one if there is none."""
        assert self.times_s is not None
        return int(np.searchsorted(self.times_s, t_s - 1e-6))


def read_timeline(path: Path) -> Timeline:
    """Return the times of a video file's frames. The file is read once from end to end, as fast as the disk allows."""
    capture = cv2.VideoCapture(opencv_name(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])  # packets instead of pictures
    times = array("d")
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0)
    capture.release()
    packets = np.array(times)
    if _restarts(packets[packets > 0]):  # zero: no time is given
        return Timeline(times_s=None, packets=len(packets), restarts=True)
    return Timeline(times_s=_times_of_pictures(path, packets), packets=len(packets))


def _restarts(packet_times_s: FloatArray) -> bool:
    steps = np.diff(packet_times_s)
    return bool((steps < -max(RESTART_S, MOST_REORDERED * float(np.median(np.abs(steps))))).any()) if len(steps) else False


def _times_of_pictures(path: Path, packet_times_s: FloatArray) -> FloatArray | None:
    """Return the times of the pictures in order, from those of packets in decoding order; None if they cannot be derived."""
    in_order = np.sort(packet_times_s)
    if len(in_order) == 0 or (len(in_order) > 1 and in_order[-1] <= 0):
        return None
    at_start = np.count_nonzero(in_order == in_order[0])
    shown = _shown_until(path, in_order[0], at_start)
    if shown == 0:  # the pictures' times differ from the packets': an AVI with pictures out of order
        return None
    # Packets before the start of a trimmed file are given the time of its start.
    times_s = in_order[at_start - shown :]
    repeated = bool((np.diff(times_s) == 0).any())
    reordered = bool((np.diff(packet_times_s) < 0).any())
    # If pictures are out of order, equal times are of two kinds: presentation and decoding times.
    return None if repeated and reordered else times_s


def _shown_until(path: Path, last_s: float, at_most: int) -> int:
    """Count the first pictures of a file that are shown at ``last_s`` or before, including those that cannot be decoded."""
    capture = cv2.VideoCapture(opencv_name(path), cv2.CAP_FFMPEG)
    shown = 0
    while shown < at_most and not (capture.grab() and capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0 > last_s):
        shown += 1
    capture.release()
    return shown
