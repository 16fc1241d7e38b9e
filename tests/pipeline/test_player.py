"""What the player delivers, frame by frame, when the user pauses, steps and resumes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from handviz.capture.base import CameraChoice
from handviz.geometry.camera import camera_from_fov
from handviz.pipeline.player import Captured, Player
from handviz.pipeline.slots import LatestSlot
from handviz.records import Frame
from tests.pipeline.waiting import wait_for

COUNT = 50
CAMERA = camera_from_fov(4, 4)
# At a tenth of its speed a frame lasts a third of a second.
SLOW = 0.1


class Recording:
    """A recording of 30 frames a second that notes what is asked of it."""

    live = False
    frame_count = COUNT
    camera = CameraChoice()

    def __init__(self) -> None:
        self.place = 0
        self.seeks: list[int] = []

    def read(self) -> Frame | None:
        if self.place >= COUNT:
            return None
        self.place += 1
        index = self.place - 1
        rgb = np.zeros((4, 4, 3), np.uint8)
        return Frame(index=index, t_capture_s=index / 30, t_arrival_s=0.0, rgb=rgb, camera=CAMERA)

    def seek(self, index: int) -> None:
        self.seeks.append(index)
        self.place = index

    def release(self) -> None:
        pass


class Watched:
    """A running player, and the numbers of the frames that it delivered."""

    def __init__(self, *, waits: bool = False) -> None:
        self.slot: LatestSlot[Captured] = LatestSlot()
        self.source = Recording()
        self.player = Player(self.source, self.slot, waits=waits)  # type: ignore[arg-type]
        self.player.command(speed=SLOW)
        self.thread = threading.Thread(target=self.player.run, daemon=True)
        self.thread.start()

    def next(self) -> int:
        captured = wait_for(self.slot.poll)
        assert isinstance(captured, Captured)
        return captured.frame.index


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.player.stop()
    made.thread.join(2.0)


def test_a_pause_holds_the_frame_that_is_shown(watched: Watched) -> None:
    assert watched.next() == 0
    watched.player.command(playing=False)
    time.sleep(0.5)
    assert watched.slot.poll() is None and watched.player.state.position == 0
    watched.player.command(playing=True)
    assert watched.next() == 1, "the one that was read already is not lost"
    assert watched.source.seeks == []


@pytest.mark.parametrize("playing", [True, False])
def test_what_is_read_before_the_beginning_is_there_and_is_not_lost(playing: bool) -> None:
    watched = Watched(waits=True)
    try:
        watched.player.command(playing=playing)
        wait_for(lambda: watched.player.frame is not None and watched.player.frame.index == 0)
        watched.player.seek(7)
        wait_for(lambda: watched.player.frame is not None and watched.player.frame.index == 7)
        time.sleep(0.1)
        assert watched.slot.poll() is None
        watched.player.begin()
        assert watched.next() == 7
        watched.player.command(playing=True)
        assert watched.next() == 8
    finally:
        watched.player.stop()
        watched.thread.join(2.0)
    assert not watched.thread.is_alive()


def test_one_that_never_began_stops() -> None:
    watched = Watched(waits=True)
    wait_for(lambda: watched.player.frame is not None)
    watched.player.stop()
    watched.thread.join(2.0)
    assert not watched.thread.is_alive() and watched.slot.poll() is None


def test_a_pause_before_the_beginning_holds_the_first_frame() -> None:
    watched = Watched(waits=True)
    try:
        wait_for(lambda: watched.player.frame is not None)
        watched.player.command(playing=False)
        watched.player.begin()
        assert watched.next() == 0
        time.sleep(0.1)
        assert watched.slot.poll() is None and watched.player.state.position == 0
    finally:
        watched.player.stop()
        watched.thread.join(2.0)


def test_playing_on_from_the_last_frame_begins_anew(watched: Watched) -> None:
    assert watched.next() == 0 and watched.source.frame_count is not None
    watched.player.command(playing=False)
    watched.player.seek(watched.source.frame_count - 1)
    assert watched.next() == watched.source.frame_count - 1
    watched.player.command(playing=True)
    assert watched.next() == 0


def test_steps_out_of_playing_are_steps_of_one(watched: Watched) -> None:
    assert watched.next() == 0
    time.sleep(0.05)
    watched.player.step(1)
    assert watched.next() == 1
    watched.player.step(1)
    assert watched.next() == 2
    watched.player.step(-1)
    assert watched.next() == 1
    watched.player.command(playing=True)
    assert watched.next() == 2


def test_a_seek_while_paused_is_shown_at_once(watched: Watched) -> None:
    assert watched.next() == 0
    watched.player.command(playing=False)
    watched.player.seek(30)
    assert watched.next() == 30
    watched.player.command(playing=True)
    assert watched.next() == 31


def test_a_leap_in_the_times_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour between two frames, as of a camera that was paused."""
    monkeypatch.setattr("handviz.pipeline.player.LEAP_S", 0.3)
    watched, read = Watched(), Recording.read

    def leaping(source: Recording) -> Frame | None:
        frame = read(source)
        return None if frame is None else replace(frame, t_capture_s=frame.t_capture_s + (3600 if frame.index > 2 else 0))

    monkeypatch.setattr(Recording, "read", leaping)
    watched.player.command(speed=1.0)
    try:
        start = time.monotonic()
        while watched.next() < 6:
            pass
        assert 0.3 < time.monotonic() - start < 60.0
    finally:
        watched.player.stop()
        watched.thread.join(2.0)


def test_a_short_loop_is_no_faster_than_it_was_recorded(watched: Watched) -> None:
    assert watched.next() == 0
    watched.player.command(speed=1.0, loop=True, range_in=5, range_out=9)
    watched.player.seek(5)
    while watched.next() != 5:
        pass
    start = time.monotonic()
    while watched.source.seeks.count(5) < 4:
        watched.next()
    # Three rounds and a little less: the first frame may have been late.
    assert time.monotonic() - start > 2.5 * 4 / 30


@pytest.mark.parametrize("place", [20, 30])
def test_playing_from_the_end_of_the_range_or_behind_it_begins_it_anew(watched: Watched, place: int) -> None:
    assert watched.next() == 0
    watched.player.command(playing=False, range_in=10, range_out=20)
    watched.player.seek(place)
    assert watched.next() == place
    watched.player.command(playing=True)
    assert watched.next() == 10


def test_steps_back_pass_what_can_not_be_read(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Recording.read

    def damaged(source: Recording) -> Frame | None:
        source.place += source.place in (11, 12)
        source.place += source.place == 12
        return read(source)

    monkeypatch.setattr(Recording, "read", damaged)
    assert watched.next() == 0
    watched.player.command(playing=False)
    watched.player.seek(13)
    assert watched.next() == 13
    shown = []
    for _ in range(3):
        watched.player.step(-1)
        shown.append(watched.next())
    assert shown == [13, 13, 10]
    watched.player.step(1)
    assert watched.next() == 13


def test_a_run_tells_of_a_jump_whose_own_frame_was_dropped(watched: Watched) -> None:
    first = wait_for(watched.slot.poll)
    watched.player.command(speed=1.0)
    watched.player.seek(30)
    wait_for(lambda: watched.player.state.position > 31)
    assert wait_for(watched.slot.poll).run == first.run + 1
