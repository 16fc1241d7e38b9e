"""Rates, ages and times, as shown and reported."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import psutil

from handviz.records import FrameResult

WINDOW = 120
HISTORY = 600
# A rate is that of the results of the last seconds, or of this many where there are fewer.
RATE_S = 2.0
RATE_LEAST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsPoint:
    """A result: its frame's number, its time, milliseconds by stage, and the picture's age when shown (None before)."""

    frame: int
    t_s: float
    stage_ms: Mapping[str, float]
    age_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStats:
    """Medians over the last seconds. ``analysed`` and ``dropped`` count frames since the start that were analysed or dropped."""

    results_per_s: float = 0.0
    age_ms_p50: float | None = None
    analysed: int = 0
    dropped: int = 0
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    device: str = ""
    rss_mb: float = 0.0
    history: tuple[StatsPoint, ...] = ()


class StatsRecorder:
    """Collects from the inference thread and the display; gives a snapshot to whoever asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: deque[StatsPoint] = deque(maxlen=HISTORY)
        self._ages: deque[float] = deque(maxlen=WINDOW)
        self._analysed = self._dropped = 0
        self._process = psutil.Process()

    def analysed(self, result: FrameResult) -> None:
        """Count a result."""
        with self._lock:
            self._analysed += 1
            self._dropped += result.dropped
            stages = dict(result.timings_ms)
            self._points.append(StatsPoint(frame=result.frame.index, t_s=time.perf_counter(), stage_ms=stages, age_ms=None))

    def shown(self, result: FrameResult) -> None:
        """Note how old the picture is at the moment it is taken for display."""
        age = (time.perf_counter() - result.frame.t_arrival_s) * 1e3
        with self._lock:
            self._ages.append(age)
            # A few results may have been analysed since.
            for place in range(len(self._points) - 1, -1, -1):
                if self._points[place].frame == result.frame.index:
                    self._points[place] = replace(self._points[place], age_ms=age)
                    break

    def snapshot(self, device: str) -> SessionStats:
        """Return the current medians."""
        with self._lock:
            points, ages = tuple(self._points), list(self._ages)
            analysed, dropped = self._analysed, self._dropped
        now = time.perf_counter()
        return SessionStats(
            results_per_s=results_per_s([p.t_s for p in points], now),
            age_ms_p50=float(np.median(ages)) if ages else None,
            analysed=analysed,
            dropped=dropped,
            stage_ms=median_stages([p.stage_ms for p in points[-WINDOW:]]),
            device=device,
            rss_mb=self._process.memory_info().rss / 2**20,
            history=points,
        )


def results_per_s(times_s: list[float], now_s: float) -> float:
    """Return the present rate of results that came at these times, in order; 0 with too few of them or once they have stopped."""
    recent = [t for t in times_s if now_s - t <= RATE_S]
    if len(recent) < RATE_LEAST:
        recent = times_s[-RATE_LEAST:]
    if len(recent) < RATE_LEAST:
        return 0.0
    interval_s = (recent[-1] - recent[0]) / (len(recent) - 1)
    has_stopped = now_s - recent[-1] > max(RATE_S, 2 * interval_s)
    return 0.0 if has_stopped or interval_s <= 0 else 1 / interval_s


def median_stages(stages: list[Mapping[str, float]]) -> dict[str, float]:
    """Return the median milliseconds of each stage over the frames in which it ran."""
    names = sorted({name for stage in stages for name in stage})
    return {name: float(np.median([stage[name] for stage in stages if name in stage])) for name in names}
