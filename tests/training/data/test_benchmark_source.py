"""Batches of published data sets in which some samples cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from handviz.errors import SourceError
from tests.training.data.hands import hand_sample
from training.cli import main
from training.data.benchmarks.base import BenchmarkSource, read_picture
from training.data.sample import WHOLE, Sample
from training.data.sources import MixedSource, left_out_lines


class Published:
    """A data set with a good sample at every ``every``-th position; the others have no joints, or no picture."""

    name = "published"

    def __init__(self, every: int, missing: Path | None = None) -> None:
        self.every, self.missing = every, missing

    def __len__(self) -> int:
        return 40

    def sample(self, index: int) -> Sample:
        if index % self.every == 0:
            return hand_sample(index)
        if self.missing is not None:
            read_picture(self.missing)
        return hand_sample(index, joint_valid=np.zeros(21, bool))


@pytest.mark.parametrize("size", [1, 8])
def test_drawing_goes_on_while_something_is_found(size):
    source = BenchmarkSource(Published(every=8), seed=0)
    batches = [source.draw(step, size) for step in range(12)]
    assert [len(batch) for batch in batches] == 12 * [size]
    assert all(bool(batch.valid_BJ.all()) for batch in batches)
    # Whatever was found out about samples before, a resumed run sees the same batch.
    again = BenchmarkSource(Published(every=8), seed=0).draw(11, size)
    assert torch.equal(again.rgb_B3SS, batches[11].rgb_B3SS)


def test_each_sample_that_is_left_out_counts_once():
    source = BenchmarkSource(Published(every=2), seed=0)
    for step in range(20):
        source.draw(step, 16)
    assert source.left_out == {"fewer than two labelled joints": 20}


def test_a_missing_picture_is_no_unusable_sample(tmp_path):
    source = BenchmarkSource(Published(every=2, missing=tmp_path / "7.png"), seed=0)
    with pytest.raises(SourceError, match=r"7\.png: no such picture"):
        source.draw(0, 16)


def test_the_end_of_a_training_tells_what_was_left_out(tmp_path, monkeypatch, capsys):
    source = BenchmarkSource(Published(every=2), seed=0)
    monkeypatch.setattr("training.data.sources.open_source", lambda *_: MixedSource(sources=[source], shares=(1.0,)))
    monkeypatch.setattr("training.fit.train", lambda trainer, world: trainer.source.draw(0, 16, WHOLE))
    widths = ["level_widths=[16,16,16,16]", "level_modules=[1,1,1,1]"]
    changes = [word for width in widths for word in ("--set", f"network.hourglass.{width}")]
    assert main(["fit", "groups-live", "--out", str(tmp_path / "run"), "--device", "cpu", *changes]) == 0
    count = source.left_out["fewer than two labelled joints"]
    assert f"published: left out {count} samples: {count} x fewer than two labelled joints\n" in capsys.readouterr().out


def test_few_of_many_reasons_are_named():
    source = BenchmarkSource(Published(every=2), seed=0)
    assert left_out_lines(source) == []
    source.left_out.update({f"{i}.png: not a readable picture": 1 for i in range(9)} | {"empty mask": 3})
    (line,) = left_out_lines(source)
    assert line.startswith("published: left out 12 samples: 3 x empty mask, 1 x 0.png") and line.endswith(
        "4.png: not a readable picture, ..."
    )
