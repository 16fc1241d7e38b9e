"""Hands rendered while a network trains: every batch is new, drawn by worker processes some steps ahead of the trainer."""

from __future__ import annotations

import itertools
import multiprocessing
import os
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
    """Batches rendered on demand. A batch depends only on the job's seed, ``step`` and its size, as for packs."""

    def __init__(self, job: SynthesisJob) -> None:
        read_materials(job)  # so that a wrong folder is reported once, not by every worker
        self._seed = job.seed
        self._count = job.count
        # torchrun's processes share the machine's cores.
        workers = pool_size(max(1, (os.cpu_count() or 2) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))
        self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=start_worker, initargs=(job,))
        # By step and group.
        self._waiting: dict[tuple[int, int], Future[Pack]] = {}

    def __len__(self) -> int:
        """Return the nominal size of an epoch; samples never repeat."""
        return self._count

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of batch number ``step`` and start rendering those of the next ones.

        Samples drawn together come from one random stream, so every group is rendered completely, even the last: where a
        source's share of the batches varies by a sample, the groups already started serve either size. Rows are dealt to groups
        in turn: where the number of processes divides that of groups, each process renders only its own rows.
        """
        for key in [key for key in self._waiting if not step <= key[0] < step + _STEPS_AHEAD]:
            self._waiting.pop(key).cancel()
        number = _number_of_groups(size)
        groups = sorted({row % number for row in range(size)[rows]})
        for key in itertools.product(range(step, step + _STEPS_AHEAD), groups):
            if key not in self._waiting:
                self._waiting[key] = self._pool.submit(_render_pack, (self._seed_of(*key), _GROUP))
        packs = [self._waiting.pop((step, group)).result() for group in groups]
        starts = {group: i * _GROUP for i, group in enumerate(groups)}
        index = [starts[row % number] + row // number for row in range(size)[rows]]
        return join(packs).batch(np.array(index, dtype=np.int64))

    def close(self) -> None:
        """End the workers; waiting batches are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _seed_of(self, step: int, group: int) -> int:
        """Return the seed of a group; group g of n holds rows g, g + n, g + 2 n of the step's batch."""
        return self._seed * _SEED_STRIDE + step * 4096 + group


def _number_of_groups(size: int) -> int:
    return -(-size // _GROUP)


def _render_pack(task: tuple[int, int]) -> Pack:
    return pack_of(render_chunk(task))
