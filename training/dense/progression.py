"""How a training of the dense hand progresses, as in Fig. 5(f) of Baek et al. 2019.

Two numbers at a dozen points of a run: the test error without testing refinement, and the share of training hands whose joints
are near enough for their mask loss to be on (Eq. 12), whether the run's own schedule uses that or not.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from handviz.errors import HandvizError
from handviz.models.checkpoint import write_atomically
from handviz.models.dense import DenseNetwork
from training.curves import new_axes, png_of
from training.data.pack import Pack
from training.dense.losses import DenseLossWeights, mask_on
from training.dense.predict import crops_of, joint_errors, look, predict
from training.trainer import StepReport, Trainer

POINTS = 12
# Enough to see a curve fall; more would cost more than the training between two points.
TEST_HANDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """After ``step`` steps: PA-MPJPE of the averaged weights, and the mean share of near hands since the previous point."""

    step: int
    pa_mpjpe_mm: float
    near_share: float


class Progression:
    """Measures a run as it trains and keeps the results in a CSV file; a resumed run continues the file."""

    def __init__(self, file: Path, test: Pack, steps: int) -> None:
        self._file, self._every = file, max(1, steps // POINTS)
        self._test = test.select(np.arange(min(TEST_HANDS, len(test))))
        self._shares: list[float] = []
        self._points = read_points(file) if file.is_file() else []

    def report(self, trainer: Trainer, step: StepReport) -> None:
        """Count the step's near hands and measure the network when it is time. Raises OutputError."""
        self._shares += _near_share(trainer, step)
        done = step.step + 1
        if done % self._every:
            return
        network = cast(DenseNetwork, trainer.average.network)
        batches = crops_of(self._test, network.config.input_size)
        error = joint_errors(predict(look(network, batches)), batches).summary()["PA-MPJPE mm"]
        share = sum(self._shares) / len(self._shares) if self._shares else float("nan")
        # Later points are of a run that went further than the checkpoint it was resumed from.
        self._points = [p for p in self._points if p.step < done] + [Point(step=done, pa_mpjpe_mm=error, near_share=share)]
        self._shares = []
        write_points(self._file, self._points)


def _near_share(trainer: Trainer, step: StepReport) -> list[float]:
    weights, network = trainer.recipe.loss, cast(DenseNetwork, trainer.network)
    assert isinstance(weights, DenseLossWeights)
    usable = mask_on(network, step.output, step.batch, dataclasses.replace(weights, schedule="constant"))
    if not bool(usable.any()):
        return []
    near = mask_on(network, step.output, step.batch, dataclasses.replace(weights, schedule="error"))
    return [float(near.sum() / usable.sum())]


def write_points(file: Path, points: Sequence[Point]) -> None:
    """Write points as CSV. Raises OutputError."""
    text = io.StringIO()
    writer = csv.writer(text)
    names = [f.name for f in dataclasses.fields(Point)]
    writer.writerow(names)
    writer.writerows([getattr(p, name) for name in names] for p in points)
    write_atomically(file, text.getvalue().encode())


def read_points(file: Path) -> list[Point]:
    """Read what ``write_points`` wrote. Raises HandvizError for any other file."""
    try:
        rows = list(csv.DictReader(file.read_text().splitlines()))
        return [
            Point(step=int(row["step"]), pa_mpjpe_mm=float(row["pa_mpjpe_mm"]), near_share=float(row["near_share"]))
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HandvizError(f"{file}: not a progression of a training ({error}). Delete it and train again.") from error


def draw(runs: Mapping[str, Sequence[Point]]) -> bytes:
    """Return a PNG: each run's test error (left axis, solid lines) and share of near hands (right axis, dashed) over its steps.

    Raises HandvizError where matplotlib is missing.
    """
    left = new_axes(7, 4.2)
    right = left.twinx()
    for i, (name, points) in enumerate(runs.items()):
        steps = [p.step for p in points]
        left.plot(steps, [p.pa_mpjpe_mm for p in points], color=f"C{i}", marker="o", markersize=3, label=name)
        right.plot(steps, [p.near_share for p in points], color=f"C{i}", linestyle="--")
    left.set(xlabel="steps", ylabel="test PA-MPJPE (mm), solid lines")
    right.set(ylim=(0, 1), ylabel="share of near training hands, dashed")
    left.grid(alpha=0.3)
    left.legend(loc="upper right", fontsize=8)
    return png_of(left)
