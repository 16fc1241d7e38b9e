"""Schedules, parameter groups, the moving average and clipping, each against numbers worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from handviz.models.selector import FINAL_TEMPERATURE
from training.optim import MovingAverage, lr_factor, parameter_groups, temperature_at
from training.recipes.records import Stage, Temperature
from training.runs import RunFolder
from training.trainer import Trainer

STAGE = Stage(learns="everything", share=1.0, batch_size=8, lr=1e-3, lr_selector=2e-1, lr_fusion=3e-2)


def test_a_constant_rate_stays() -> None:
    assert [lr_factor(STAGE, step, share) for step, share in ((0, 0.0), (500, 0.5), (1000, 1.0))] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("share", "factor"), [(0.0, 1.0), (1 / 3, 0.7525), (0.5, 0.505), (2 / 3, 0.2575), (1.0, 0.01), (1.2, 0.01)]
)
def test_a_cosine_falls_to_a_hundredth(share, factor) -> None:
    assert lr_factor(dataclasses.replace(STAGE, schedule="cosine"), 10_000, share) == pytest.approx(factor)


def test_a_rate_warms_up_step_by_step_under_either_schedule() -> None:
    for schedule, full in (("constant", 1.0), ("cosine", 0.505)):
        warm = dataclasses.replace(STAGE, schedule=schedule, warmup_steps=4)
        factors = [lr_factor(warm, step, 0.5) / full for step in range(6)]
        assert factors == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


@pytest.mark.parametrize(("step", "warm"), [(0, 5.0), (999, 5.0), (1000, 4.9), (25_500, 2.5), (49_999, 0.1), (60_000, 0.05)])
def test_the_papers_temperature_falls_by_a_tenth_every_thousand_steps(step, warm) -> None:
    for share in (0.0, 0.9):
        assert temperature_at(Temperature(start=5.0, drop_per_1000=0.1), step, share) == pytest.approx(warm)


@pytest.mark.parametrize(
    ("share", "warm"), [(0.0, 4.0), (0.2, 3.0), (0.4, 2.0), (0.8, FINAL_TEMPERATURE), (1.0, FINAL_TEMPERATURE)]
)
def test_or_it_falls_in_a_line_to_a_share_of_the_run(share, warm) -> None:
    for step in (0, 70_000):
        assert temperature_at(Temperature(start=4.0, drop_per_1000=None, ends_at=0.8), step, share) == pytest.approx(warm)


def test_selector_and_fusion_have_rates_of_their_own_and_weights_alone_decay() -> None:
    shapes = {
        "hourglass.conv.weight": (4, 3, 3, 3),
        "hourglass.conv.bias": (4,),
        "hourglass.norm.weight": (4,),
        "lift.enter.weight": (4, 8),
        "fusions.0.mix.weight": (4, 8, 1, 1),
        "fusions.0.norm.weight": (4,),
        "evidence.groups.selector.logits_JK": (21, 3),
        "beta_J": (21,),
        "frozen.weight": (4, 8),
    }
    named = {name: nn.Parameter(torch.zeros(shape), requires_grad=name != "frozen.weight") for name, shape in shapes.items()}
    names = {id(p): name for name, p in named.items()}
    groups = parameter_groups(named.items(), STAGE, 0.05)
    assert all(group["lr"] == group["base_lr"] for group in groups)
    found = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert found == {
        "hourglass.conv.weight": (1e-3, 0.05),
        "hourglass.conv.bias": (1e-3, 0.0),
        "hourglass.norm.weight": (1e-3, 0.0),
        "lift.enter.weight": (1e-3, 0.05),
        "fusions.0.mix.weight": (3e-2, 0.05),
        "fusions.0.norm.weight": (3e-2, 0.0),
        "evidence.groups.selector.logits_JK": (2e-1, 0.0),
        "beta_J": (1e-3, 0.0),
    }


def test_the_average_is_short_at_first_and_long_later() -> None:
    network = nn.BatchNorm1d(1)
    average = MovingAverage(network, 0.9)

    def seen(value: float, step: int) -> list[float]:
        with torch.no_grad():
            network.weight.fill_(value)
            network.running_mean.fill_(value)
            network.num_batches_tracked.fill_(step)
        average.update(network, step)
        assert int(average.network.num_batches_tracked) == step
        return [float(average.network.weight), float(average.network.running_mean)]

    # The weight begins at 1, the mean at 0. A tenth of the old at step 0, two elevenths at step 1, nine tenths in the end.
    assert seen(2.0, 0) == pytest.approx([1.9, 1.8])
    assert seen(13.0, 1) == pytest.approx([10.98182, 10.96364])
    assert seen(0.0, 1000) == pytest.approx([9.883636, 9.867273])
    assert not average.network.training and not average.network.weight.requires_grad


def test_gradients_are_clipped_to_the_recipes_norm(tiny_recipe, synthetic, tmp_path) -> None:
    strict = dataclasses.replace(tiny_recipe, clip_norm=0.01)
    trainer = Trainer(strict, synthetic.DotHands(), synthetic.to_float, RunFolder(path=tmp_path), device=torch.device("cpu"))
    found = trainer.step()
    taken = torch.stack([p.grad.norm() for p in trainer.network.parameters() if p.grad is not None]).norm()
    assert found.grad_norm > 1 and float(taken) == pytest.approx(0.01, rel=1e-3)
