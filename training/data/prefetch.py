"""Drawing the next batches while the trainer works on the current one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from training.data.sample import WHOLE, Batch
from training.data.sources import Drawn

STEPS_AHEAD = 3


class Prefetched:
    """A source whose next batches are drawn by a thread, at most ``ahead`` of them; each batch is what the source gives.

    Asked for a step out of order (a resumed run, a stage with other batches), it drops the waiting batches and continues from
    there. An error of the source is raised by the ``draw`` of the batch concerned.
    """

    def __init__(self, source: Drawn, ahead: int = STEPS_AHEAD) -> None:
        self.source = source
        self._ahead = ahead
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._waiting: dict[tuple[int, int, int | None, int | None], Future[Batch]] = {}

    def __len__(self) -> int:
        return len(self.source)

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of batch number ``step`` and start drawing the next ones."""
        wanted = [(later, size, rows.start, rows.step) for later in range(step, step + 1 + self._ahead)]
        for key in [key for key in self._waiting if key not in wanted]:
            self._waiting.pop(key).cancel()
        for key in wanted:
            if key not in self._waiting:
                self._waiting[key] = self._thread.submit(self.source.draw, key[0], size, rows)
        return self._waiting.pop(wanted[0]).result()

    def close(self) -> None:
        """Close the thread and the source; waiting batches are dropped."""
        self._thread.shutdown(cancel_futures=True)
        self._waiting.clear()
        self.source.close()


@contextmanager
def prefetched(source: Drawn) -> Iterator[Prefetched]:
    """Draw ahead while the block runs."""
    ahead = Prefetched(source)
    try:
        yield ahead
    finally:
        ahead.close()
