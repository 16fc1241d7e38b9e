"""The variants of the dense ablation."""

from __future__ import annotations

import dataclasses

from training.dense.ablate import VARIANTS, ablation_recipe, variant


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
