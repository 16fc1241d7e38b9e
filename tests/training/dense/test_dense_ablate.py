"""The variants of the dense ablation."""

from __future__ import annotations

import dataclasses

import pytest

from training.dense.ablate import RECIPES, VARIANTS, ablation_recipe, variant
from training.recipes.changes import recipe


def test_in_small_all_learns_at_one_rate_and_little_is_warm_up() -> None:
    (stage,) = ablation_recipe(100, {}).stages
    assert stage.lr == stage.lr_selector == stage.lr_fusion and stage.warmup_steps == 5


def test_every_ablation_differs_in_its_own_part_alone() -> None:
    base = ablation_recipe(100, {})
    full = variant(base, "full", 3)
    assert full.seed == 3 and full.self_augmentation is not None
    for name in set(VARIANTS) - {"full"}:
        other = variant(base, name, 3)
        assert other != full
        parts = [getattr(other, f.name) != getattr(full, f.name) for f in dataclasses.fields(full)]
        assert sum(parts) == len(VARIANTS[name])
    assert variant(base, "constant lambda", 0).loss.schedule == "constant"


def test_the_constant_lambda_is_a_hundredth_of_each_recipes_own() -> None:
    for name in RECIPES:
        base = ablation_recipe(100, {}, name)
        assert base.steps == 100
        assert variant(base, "constant lambda", 0).loss.mask == pytest.approx(0.01 * base.loss.mask)
    assert ablation_recipe(100, {}, "dense-paper-2d").loss == recipe("dense-paper-2d").loss
