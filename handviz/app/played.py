"""Which results belong to the play of a source, as a recording wants them. No Qt."""

from __future__ import annotations

from handviz.pipeline.session import SessionState


class Played:
    """Tells results of frames that were captured while the source played from those of a frame that is held or sought.

    When playing stops, some frames are still being analysed, up to the one at which the source stands then. A camera can
    come to stand one picture later: the one that was being read at the pause.
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
            self._until = None  # it was sent elsewhere
        self._playing, self._position = state.playing, state.position

    def takes(self, index: int) -> bool:
        """Say whether the next result, of this frame, belongs to the play."""
        again = index == self._shown
        self._shown = index
        # One that was analysed again, by other choices, was there already.
        belongs = (self._playing and not again) or self._until is not None
        if index == self._until:
            self._until = None
        return belongs

    def just_ended(self) -> bool:
        """Say once that the source came to its end by playing, and that its last frame was seen."""
        if not self._at_end or self._until is not None:
            return False
        self._at_end = False
        return True
