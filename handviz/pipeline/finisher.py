"""Work that a live view does not wait for, in a separate thread: only the newest, and late results are dropped. No Qt."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from handviz.pipeline.config import SessionConfig
from handviz.pipeline.slots import LatestSlot
from handviz.records import FrameResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finished:
    """A complete result, and the configuration it was computed with."""

    result: FrameResult
    config: SessionConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    finish: Callable[[], FrameResult]
    config: SessionConfig


class Finisher:
    """Finishes the newest result handed over; the thread starts with the first one."""

    def __init__(self) -> None:
        self._work: LatestSlot[_Work] = LatestSlot()
        self._done: LatestSlot[Finished] = LatestSlot()
        self._thread: threading.Thread | None = None

    def ask(self, finish: Callable[[], FrameResult], config: SessionConfig) -> None:
        """Finish this result next, instead of one that is still waiting."""
        self._work.put(_Work(finish=finish, config=config))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="handviz-finish", daemon=True)
            self._thread.start()

    def poll(self) -> Finished | None:
        """Return the newest finished result that was not taken yet."""
        return self._done.poll()

    def close(self, wait_s: float = 0.5) -> None:
        """Stop after the current result."""
        self._work.poll()
        self._work.close()
        if self._thread is not None:
            self._thread.join(wait_s)

    def _run(self) -> None:
        while (work := self._work.take()) is not None:
            try:
                self._done.put(Finished(result=work.finish(), config=work.config))
            except Exception:  # The frame was already shown; the thread must stay alive for later ones.
                traceback.print_exc()
