"""The user's intents about time: pause, resume, step, seek, speed, loop, range. No Qt."""

from __future__ import annotations

from collections.abc import Callable

from handviz.app.views import SessionLike

LIVE_WORDS = (
    "A camera can only be frozen and resumed. Steps, ranges, loops, speeds and analysing ahead need a recording: "
    "record the camera first, then open the recording."
)


class Playback:
    """Passes intents to the current session; a camera can only be paused and resumed, which ``report`` says."""

    def __init__(
        self, session: Callable[[], SessionLike | None], report: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self._session = session
        self._report, self._changed = report, changed

    def play_pause(self) -> None:
        """Pause or resume."""
        session = self._session()
        if session is None:
            return
        if session.state().playing:
            session.pause()
        else:
            session.resume()
        self._changed()

    def seek(self, index: int) -> None:
        """Show a frame of the recording."""
        self._on_recording(lambda session: session.seek(index))

    def step(self, delta: int) -> None:
        """Pause and move by frames."""
        self._on_recording(lambda session: session.step(delta))

    def seek_end(self) -> None:
        """Show the last frame."""
        self._on_recording(lambda session: session.seek(max((session.state().frame_count or 1) - 1, 0)))

    def set_speed(self, factor: float) -> None:
        """Play faster or slower."""
        self._on_recording(lambda session: session.set_speed(factor))

    def set_loop(self, loop: bool) -> None:
        """Set whether to begin again at the end."""
        self._on_recording(lambda session: session.set_loop(loop))

    def flip_loop(self) -> None:
        """Loop on or off."""
        self._on_recording(lambda session: session.set_loop(not session.state().loop))

    def mark_in(self) -> None:
        """Begin the range at the frame shown; a second time there removes the mark."""

        def mark(session: SessionLike) -> None:
            state = session.state()
            first = None if state.range_in == state.position else state.position
            keep = state.range_out is None or first is None or state.range_out > first
            session.set_range(first, state.range_out if keep else None)

        self._on_recording(mark)

    def mark_out(self) -> None:
        """End the range at the frame shown; a second time there removes the mark."""

        def mark(session: SessionLike) -> None:
            state = session.state()
            last = None if state.range_out == state.position else state.position
            keep = state.range_in is None or last is None or state.range_in < last
            session.set_range(state.range_in if keep else None, last)

        self._on_recording(mark)

    def _on_recording(self, act: Callable[[SessionLike], None]) -> None:
        session = self._session()
        if session is None:
            return
        if session.state().live:
            self._report(LIVE_WORDS)
            return
        act(session)
        self._changed()
