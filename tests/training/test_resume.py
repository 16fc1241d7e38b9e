"""A run that is interrupted and resumed continues as if uninterrupted, in everything that depends on its progress."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from training import groups_task
from training.optim import temperature_at
from training.recipes.named import groups_live
from training.recipes.records import Recipe, Stage, Temperature
from training.runs import RunFolder, describe_run, description
from training.trainer import Trainer

# The second stage begins at step 3. A warm-up and a temperature that both move with each of its steps.
STEPS, BREAK = 8, 5


@pytest.fixture
def two_stages(tiny_recipe) -> Recipe:
    second = Stage(learns="everything", share=0.7, batch_size=4, lr=2e-3, lr_selector=2e-2, schedule="cosine", warmup_steps=4)
    first = dataclasses.replace(second, learns="hourglass", share=0.3, warmup_steps=2)
    falls = Temperature(start=5.0, drop_per_1000=0.1)
    return dataclasses.replace(tiny_recipe, stages=(first, second), steps=STEPS, temperature=falls, ema_decay=0.9)


def make(recipe, synthetic, folder) -> Trainer:
    return Trainer(recipe, synthetic.DotHands(), synthetic.to_float, RunFolder(path=folder), device=torch.device("cpu"))


def run(trainer: Trainer, until: int) -> list[tuple[float, float, float]]:
    """Train up to a step; return each step's loss, learning rate and temperature."""
    seen: list[tuple[float, float, float]] = []

    def report(step) -> None:
        seen.append((step.loss, step.lr, float(trainer.network.selector.temperature)))

    trainer.run(lambda: trainer.progress.step >= until, report)
    return seen


def test_a_run_broken_off_inside_its_second_stage_goes_on_as_one_that_was_not(
    two_stages, synthetic, tmp_path, monkeypatch
) -> None:
    # A step counts as a thousand, so that the temperature of so short a run falls.
    monkeypatch.setattr(groups_task, "temperature_at", lambda plan, step, share: temperature_at(plan, 1000 * step, share))
    whole = make(two_stages, synthetic, tmp_path / "a")
    expected = run(whole, STEPS)
    first = make(two_stages, synthetic, tmp_path / "b")
    begun = run(first, BREAK)
    assert (first.progress.stage, first.progress.stage_step) == (1, 2)
    second = make(two_stages, synthetic, tmp_path / "b")
    second.resume()
    assert dataclasses.asdict(second.progress) == dataclasses.asdict(first.progress)
    again = begun + run(second, STEPS)
    assert len(again) == STEPS
    for mine, theirs in zip(again, expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)
    assert len({lr for _, lr, _ in expected[3:]}) == len({warm for _, _, warm in expected[3:]}) == STEPS - 3
    same(second.network, whole.network)
    same(second.average.network, whole.average.network)


def same(mine: torch.nn.Module, theirs: torch.nn.Module) -> None:
    other = theirs.state_dict()
    for name, tensor in mine.state_dict().items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


def test_the_description_of_a_resumed_run_follows_the_first_one(tmp_path) -> None:
    folder = RunFolder(path=tmp_path)
    folder.about.write_text('{"command": "the first"}')
    describe_run(folder, groups_live(), resumed=True)
    facts = json.loads(folder.about.read_text())
    assert facts["command"] == "the first" and [again["recipe"]["name"] for again in facts["resumed"]] == ["groups-live"]


def test_where_the_first_description_is_lost_the_next_one_takes_its_place(tmp_path) -> None:
    folder = RunFolder(path=tmp_path)
    describe_run(folder, groups_live(), resumed=True)
    facts = json.loads(folder.about.read_text())
    assert facts["recipe"]["name"] == "groups-live" and "resumed" not in facts
    assert description(folder) == facts
