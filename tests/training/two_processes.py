"""Trains a few plain-gradient steps, alone or under torchrun, and writes the weights: run by test_cli.py."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import synthetic
import torch

from handviz.models.hourglass import HourglassConfig
from training.distributed import join_world
from training.recipes.named import groups_live, live_network
from training.recipes.records import DataPart, Stage
from training.runs import RunFolder
from training.trainer import Trainer

HOURGLASS = HourglassConfig(
    block="postactivation", stem_width=16, light_stem=True, level_widths=(16, 32, 32), level_modules=(1, 1, 1)
)


def main(out: Path) -> None:
    torch.set_num_threads(1)
    network = live_network(input_size=64, hourglass=HOURGLASS, neck_widths=(16,), branch_widths=(16, 16, 16))
    stage = Stage(learns="everything", share=1.0, batch_size=8, lr=0.1, lr_selector=0.1, lr_fusion=0.1)
    recipe = dataclasses.replace(
        groups_live(),
        network=network,
        data=(DataPart(source="dots"),),
        stages=(stage,),
        steps=1,
        mixed_precision=False,
        sync_norm=True,
        # Each process draws those for itself.
        mirrored=0.0,
        ema_decay=0.0,
    )
    with join_world("cpu") as world:
        folder = RunFolder(path=out.parent / out.stem)
        trainer = Trainer(recipe, synthetic.DotHands(), synthetic.to_float, folder, device=torch.device("cpu"), world=world)
        # Adam divides by the gradient's size and so amplifies rounding; plain steps compare the gradients themselves.
        trainer.optimiser = torch.optim.SGD([{"params": list(trainer.network.parameters()), "lr": 0.1, "base_lr": 0.1}], lr=0.1)
        trainer.run(lambda: False, lambda step: None)
        if world.leads:
            folder.weights.replace(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
