from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from handviz.geometry.camera import camera_from_fov
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.step import HandPipeline
from handviz.pipeline.where import SMALL, NextLook
from handviz.postprocess.tracking import URGENT_LOOKS, Track, Tracker, TrackingConfig
from handviz.records import Frame, HandDetection
from tests.pipeline.waiting import wait_for

PICTURE = np.zeros((240, 320, 3), np.uint8)


class NamedLooks:
    """A detector that tells how it was asked to look."""

    def detect(self, rgb: np.ndarray) -> str:
        return "all"

    def detect_in_part(self, rgb: np.ndarray, number: int) -> str:
        return f"part {number}"


def looks(next_look: NextLook, count: int, *tracks: Track) -> list[str]:
    tracker = Tracker(TrackingConfig())
    tracker.tracks = list(tracks)
    return [next_look(NamedLooks(), PICTURE, tracker)(PICTURE) for _ in range(count)]  # type: ignore[arg-type, misc]


def hand(extent_px: float, score: float = 1.0) -> Track:
    return Track(track_id=0, side="left", joints_px=np.linspace([50, 50], [60, 50 + extent_px], 21), score=score)


ALTERNATING = ["all", "all", "all", "part 1", "all", "part 2", "all"]


def test_every_second_look_is_at_the_next_part_while_no_large_hand_is_followed() -> None:
    small, large = hand(0.9 * SMALL * 240), hand(1.1 * SMALL * 240)
    assert looks(NextLook(), 7) == looks(NextLook(), 7, small) == ALTERNATING
    assert looks(NextLook(), 7, small, large) == ["all"] * 7


def test_a_hand_that_is_unsure_or_was_just_lost_is_looked_for_in_all_of_the_picture() -> None:
    assert looks(NextLook(), 7, hand(40, score=0.8)) == ["all"] * 7
    tracker, next_look = Tracker(TrackingConfig()), NextLook()
    there = hand(40).joints_px
    tracker.detected([HandDetection(side="left", score=0.9, joints_px=there)])
    tracker.estimated([there], [0.95])
    assert not tracker.needs_help
    tracker.estimated([there], [0.1])
    seen = []
    for _ in range(URGENT_LOOKS + 4):
        seen.append(next_look(NamedLooks(), PICTURE, tracker)(PICTURE))  # type: ignore[arg-type, misc]
        tracker.detected([])
    assert seen == ["all"] * (URGENT_LOOKS + 3) + ["part 1"]


def test_where_something_was_seen_is_looked_at_again_and_a_new_beginning_at_all() -> None:
    next_look = NextLook()
    assert looks(next_look, 4) == ALTERNATING[:4]
    next_look.again()
    assert looks(next_look, 2) == ["part 1", "all"]
    next_look.reset()
    assert looks(next_look, 7) == ALTERNATING


def frame(fakes: ModuleType, index: int, *columns: int) -> Frame:
    rgb = np.max([fakes.disc_picture(u) for u in (*columns, None)], axis=0)
    return Frame(index=index, t_capture_s=index / 30, t_arrival_s=0.0, rgb=rgb, camera=camera_from_fov(320, 240))


@pytest.fixture
def seen_in_a_part_only(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Small hands at 60 and 250, of which the second shows in part 2 alone. Returns the frames that were looked at there."""
    indices: list[int] = []

    def small(u: int) -> HandDetection:
        return HandDetection(side="left", score=0.9, joints_px=np.linspace([u, 100], [u + 5, 140], 21))

    def in_part(self: Any, rgb: np.ndarray, number: int) -> list[HandDetection]:
        shows = number == 2 and rgb[120, 250, 0] > 128
        indices.extend([number] * shows)
        return [small(250)] if shows else []

    monkeypatch.setattr(fakes.FakeDetector, "detect", lambda self, rgb: [small(60)] if rgb[120, 60, 0] > 128 else [])
    monkeypatch.setattr(fakes.FakeDetector, "detect_in_part", in_part)
    return indices


def test_a_hand_that_only_a_part_shows_is_found(fakes: ModuleType, seen_in_a_part_only: list[int]) -> None:
    pipeline = HandPipeline(SessionConfig())
    found = [bool(pipeline.process(frame(fakes, i, 250)).hands) for i in range(8)]
    assert found == [False] * 5 + [True] * 3 and seen_in_a_part_only == [2]


def test_a_second_hand_that_a_part_shows_beside_the_live_view_is_looked_for_there(
    fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, seen_in_a_part_only: list[int]
) -> None:
    narrow = fakes.HAND_M * [0.3, 0.3, 1.0]
    monkeypatch.setattr(fakes, "HAND_M", narrow)
    pipeline = HandPipeline(SessionConfig(detect_every=2, smoothing=False))
    counts = []
    for i in range(24):
        counts.append(len(pipeline.process_quickly(frame(fakes, i, 60, 250))[0].hands))
        wait_for(lambda: not pipeline._beside.busy)
    assert counts[-1] == 2 and seen_in_a_part_only[:2] == [2, 2], "once beside the live view, once in the frame that waited"
