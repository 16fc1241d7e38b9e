"""Hands rendered while a network trains: every batch is new, drawn by worker processes some steps ahead of the trainer."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor

import numpy as np

from training.data.pack import Pack, join, pack_of
from training.data.sample import WHOLE, Batch
from training.data.synth.command import SynthesisJob, read_materials, render_chunk, start_worker
from training.workers import pool_size

# Samples drawn together share a hand model; a batch holds several such groups.
_GROUP = 8
_STEPS_AHEAD = 6
_SEED_STRIDE = 1_000_003


class LiveSource:
    """Batches rendered on demand. Batch number ``step`` depends on the job's seed and ``step`` alone, as for packs."""

    def __init__(self, job: SynthesisJob) -> None:
        read_materials(job)  # a wrong folder is reported here and not by every worker
        self._seed = job.seed
        self._count = job.count
        # torchrun's processes share the machine's cores.
        workers = pool_size(max(1, (os.cpu_count() or 2) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))
        self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=start_worker, initargs=(job,))
        self._waiting: dict[tuple[int, int, int | None, int | None], dict[int, Future[Pack]]] = {}

    def __len__(self) -> int:
        """Return the nominal size of an epoch; samples never repeat."""
        return self._count

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of batch number ``step`` and have those of the next ones begun.

        Samples drawn together come of one random stream, so a group is rendered whole. Groups are dealt out in turn: where
        the number of processes divides that of groups, each process renders its own rows and no others.
        """
        wanted = [(later, size, rows.start, rows.step) for later in range(step, step + _STEPS_AHEAD)]
        for key in [key for key in self._waiting if key not in wanted]:
            for future in self._waiting.pop(key).values():
                future.cancel()
        for key in wanted:
            if key not in self._waiting:
                groups = self._groups(key[0], size, rows)
                self._waiting[key] = {group: self._pool.submit(_render_pack, task) for group, task in groups.items()}
        done = {group: future.result() for group, future in self._waiting.pop(wanted[0]).items()}
        number, starts = _number_of_groups(size), dict(zip(done, _starts(done.values()), strict=True))
        index = [starts[row % number] + row // number for row in range(size)[rows]]
        return join(list(done.values())).batch(np.array(index, dtype=np.int64))

    def close(self) -> None:
        """End the workers; batches that nobody drew are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _groups(self, step: int, size: int, rows: slice) -> dict[int, tuple[int, int]]:
        """Return seed and size of the groups that hold these rows; group g of n holds rows g, g + n, g + 2 n."""
        number = _number_of_groups(size)
        first = self._seed * _SEED_STRIDE + step * 4096
        return {g: (first + g, len(range(g, size, number))) for g in sorted({row % number for row in range(size)[rows]})}


def _number_of_groups(size: int) -> int:
    return -(-size // _GROUP)


def _starts(packs: Iterable[Pack]) -> list[int]:
    """Return where each pack begins when they are joined."""
    return [0, *itertools.accumulate(len(pack) for pack in packs)][:-1]


def _render_pack(task: tuple[int, int]) -> Pack:
    return pack_of(render_chunk(task))
