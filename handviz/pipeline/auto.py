"""The choice ``auto``: the most accurate estimator that keeps up with the source on this machine.

It begins with the best one and watches how long frames with hands take. If their median stays above the time between two
pictures, the next, faster one takes over. If there has since been time for the better one for a while, because other work
on this machine has ended, it comes back; if that fails, the next return takes twice as long, because going back and forth
would be worse than either. Frames that share the cores with another analysis, ahead of the view or into a file, do not count.
Nothing is timed beforehand, so starting takes no longer, and no network is loaded that is not used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from handviz.pipeline.config import AUTO, SessionConfig

# Most accurate first, by training/RESULTS.md; each is faster than the one before it.
BEST_FIRST = ("groups-fit", "groups", "mediapipe")
# Beyond this rate accuracy is worth more than further results.
ENOUGH_HZ = 30.0
# Results with hands that a decision is based on: about two seconds.
LOOKED_AT = 60
# A median may exceed the time between pictures by this factor: then one result in ten is dropped, which nobody notices.
TOLERANCE = 1.1
# The better of two neighbours takes 1.2 to 1.5 times as long as the other: it comes back when there is time for this factor
# over this many results in a row, about ten seconds.
BETTER_TAKES = 1.4
CALM = 300
# One entry for each task of this process that takes cores from the view for a while.
_beside: list[None] = []


def meant(estimator: str) -> str:
    """Return what a choice means before anything runs: the best estimator for ``auto``, else the choice itself."""
    return BEST_FIRST[0] if estimator == AUTO else estimator


def resolved(config: SessionConfig, running: str | None) -> SessionConfig:
    """Return the configuration with ``auto`` replaced by the estimator that runs, or by the best one before any does."""
    return replace(config, estimator=running or meant(AUTO)) if config.estimator == AUTO else config


@contextmanager
def beside_the_view() -> Iterator[None]:
    """Mark a block that analyses a recording (ahead, or into a file) during a view: no ``AutoChoice`` counts frames meanwhile."""
    _beside.append(None)
    try:
        yield
    finally:
        _beside.pop()


class AutoChoice:
    """Which estimator ``auto`` means, from how long frames took."""

    def __init__(self) -> None:
        self._place = self._before = self._first_place = 0
        self._last_place = len(BEST_FIRST) - 1
        self._calm, self._calm_wanted = 0, CALM
        self._frame_ms: deque[float] = deque(maxlen=LOOKED_AT)
        self._gaps_ms: deque[float] = deque(maxlen=LOOKED_AT)
        # Why each place but the first was taken.
        self._reasons: dict[int, str] = {}

    @property
    def name(self) -> str:
        """The estimator to use."""
        return BEST_FIRST[self._place]

    @property
    def reason(self) -> str | None:
        """Why it is not the next better one; None for the best one."""
        return self._reasons.get(self._place)

    def saw(self, frame_ms: float, gap_ms: float) -> bool:
        """Take the time that a frame with hands took and the source's time between pictures; return True if ``name`` changed."""
        if _beside:
            return False
        self._frame_ms.append(frame_ms)
        self._gaps_ms.append(gap_ms)
        if len(self._frame_ms) < LOOKED_AT:
            return False
        took, given = float(np.median(self._frame_ms)), max(float(np.median(self._gaps_ms)), 1e3 / ENOUGH_HZ)
        self._calm = self._calm + 1 if BETTER_TAKES * took <= given else 0
        if took > TOLERANCE * given and self._place < self._last_place:
            self._reasons[self._place + 1] = f"{self.name} took {took:.0f} ms per frame, but a new one comes every {given:.0f} ms"
            if self._before > self._place:  # coming back failed
                self._calm_wanted *= 2
            self._move(1)
            return True
        if self._calm >= self._calm_wanted and self._place > self._first_place:
            self._move(-1)
            return True
        return False

    def _move(self, by: int) -> None:
        self._before, self._place = self._place, self._place + by
        self._calm = 0
        self._frame_ms.clear()

    def stay(self) -> None:
        """Go back to the previous estimator for good: this one is not available."""
        if self._place > self._before:
            self._last_place = self._before
        else:
            self._first_place = self._before
        self._place = self._before
