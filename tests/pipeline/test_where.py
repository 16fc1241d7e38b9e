from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from handviz.pipeline.config import SessionConfig
from handviz.pipeline.step import HandPipeline
from handviz.pipeline.where import SMALL, NextLook
from handviz.postprocess.tracking import Track, Tracker, TrackingConfig
from handviz.records import HandDetection
from tests.pipeline.pictures import frame
from tests.pipeline.waiting import wait_for

PICTURE = np.zeros((240, 320, 3), np.uint8)
# Which parts come after the whole picture: the one in the middle, then those beside it.
ALTERNATING = ["all", "all", "all", "part 4", "all", "part 1", "all"]


class NamedLooks:
    """A detector that sees nothing and keeps how it was asked to look."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def detect(self, rgb: np.ndarray) -> list[HandDetection]:
        self.asked.append("all")
        return []

    def detect_in_part(self, rgb: np.ndarray, number: int) -> list[HandDetection]:
        self.asked.append(f"part {number}")
        return []


def looks(next_look: NextLook, count: int, *tracks: Track) -> list[str]:
    tracker, detector = Tracker(TrackingConfig()), NamedLooks()
    tracker.tracks = list(tracks)
    for _ in range(count):
        next_look(detector, PICTURE, tracker)(PICTURE)  # type: ignore[arg-type]
    return detector.asked


def hand(extent_px: float, score: float = 1.0, u: float = 50) -> Track:
    return Track(track_id=0, side="left", joints_px=np.linspace([u, 50], [u + 10, 50 + extent_px], 21), score=score)


def test_every_second_look_is_at_the_next_part_while_no_large_hand_is_followed() -> None:
    small, large = hand(0.9 * SMALL * 240), hand(1.1 * SMALL * 240)
    assert looks(NextLook(), 7) == looks(NextLook(), 7, small) == ALTERNATING
    assert looks(NextLook(), 7, small, large) == ["all"] * 7
    assert sorted(looks(NextLook(), 21)[3::2]) == [f"part {number}" for number in range(9)]


def test_an_unsure_hand_is_looked_for_in_all_of_the_picture() -> None:
    assert looks(NextLook(), 7, hand(40, score=0.8)) == ["all"] * 7


@pytest.mark.parametrize(
    ("extent", "expected"),
    [(0.9, ["part 0", "all", "all", "part 3", "all", "part 6"]), (1.1, ["all", *ALTERNATING[:4]])],
    ids=["small", "large"],
)
def test_a_small_hand_that_was_just_lost_is_looked_for_near_its_place_and_everywhere(extent: float, expected: list[str]) -> None:
    tracker, next_look, detector = Tracker(TrackingConfig()), NextLook(), NamedLooks()
    there = hand(extent * SMALL * 240).joints_px
    tracker.detected([HandDetection(side="left", score=0.9, joints_px=there)])
    tracker.estimated([there], [0.95])
    tracker.estimated([there], [0.1])
    for _ in range(5):
        next_look(detector, PICTURE, tracker)(PICTURE)  # type: ignore[arg-type]
        tracker.detected([])
        tracker.estimated([], [])
    assert detector.asked == expected


def test_where_something_was_seen_is_looked_at_again_and_a_new_beginning_at_all() -> None:
    next_look = NextLook()
    assert looks(next_look, 4) == ALTERNATING[:4]
    next_look.again()
    assert looks(next_look, 2) == ["part 4", "all"]
    next_look.reset()
    assert looks(next_look, 7) == ALTERNATING


@pytest.fixture
def seen_in_a_part_only(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Small hands at 60 and 250, of which the second shows in part 1 alone. Returns the parts that showed it."""
    showed: list[int] = []

    def small(u: int) -> HandDetection:
        return HandDetection(side="left", score=0.9, joints_px=np.linspace([u, 100], [u + 5, 140], 21))

    def in_part(self: Any, rgb: np.ndarray, number: int) -> list[HandDetection]:
        if number != 1 or rgb[120, 250, 0] <= 128:
            return []
        showed.append(number)
        return [small(250)]

    monkeypatch.setattr(fakes.FakeDetector, "detect", lambda self, rgb: [small(60)] if rgb[120, 60, 0] > 128 else [])
    monkeypatch.setattr(fakes.FakeDetector, "detect_in_part", in_part)
    return showed


def test_a_hand_that_only_a_part_shows_is_found(fakes: ModuleType, seen_in_a_part_only: list[int]) -> None:
    pipeline = HandPipeline(SessionConfig())
    found = [bool(pipeline.process(frame(fakes, i, 250)).hands) for i in range(8)]
    assert found == [False] * 5 + [True] * 3 and seen_in_a_part_only == [1]


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
    assert counts[-1] == 2 and seen_in_a_part_only[:2] == [1, 1], "once beside the live view, once in the frame that waited"
