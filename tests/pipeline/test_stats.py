from __future__ import annotations

import time

import numpy as np

from handviz.geometry.camera import camera_from_fov
from handviz.pipeline.stats import StatsRecorder
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
