"""Hands rendered while a network trains: every batch is new, drawn by worker processes some steps ahead of the trainer."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor

import numpy as np

from training.data.pack import Pack, join, pack_of
from training.data.sample import WHOLE, Batch
from training.data.synth.command import SynthesisJob, make_renderer, render_chunk, start_worker

# Samples drawn together share a hand model; a batch holds several such groups.
_GROUP = 8
_STEPS_AHEAD = 6
_SEED_STRIDE = 1_000_003


class LiveSource:
    """Batches rendered on demand. Batch number ``step`` depends on the job's seed and ``step`` alone, as for packs."""

    def __init__(self, job: SynthesisJob) -> None:
        make_renderer(job)  # a wrong folder is reported here and not by every worker
        self._seed = job.seed
        self._count = job.count
        workers = max(1, (os.cpu_count() or 2) - 1)
        self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=start_worker, initargs=(job,))
        self._waiting: dict[tuple[int, int], list[Future[Pack]]] = {}

    def __len__(self) -> int:
        """Return the nominal size of an epoch; samples never repeat."""
        return self._count

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of batch number ``step`` and have the next ones begun.

        The whole batch is rendered for it: samples drawn together come of one random stream.
        """
        for key in [key for key in self._waiting if key[0] < step or key[1] != size]:
            for future in self._waiting.pop(key):
                future.cancel()
        for ahead in range(step, step + _STEPS_AHEAD):
            if (ahead, size) not in self._waiting:
                self._waiting[ahead, size] = [self._pool.submit(_render_pack, task) for task in self._tasks(ahead, size)]
        pack = join([future.result() for future in self._waiting.pop((step, size))])
        return pack.batch(np.arange(len(pack))[rows])

    def close(self) -> None:
        """End the workers; batches that nobody drew are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _tasks(self, step: int, size: int) -> Iterable[tuple[int, int]]:
        return [(self._seed * _SEED_STRIDE + step * 4096 + first, min(_GROUP, size - first)) for first in range(0, size, _GROUP)]


def _render_pack(task: tuple[int, int]) -> Pack:
    return pack_of(render_chunk(task))
