"""What the rendered-live source asks of its workers, which these tests stand in for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.data.at_once import AtOnce
from tests.training.data.hands import hand_sample
from training.data.pack import pack_of
from training.data.synth.command import SynthesisJob
from training.data.synth.live import LiveSource


@pytest.fixture
def open_live(monkeypatch):
    """Open sources whose samples tell by their sigma which group's seed they come from, and their number in it."""

    def numbered(task):
        return pack_of([hand_sample(0, sigma_px=np.full(21, 10.0 * task[0] + i)) for i in range(task[1])])

    monkeypatch.setattr("training.data.synth.live.ProcessPoolExecutor", AtOnce)
    monkeypatch.setattr("training.data.synth.live.read_materials", lambda job: None)
    monkeypatch.setattr("training.data.synth.live._render_pack", numbered)
    return lambda: LiveSource(SynthesisJob(count=10, seed=0))


def test_a_share_that_goes_up_and_down_renders_nothing_twice(open_live):
    source = open_live()
    for step in range(12):
        assert len(source.draw(step, 20 + step % 2)) == 20 + step % 2
    asked = source._pool.asked
    # Three groups of eight for each step that was drawn, and for the five ahead.
    assert len(asked) == len(set(asked)) == 3 * (12 + 5)


@pytest.mark.parametrize("size", [1, 7, 20, 21])
def test_a_batch_depends_on_step_and_size_alone(open_live, size):
    source, other = open_live(), open_live()
    for step in (0, 1, 2):
        source.draw(step, 20 + step % 2)
    batch = source.draw(3, size)
    assert len(batch.sigma_px_BJ[:, 0].unique()) == size
    assert torch.equal(batch.sigma_px_BJ, other.draw(3, size).sigma_px_BJ)
    for rank in range(min(2, size)):
        rows = slice(rank, None, 2)
        assert torch.equal(open_live().draw(3, size, rows).sigma_px_BJ, batch.sigma_px_BJ[rows])


def test_batches_that_nobody_will_draw_are_dropped(open_live):
    source = open_live()
    source.draw(0, 8)
    source.draw(40, 8)
    assert {step for step, _ in source._waiting} == {41, 42, 43, 44, 45}
