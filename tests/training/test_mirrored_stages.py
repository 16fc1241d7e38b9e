from __future__ import annotations

import dataclasses

import pytest
import torch

from training.runs import RunFolder
from training.trainer import Trainer


@pytest.mark.parametrize(("learns", "mirrored"), [("everything", 4), ("groups", 4), ("side", 4), ("hourglass", 0)])
def test_left_hands_come_in_every_stage_whose_loss_asks_for_the_side(tiny_recipe, synthetic, tmp_path, learns, mirrored):
    stage = dataclasses.replace(tiny_recipe.stages[0], learns=learns)
    recipe = dataclasses.replace(tiny_recipe, stages=(stage,), mirrored=0.5)
    trainer = Trainer(recipe, synthetic.DotHands(), synthetic.to_float, RunFolder(path=tmp_path), device=torch.device("cpu"))
    batch = trainer.next_batch(0)
    assert (len(batch), int(batch.mirrored_B.sum())) == (8 + mirrored, mirrored)
