"""What an ablation records of a run while it trains."""

from __future__ import annotations

import dataclasses

import pytest

from handviz.errors import HandvizError
from tests.training.dense.dots import Dots, make, posed_pack
from training.dense.losses import DenseLossWeights
from training.dense.progression import POINTS, Point, Progression, draw, read_points, write_points


def test_a_run_that_learns_shows_falling_errors_and_more_near_hands(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tracing at each of the dozen points would take longer than all steps together.
    monkeypatch.setattr("handviz.models.dense_deploy._traced", lambda module, *inputs: module)
    trainer = make(tmp_path, Dots(one=True), steps=48, ema_decay=0.5)
    progression = Progression(tmp_path / "progression.csv", posed_pack(8), 48)
    trainer.run(lambda: False, lambda step: progression.report(trainer, step))
    points = read_points(tmp_path / "progression.csv")
    assert [p.step for p in points] == [4 * (i + 1) for i in range(POINTS)]
    assert points[-1].pa_mpjpe_mm < 0.95 * points[0].pa_mpjpe_mm
    assert points[0].near_share < points[-1].near_share


def test_near_hands_are_counted_where_the_schedule_is_constant_too(tmp_path) -> None:
    loss = dataclasses.replace(make(tmp_path, Dots()).recipe.loss, schedule="constant")
    assert isinstance(loss, DenseLossWeights)
    trainer = make(tmp_path, Dots(), steps=1, loss=loss)
    progression = Progression(tmp_path / "p.csv", posed_pack(2), 1)
    trainer.run(lambda: False, lambda step: progression.report(trainer, step))
    assert read_points(tmp_path / "p.csv")[0].near_share == 0


def test_a_resumed_run_replaces_what_its_checkpoint_had_not_reached(tmp_path) -> None:
    file = tmp_path / "p.csv"
    write_points(file, [Point(step=s, pa_mpjpe_mm=-1.0, near_share=0.0) for s in (1, 2, 3)])
    trainer = make(tmp_path, Dots(), steps=2)
    trainer.progress.step = 1
    progression = Progression(file, posed_pack(2), 3)
    trainer.run(lambda: False, lambda step: progression.report(trainer, step))
    assert [p.step for p in read_points(file)] == [1, 2]
    assert [p.pa_mpjpe_mm > 0 for p in read_points(file)] == [False, True]


def test_a_file_of_something_else_is_told(tmp_path) -> None:
    (tmp_path / "p.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(HandvizError, match=r"p\.csv: not a progression"):
        read_points(tmp_path / "p.csv")


def test_curves_are_a_picture() -> None:
    runs = {name: [Point(step=s, pa_mpjpe_mm=30 / s, near_share=s / 9) for s in range(1, 9)] for name in ("full", "constant")}
    assert draw(runs).startswith(b"\x89PNG")
