"""The self-supervised augmentation: own fits in new views."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handviz.models.dense import DenseNetwork
from tests.training.dense.dots import CONFIG, HAND, SIZE, Dots, as_float, make, perfect_output, posed_batch
from training.data.dice import Dice
from training.data.synth.poses import hand_shapes
from training.data.synth.recipe import PoseRecipe
from training.dense.own_views import OwnViews, skin_from_picture
from training.recipes.records import SelfAugmentation


def test_own_fits_become_new_samples_with_exact_labels() -> None:
    batch, network = as_float(posed_batch(3)), DenseNetwork(CONFIG).eval()
    own = OwnViews(SelfAugmentation(seeds=2, views=2, per_batch=3, picture_texture=1.0), 0)
    output = perfect_output(network, batch)
    assert not own.seeds_of(output, batch, 0) and len(own.seeds_of(output, batch, 1)) == 1
    seeds = own.seeds_of(output, batch, 3)
    assert len(seeds) == 2 and all(s.skin is not None for s in seeds)
    assert own.draw(0) is None
    own.learn(output, batch, 3)
    new = own.draw(0)
    assert new is not None and len(new) == 3 and new.has_params_B.all() and new.mask_BSS.amax() == 1
    surface = HAND.forward(new.pose_B45, new.shape_B10, new.root_B3, new.scale_B, new.trans_B3)
    torch.testing.assert_close(surface.joints_BJ3, new.joints_m_BJ3, atol=1e-4, rtol=0)
    # Poses are the seeds', within what the joint limits allow.
    apart = (new.pose_B45[:, None] - batch.pose_B45[None]).abs().amax(-1).amin(1)
    assert (apart < 1e-3).all()


def test_skin_from_a_picture_has_its_colours() -> None:
    batch = as_float(posed_batch(1))
    surface = perfect_output(DenseNetwork(CONFIG).eval(), batch).surface
    blue = torch.tensor([0.1, 0.2, 0.9])[:, None, None].expand(3, SIZE, SIZE)
    skin = skin_from_picture(HAND, surface.vertices_BV3[0], blue, batch.K_B33[0])
    np.testing.assert_allclose(skin.colour, [25.5, 51, 229.5], atol=1)
    top = skin.texture.texels[: 256 * 256]
    assert np.abs(top.astype(float) - [25.5, 51, 229.5]).max() < 2


def test_own_views_join_the_batches(tmp_path) -> None:
    settings = SelfAugmentation(from_share=0.0, seeds=2, views=2, per_batch=2)
    trainer = make(tmp_path, Dots(), steps=10, self_augmentation=settings)
    trainer.prepare = lambda batch, generator, size: as_float(batch)
    trainer.task._own = OwnViews(settings, 0)
    trainer.task._own.learn(perfect_output(trainer.network, as_float(posed_batch(2))), as_float(posed_batch(2)), 2)
    own = trainer.task.extra(0, 0.5)
    assert own is not None and len(own) == 2
    more = posed_batch(2, 9)
    trainer.task.extra = lambda step, share_done: more
    batch = trainer.next_batch(0)
    assert len(batch) == trainer.stage.batch_size + 2
    assert torch.equal(batch.joints_px_BJ2[-2:], more.joints_px_BJ2)


def test_own_views_are_no_seeds(tmp_path, monkeypatch) -> None:
    settings = SelfAugmentation(from_share=0.0, seeds=2, views=2, per_batch=2)
    trainer = make(tmp_path, Dots(), steps=10, self_augmentation=settings)
    trainer.prepare = lambda batch, generator, size: as_float(batch)
    trainer.task._own = own = OwnViews(settings, 0)
    own.learn(perfect_output(trainer.network, as_float(posed_batch(2))), as_float(posed_batch(2)), 2)
    counted = []
    monkeypatch.setattr(OwnViews, "learn", lambda self, output, batch, count: counted.append((count, len(batch))))
    trainer.step()
    rows = trainer.stage.batch_size
    assert counted == [(rows, rows + 2)]


def test_new_shapes_are_drawn_evenly() -> None:
    shapes = hand_shapes(Dice.seeded(0), PoseRecipe(shape_within=3.0), 4000)
    assert 2.95 < float(shapes.abs().max()) <= 3.0
    assert float((shapes.abs() > 2).float().mean()) == pytest.approx(1 / 3, abs=0.02)
