from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.training import judging
from tests.training.data.hands import hand_sample
from training.data.sample import Sample


class Renderer:
    """Stands in for the renderer: samples tell the seed they come from."""

    def render(self, count: int, seed: int) -> list[Sample]:
        return [hand_sample(i, name=f"{seed}-{i}", rgb=np.zeros((480, 480, 3), np.uint8)) for i in range(count)]


@pytest.fixture(scope="module")
def judge():
    return judging.judge("judge_rendering")


@pytest.mark.parametrize("count", [1, 24, 25, 60])
def test_as_many_frames_are_rendered_as_were_asked_for(judge, count):
    frames = judge.frames(Renderer(), count, seed=5)
    assert len(frames) == len({frame.name for frame in frames}) == count


def test_few_frames_make_a_sheet(judge):
    assert judge.sheet(judge.frames(Renderer(), 3, seed=5), [None, 0.1, 0.2]).size > 0
    two_rows = judge.sheet(judge.frames(Renderer(), 7, seed=5), [None] * 7)
    assert two_rows.shape[0] == 2 * judge.sheet(judge.frames(Renderer(), 5, seed=5), [None] * 5).shape[0]


@pytest.mark.parametrize("count", ["0", "-3", "many"])
def test_a_count_that_can_not_be_is_refused(judge, monkeypatch, capsys, count):
    monkeypatch.setattr(sys, "argv", ["judge_rendering.py", "--count", count])
    with pytest.raises(SystemExit) as stop:
        judge.main()
    assert stop.value.code == 2 and f"'{count}' is not a whole number from 1" in capsys.readouterr().err
