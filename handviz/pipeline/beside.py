"""Detecting further hands in parallel to a live view, which does not wait for it. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from handviz.postprocess.tracking import Track
from handviz.records import HandDetection, UInt8Array

Look = Callable[[UInt8Array], list[HandDetection]]
Seen = tuple[Sequence[Track], list[HandDetection]]


class LookBeside:
    """Runs the detector on one picture at a time, in a thread that starts with the first. Do not use it otherwise meanwhile."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="handviz-look")
        self._asked: tuple[Sequence[Track], Future[list[HandDetection]]] | None = None

    @property
    def busy(self) -> bool:
        """Whether a detection is still running."""
        return self._asked is not None and not self._asked[1].done()

    def begin(self, look: Look, rgb: UInt8Array, tracks: Sequence[Track]) -> None:
        """Start detecting in a picture (H, W, 3) in which these tracks are followed."""
        self._asked = tuple(tracks), self._thread.submit(look, rgb)

    def take(self) -> Seen | None:
        """Return the tracks followed and the hands detected, once; None if nothing was begun. Raises what the detector raised."""
        if self._asked is None:
            return None
        (tracks, seen), self._asked = self._asked, None
        return tracks, seen.result()

    def drop(self) -> None:
        """Discard what was begun; after this the detector is free."""
        if self._asked is not None:
            wait([self._asked[1]])
            self._asked = None

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
