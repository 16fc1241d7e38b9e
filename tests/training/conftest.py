from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from handviz.models.hourglass import HourglassConfig
from training.recipes.named import groups_live, live_network
from training.recipes.records import DataPart, Recipe, Stage

TINY = HourglassConfig(block="postactivation", stem_width=16, light_stem=True, level_widths=(32, 48, 64), level_modules=(1, 1, 1))


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    spec = importlib.util.spec_from_file_location("synthetic", Path(__file__).parent / "synthetic.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture()
def tiny_recipe() -> Recipe:
    network = live_network(input_size=64, hourglass=TINY, neck_widths=(32,), branch_widths=(16, 16, 16))
    stage = Stage(learns="everything", share=1.0, batch_size=8, lr=2e-3, lr_selector=2e-2, lr_fusion=2e-3)
    return dataclasses.replace(
        groups_live(),
        network=network,
        data=(DataPart(source="dots"),),
        stages=(stage,),
        steps=6,
        mixed_precision=False,
        save_every_s=1e9,
    )


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
