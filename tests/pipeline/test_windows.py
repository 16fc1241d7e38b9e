"""A resting hand is cut where it was cut before; one that moves is followed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from handviz.crop import CropWindow
from handviz.pipeline.windows import SteadyWindows

WINDOW = CropWindow(u=100.0, v=80.0, side=60.0, roll=math.pi - 0.02)


@pytest.mark.parametrize("change", [{"u": 101.0}, {"v": 79.0}, {"side": 62.0}, {"roll": -math.pi + 0.02}])
def test_a_small_change_keeps_the_window(change: dict[str, float]) -> None:
    windows = SteadyWindows()
    windows(0, WINDOW)
    assert windows(0, replace(WINDOW, **change)) is WINDOW


@pytest.mark.parametrize("change", [{"u": 104.0}, {"v": 75.0}, {"side": 70.0}, {"side": 52.0}, {"roll": 0.0}])
def test_a_hand_that_moves_is_followed(change: dict[str, float]) -> None:
    windows = SteadyWindows()
    windows(0, WINDOW)
    moved = replace(WINDOW, **change)
    assert windows(0, moved) is moved


def test_slow_motion_is_followed_in_the_end() -> None:
    windows = SteadyWindows()
    for step in range(40):
        wanted = replace(WINDOW, u=WINDOW.u + 0.5 * step)
        assert abs(windows(0, wanted).u - wanted.u) < 0.04 * WINDOW.side


def test_tracks_are_apart_and_forgotten_when_they_end() -> None:
    windows = SteadyWindows()
    windows(0, WINDOW)
    near = replace(WINDOW, u=100.5)
    assert windows(1, near) is near
    windows.forget(0)
    assert windows(0, near) is near
