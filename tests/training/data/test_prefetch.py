from __future__ import annotations

import threading

import pytest
import torch

from handviz.errors import SourceError
from training.data.prefetch import Prefetched, prefetched


class Counting:
    """Gives batches that hold their own number; remembers what was requested, and waits at a gate."""

    def __init__(self, bad_step=None):
        self.asked = []
        self.gate = threading.Event()
        self.gate.set()
        self.bad_step = bad_step
        self.closed = False

    def __len__(self):
        return 10

    def draw(self, step, size, rows=slice(None)):
        assert self.gate.wait(20)
        self.asked.append((step, size))
        if step == self.bad_step:
            raise SourceError(f"batch {step} is bad")
        return torch.full((size,), step)[rows]

    def close(self):
        self.closed = True


def idle(source):
    """Wait until the thread has drawn what was requested."""
    for future in list(source._waiting.values()):
        future.exception(20)


def test_batches_are_the_sources_and_are_drawn_once():
    with prefetched(Counting()) as source:
        for step in range(6):
            assert source.draw(step, 4).tolist() == [step] * 4
        idle(source)
        assert source.source.asked == [(step, 4) for step in range(9)]
        assert len(source) == 10


def test_the_rows_reach_the_source():
    with prefetched(Counting()) as source:
        assert source.draw(3, 6, slice(1, None, 2)).tolist() == [3, 3, 3]
        assert source.draw(4, 6, slice(1, None, 2)).tolist() == [4, 4, 4]


def test_no_more_than_a_few_batches_wait():
    source = Prefetched(Counting(), ahead=2)
    source.draw(0, 1)
    idle(source)
    assert source.source.asked == [(0, 1), (1, 1), (2, 1)]
    source.close()


def test_a_resumed_run_and_another_stage_go_on_from_where_they_stand():
    with prefetched(Counting()) as source:
        source.draw(0, 4)
        assert source.draw(100, 4).tolist() == [100] * 4
        assert source.draw(101, 2).tolist() == [101] * 2
        assert set(source._waiting) == {(step, 2, None, None) for step in (102, 103, 104)}
        assert source.draw(5, 2).tolist() == [5] * 2


def test_an_error_belongs_to_its_batch():
    with prefetched(Counting(bad_step=2)) as source:
        source.draw(0, 1)
        source.draw(1, 1)
        with pytest.raises(SourceError, match="batch 2"):
            source.draw(2, 1)


def test_the_thread_ends_with_the_block_even_by_an_error():
    inner = Counting()
    with pytest.raises(KeyboardInterrupt), prefetched(inner) as source:
        source.draw(0, 1)
        idle(source)
        inner.gate.clear()
        source.draw(1, 1)
        threading.Timer(0.1, inner.gate.set).start()
        raise KeyboardInterrupt
    assert inner.closed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
