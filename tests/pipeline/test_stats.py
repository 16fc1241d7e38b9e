from __future__ import annotations

import time

import numpy as np
import pytest

from handviz.geometry.camera import camera_from_fov
from handviz.pipeline.stats import StatsRecorder, results_per_s
from handviz.records import Frame, FrameResult


def result(index: int, age_s: float) -> FrameResult:
    arrived = time.perf_counter() - age_s
    rgb = np.zeros((4, 4, 3), np.uint8)
    return FrameResult(
        frame=Frame(index=index, t_capture_s=index / 30, t_arrival_s=arrived, rgb=rgb, camera=camera_from_fov(4, 4)), hands=()
    )


def test_an_age_is_that_of_the_result_that_was_shown() -> None:
    """Two results wait for the display."""
    recorder = StatsRecorder()
    old, new = result(0, 5.0), result(1, 1.0)
    for one in (old, new):
        recorder.analysed(one)
    recorder.shown(old)
    ages = [point.age_ms for point in recorder.snapshot("cpu").history]
    assert ages[0] is not None and ages[0] > 4999 and ages[1] is None
    recorder.shown(new)
    ages = [point.age_ms for point in recorder.snapshot("cpu").history]
    assert ages[0] is not None and ages[1] is not None and ages[0] > 4999 > ages[1] > 999


def test_one_shown_without_an_analysis_is_no_ones_age() -> None:
    """A camera's picture while the networks load."""
    recorder = StatsRecorder()
    recorder.shown(result(0, 1.0))
    recorder.analysed(result(1, 1.0))
    assert [point.age_ms for point in recorder.snapshot("cpu").history] == [None]


@pytest.mark.parametrize("interval_s", [1 / 30, 0.5, 0.9, 1.5, 4.0])
def test_the_rate_of_slow_results_is_shown_as_well_until_they_stop(interval_s: float) -> None:
    times = [i * interval_s for i in range(100)]
    last = times[-1]
    for age_s in (0.0, 0.5 * interval_s, 0.99 * interval_s):
        assert results_per_s(times, last + age_s) == pytest.approx(1 / interval_s)
    assert results_per_s(times, last + max(2.0, 2 * interval_s) + 0.1) == 0.0


def test_a_rate_needs_three_results_and_follows_a_change() -> None:
    assert results_per_s([], 1.0) == results_per_s([1.0, 1.1], 1.2) == 0.0
    slow, fast = [0.0, 4.0, 8.0], [8.0 + i / 10 for i in range(1, 25)]
    assert results_per_s(slow + fast, fast[-1]) == pytest.approx(10.0)
