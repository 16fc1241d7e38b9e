"""Which results belong to the playback of a source, as a recording needs them. No Qt."""

from __future__ import annotations

from handviz.pipeline.session import SessionState


class Played:
    """Tells results of frames captured during playback from those of a frame that is held or sought.

    When playback stops, some frames are still being analysed, up to the one at which the source has stopped. A camera can
    stop one picture later, at the one that was being read at the pause.
    """

    def __init__(self) -> None:
        self._playing = False
        self._shown: int | None = None
        # The frame at which playing stopped, until its result has come.
        self._until: int | None = None
        self._at_end = False
        # Where the source stood at the last look.
        self._position = -1

    def look(self, state: SessionState) -> None:
        """Take in what the source does now; at every tick, before its results are taken."""
        if state.playing:
            self._until, self._at_end = None, False
        elif self._playing or (state.live and state.position != self._position):
            self._until = None if state.position == self._shown else state.position
            self._at_end = state.ended
        elif state.position != self._until:
            self._until = None  # it was moved elsewhere
        self._playing, self._position = state.playing, state.position

    def takes(self, index: int) -> bool:
        """Say whether the next result, of this frame, belongs to the playback."""
        again = index == self._shown
        self._shown = index
        # A frame analysed again, with other settings, was taken already.
        belongs = (self._playing and not again) or self._until is not None
        if index == self._until:
            self._until = None
        return belongs

    def just_ended(self) -> bool:
        """Say once that the source has played to its end, and that the result of its last frame has come."""
        if not self._at_end or self._until is not None:
            return False
        self._at_end = False
        return True
