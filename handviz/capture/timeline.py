"""When the frames of a video file are shown, told by its packets, which are not decoded for it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from handviz.geometry.camera import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """``times_s`` (N,) are the times of all frames in order, growing; None where a file does not tell them apart.

    ``packets`` counts what the file holds, also what is never shown: a trimmed file keeps pictures before its start.
    """

    times_s: FloatArray | None
    packets: int

    def index_at(self, t_s: float) -> int:
        """Return the frame that is shown from ``t_s`` seconds on; the first one after where there is none."""
        assert self.times_s is not None
        return int(np.searchsorted(self.times_s, t_s - 1e-6))


def read_timeline(path: Path) -> Timeline:
    """Return the times of a video file's frames. It is read once from end to end, as fast as the disk is."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])  # packets instead of pictures
    times = array("d")
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0)
    capture.release()
    in_order = np.sort(np.array(times))  # packets come in the order of decoding
    # What lies before the start of a trimmed file is said to be at its start.
    shown = in_order[max(np.count_nonzero(in_order <= 0) - 1, 0) :]
    untold = len(times) > 1 and in_order[-1] <= 0
    tells = len(shown) > 0 and not untold and bool((np.diff(shown) > 0).all())
    return Timeline(times_s=shown if tells else None, packets=len(times))
