"""Where to crop a followed hand: as last time while it hardly moves, so that a resting hand gives a steady answer."""

from __future__ import annotations

import math

from handviz.crop import CropWindow

# How far a kept window may differ from the newest joints': shift as a fraction of its side, log of its size, roll in radians.
# This is within the jitter that the networks are trained with. It halves the jitter of a resting hand's joints
# (scripts/bench_jitter.py).
SHIFT, LOG_SIZE, ROLL = 0.04, 0.08, 0.12


class SteadyWindows:
    """Remembers each track's window."""

    def __init__(self) -> None:
        self._windows: dict[int, CropWindow] = {}

    def __call__(self, track_id: int, window: CropWindow) -> CropWindow:
        """Return the track's last window if this new one hardly differs, else the new one."""
        last = self._windows.get(track_id)
        if last is not None and is_near(window, last):
            return last
        self._windows[track_id] = window
        return window

    def forget(self, track_id: int) -> None:
        """Drop the window of a track that ended."""
        self._windows.pop(track_id, None)


def is_near(window: CropWindow, last: CropWindow) -> bool:
    """Say whether two windows nearly coincide."""
    shift = math.hypot(window.u - last.u, window.v - last.v) / last.side
    roll = math.remainder(window.roll - last.roll, 2 * math.pi)
    return shift < SHIFT and abs(math.log(window.side / last.side)) < LOG_SIZE and abs(roll) < ROLL
