"""Both renderers draw from the recipe: every number that one of them reads is read by the other, too."""

import dataclasses

import numpy as np

from training.data.dice import Dice
from training.data.synth.batched.places import background_bank
from training.data.synth.recipe import BackgroundRecipe, CameraRecipe, ClutterRecipe, LightRecipe, Recipe
from training.data.synth.renderer import HandRenderer

PARTS = {"clutter": ClutterRecipe, "light": LightRecipe, "background": BackgroundRecipe, "camera": CameraRecipe}
# The skin's other numbers go into its pictures, which are made before rendering in the same way for both.
OF_SKIN = {f"skin.{name}" for name in ("shine", "shininess", "full_shine", "wrap", "glove_wrap")}
SCENES, SIDE = 16, 160


class Read:
    """A recipe, or a part of one, that records which of its numbers are read."""

    def __init__(self, record, names, prefix=""):
        self._record, self._names, self._prefix = record, names, prefix

    def __getattr__(self, name):
        value = getattr(self._record, name)
        if dataclasses.is_dataclass(value):
            return Read(value, self._names, f"{name}.")
        self._names.add(self._prefix + name)
        return value


def often():
    """Let everything occur about half of the time, so that every range is drawn from."""
    names = {part: [f.name for f in dataclasses.fields(kind)] for part, kind in PARTS.items()}
    return Recipe(**{p: kind(**{n: 0.5 for n in names[p] if n.endswith(("_chance", "_weight"))}) for p, kind in PARTS.items()})


def one_by_one(renderer, recipe, monkeypatch):
    """Draw scenes as the renderer of single samples does, all but their pictures."""
    skin = renderer.hands[0].skins[0]
    hand = dataclasses.replace(renderer.hands[0], skins=[dataclasses.replace(skin, is_glove=glove) for glove in (False, True)])
    places = dataclasses.replace(
        renderer.surroundings, light=recipe.light, background=recipe.background, photographs=[np.zeros((90, 90, 3), np.uint8)]
    )
    picture = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    monkeypatch.setattr(HandRenderer, "_picture", lambda *_: picture)
    batch, rng = renderer._pose(Dice.seeded(0), hand, SCENES), np.random.default_rng(0)
    for i in range(SCENES):
        dataclasses.replace(renderer, recipe=recipe, surroundings=places)._one(rng, hand, batch, i, "")


def in_batches(renderer, recipe):
    """Draw scenes as the batched renderer does, and its bank of walls."""
    places = dataclasses.replace(renderer.dice.places, light=recipe.light, background=recipe.background)
    dataclasses.replace(renderer.dice, recipe=recipe, places=places).draw(0, 0, 2)
    background_bank(np.random.default_rng(0), [], recipe.background, 16)


def test_both_renderers_read_the_same_numbers_of_the_recipe(plain_renderer, renderer, monkeypatch):
    wanted = OF_SKIN | {f"{part}.{f.name}" for part, kind in PARTS.items() for f in dataclasses.fields(kind)}
    alone, together = set(), set()
    one_by_one(plain_renderer, Read(often(), alone), monkeypatch)
    in_batches(renderer, Read(often(), together))
    for read in (alone, together):
        assert {name for name in read if not name.startswith(("pose.", "view."))} == wanted


def test_a_changed_number_reaches_both_renderers(plain_renderer, renderer):
    R, K, brightness = np.eye(3), np.diag([300.0, 300.0, 1.0]), []
    for light in (LightRecipe(), LightRecipe(middle_exposure=50.0)):
        alone, batched = (dataclasses.replace(p, light=light) for p in (plain_renderer.surroundings, renderer.dice.places))
        one, _ = alone.draw(np.random.default_rng(0), R, K, 16, gain=1.0)
        many, _ = batched.draw(np.random.default_rng(0), R[None], K[None], np.ones(1))
        brightness.append((one.sh_93[0].max(), float(many.sh_B93[0, 0].max())))
    np.testing.assert_allclose(brightness[1], 100 * np.array(brightness[0]), rtol=1e-3)
