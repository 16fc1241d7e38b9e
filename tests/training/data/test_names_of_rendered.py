"""Names of rendered samples are unique, even where some are redrawn, and do not change what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.data.dice import Dice
from training.data.synth.command import SynthesisJob, make_renderer
from training.data.synth.renderer import HandRenderer, visible_share

SEED, COUNT = 3, 8


@pytest.fixture(scope="module")
def renderer():
    """A fast renderer of small pictures that redraws about half of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.data.synth.command.SKINS_PER_HAND", 1)
        made = make_renderer(SynthesisJob(count=1, seed=1))
    view = replace(made.recipe.view, min_visible=0.9)
    return replace(made, recipe=replace(made.recipe, view=view), size=48, subsamples=1, occlusion_views=1)


@pytest.fixture(scope="module")
def samples(renderer):
    return renderer.render(COUNT, SEED)


def nameless(renderer: HandRenderer):
    """Draw as ``render`` does, without any names; also return how often it drew."""
    rng, dice = np.random.default_rng(SEED), Dice.seeded(SEED)
    weights = np.array([hand.weight for hand in renderer.hands])
    hand = renderer.hands[rng.choice(len(renderer.hands), p=weights / weights.sum())]
    kept, rounds = [], 0
    while len(kept) < COUNT:
        rounds, left = rounds + 1, COUNT - len(kept)
        batch = renderer._pose(dice, hand, left)
        drawn = [renderer._one(rng, hand, batch, i, "") for i in range(left)]
        kept += [s for s in drawn if s is not None and visible_share(s) >= renderer.recipe.view.min_visible]
    return kept, rounds


def test_names_are_their_own_and_pictures_do_not_depend_on_them(renderer, samples):
    plain, rounds = nameless(renderer)
    assert rounds > 1, "nothing was drawn anew: the names are not put to the test"
    assert len({sample.name for sample in samples}) == COUNT
    for sample, other in zip(samples, plain, strict=True):
        assert sample.view == other.view
        for name in ("rgb", "mask", "K", "joints_px", "joints_m"):
            np.testing.assert_array_equal(getattr(sample, name), getattr(other, name))
