"""Reading a source at its own pace: play, pause, seek, step, speed, loop and range. Runs in the capture thread."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from handviz.capture.base import CameraChoice, Source
from handviz.errors import SourceError
from handviz.pipeline.slots import LatestSlot
from handviz.records import Frame

MIN_SPEED, MAX_SPEED = 0.1, 4.0
IDLE_S = 0.25
# The longest that playback stands still if a recording's own time leaps by more.
LEAP_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerState:
    """What the player is doing, and what the user asked for."""

    playing: bool = True
    ended: bool = False
    speed: float = 1.0
    loop: bool = False
    range_in: int | None = None
    range_out: int | None = None
    position: int = -1
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Captured:
    """A frame on its way to inference. Frames of one ``run`` are consecutive; ``choice`` is what its camera was derived from."""

    frame: Frame
    run: int
    choice: CameraChoice


class Player:
    """Feeds frames of one source into a slot. Commands may come from any thread and take effect at once."""

    def __init__(self, source: Source, slot: LatestSlot[Captured], *, playing: bool = True, waits: bool = False) -> None:
        """``waits``: nothing is due before ``begin``; the frame read until then is ``frame``."""
        self.source = source
        # The frame that was read last.
        self.frame: Frame | None = None
        self._slot = slot
        self._changed = threading.Condition()
        self._state = PlayerState(playing=playing)
        self._target: int | None = None if playing else 0
        # The frame that is being read for a seek; a step right after it counts from there.
        self._under_way: int | None = None
        # The frame that the source reads next without a seek.
        self._next = 0
        # The target of a seek that could not be read, so that a later frame came instead: steps back count from the target.
        self._sought: int | None = None
        self._run = 0
        self._stop = False
        self._waits = waits
        # Wall clock and media time from which due times count; None: restart from the next frame.
        self._anchor: tuple[float, float] | None = None

    @property
    def state(self) -> PlayerState:
        """A snapshot of the current state."""
        with self._changed:
            return self._state

    def command(self, **changes: object) -> None:
        """Change fields of the state (playing, speed, loop, range) and wake the thread."""
        with self._changed:
            if changes.get("playing") and (self._state.ended or (self._target is None and self._stands_at_the_end)):
                self._target = self._state.range_in or 0
            elif changes.get("playing") is False and not self.source.live and self._state.position < 0 and self._target is None:
                # Paused before its first frame was shown: show that one.
                self._target = 0
            self._state = replace(self._state, **changes)  # type: ignore[arg-type]
            self._anchor = None
            self._changed.notify_all()

    def begin(self) -> None:
        """Let frames become due from now on."""
        with self._changed:
            self._waits = False
            self._changed.notify_all()

    def seek(self, index: int) -> None:
        """Show the frame ``index`` next, playing or paused."""
        with self._changed:
            self._target = max(index, 0)
            self._anchor = None
            self._changed.notify_all()

    def told_anew(self) -> None:
        """Retry what could not be read with the camera chosen before."""
        with self._changed:
            failed = self._state.error is not None or (self._state.ended and self._state.position < 0)
            if failed and not self.source.live and self._target is None:
                self._state = replace(self._state, error=None)
                self._target = max(self._state.position, 0)
                self._changed.notify_all()

    def read_again(self, index: int) -> None:
        """Show the frame ``index`` again if playback is paused at it."""
        with self._changed:
            held = not self._state.playing and self._state.position == index
            if held and self._target is None and self._under_way is None:
                self._target = index
                self._changed.notify_all()

    def step(self, delta: int) -> None:
        """Pause and move by ``delta`` frames from the one shown."""
        with self._changed:
            self._state = replace(self._state, playing=False)
            sought = self._sought if delta < 0 else None
            waiting = (self._target, self._under_way, sought, self._state.position)
            base = next(index for index in waiting if index is not None)
            self._target = max(base + delta, 0)
            self._changed.notify_all()

    def stop(self) -> None:
        """Let ``run`` return soon."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()

    def run(self) -> None:
        """Read until stopped; the body of the capture thread."""
        try:
            while not self._stopped():
                self._turn()
        finally:
            self.source.release()

    def _stopped(self) -> bool:
        with self._changed:
            return self._stop

    def _turn(self) -> None:
        target = self._wait_for_work()
        if self._stopped():
            return
        choice = self.source.camera
        try:
            jump = self._go_to(target)
            self._run += jump
            frame = self.source.read()
            self._next = -1 if frame is None else frame.index + 1
        except SourceError as error:
            self._failed(str(error))
            return
        if frame is None:
            self._at_end()
        else:
            self.frame = frame
            captured = Captured(frame=frame, run=self._run, choice=choice)
            self._deliver(captured, target, alone=jump)

    def _wait_for_work(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stop or self._target is not None or self._runs(), None)
            target, self._target = self._target, None
            self._under_way = target
            return target

    @property
    def _stands_at_the_end(self) -> bool:
        """Whether the frame shown is the last one."""
        return _at_range_end(self._state) or self._state.position + 1 == self.source.frame_count

    def _runs(self) -> bool:
        return self._state.playing and not self._state.ended

    def _go_to(self, target: int | None) -> bool:
        state = self.state
        if target is None:
            if not _at_range_end(state):
                return False
            if not state.loop:
                self._update(playing=False, ended=True)
                return False
            target = state.range_in or 0
            with self._changed:
                self._anchor = None
        follows = target == state.position + 1
        if target != self._next or state.ended:
            self.source.seek(target)
        self._update(ended=False)
        return not follows

    def _deliver(self, captured: Captured, target: int | None, *, alone: bool) -> None:
        frame = captured.frame
        if not self.source.live and not self._wait_until_due(frame, target is not None):
            return
        self._sought = target if target is not None and frame.index > target else None
        self._update(position=frame.index, error=None)
        # Its arrival is when it was due, not when it was decoded ahead of time.
        self._slot.put(replace(captured, frame=replace(frame, t_arrival_s=time.perf_counter())), alone=alone)

    def _wait_until_due(self, frame: Frame, sought: bool) -> bool:
        """Wait for the frame's time; False if a seek made it obsolete. While paused only the target of a seek is due."""
        with self._changed:
            while self._target is None and not self._stop:
                if self._waits:
                    self._changed.wait()
                elif self._state.playing:
                    left_s = self._due_in_s(frame)
                    if left_s <= 0:
                        return True
                    self._changed.wait_for(self._has_other_plans, left_s)
                elif sought:
                    return True
                else:
                    # A pause came before it was due: it is the first one when playback resumes.
                    self._changed.wait_for(lambda: self._stop or self._target is not None or self._state.playing)
            return False

    def _has_other_plans(self) -> bool:
        return self._stop or self._target is not None or self._anchor is None

    def _due_in_s(self, frame: Frame) -> float:
        if self._anchor is None:
            self._anchor = (time.perf_counter(), frame.t_capture_s)
        wall, media = self._anchor
        left_s = wall + (frame.t_capture_s - media) / self._state.speed - time.perf_counter()
        if left_s < -0.5:
            # Decoding cannot keep up: do not try to catch up in a burst.
            self._anchor = (time.perf_counter(), frame.t_capture_s)
        elif min(left_s, left_s * self._state.speed) > LEAP_S:
            left_s = LEAP_S
            self._anchor = (time.perf_counter() + LEAP_S, frame.t_capture_s)
        return left_s

    def _at_end(self) -> None:
        state = self.state
        if state.loop and (self.source.frame_count or 0) > 1:
            with self._changed:
                if self._target is None:
                    self._target = state.range_in or 0
                self._anchor = None
        else:
            self._update(ended=True, playing=False)

    def _failed(self, message: str) -> None:
        live = self.source.live
        self._update(error=message, **({} if live else {"ended": True, "playing": False}))
        if live:
            with self._changed:
                self._changed.wait_for(lambda: self._stop, IDLE_S)

    def _update(self, **changes: object) -> None:
        with self._changed:
            if "position" in changes or changes.get("ended"):
                self._under_way = None
            self._state = replace(self._state, **changes)  # type: ignore[arg-type]


def _at_range_end(state: PlayerState) -> bool:
    return state.range_out is not None and state.position >= state.range_out
