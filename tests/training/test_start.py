"""Beginning from the weights of the same network, of a shallower one, or of one that can not tell sides."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from handviz.errors import ModelFileError
from handviz.models.groups import GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from training.recipes.named import live_network
from training.start import take_over

SHALLOW = HourglassConfig(
    block="postactivation", stem_width=8, light_stem=True, level_widths=(16, 16, 16), level_modules=(1, 1, 1)
)
NAME = Path("weights.safetensors")


def network(hourglass: HourglassConfig, **changes: object) -> GroupsNetwork:
    return GroupsNetwork(live_network(input_size=64, hourglass=hourglass, **changes)).eval()


def test_a_deeper_network_begins_by_saying_what_the_shallow_one_says() -> None:
    shallow, deep = network(SHALLOW, side=False), network(dataclasses.replace(SHALLOW, level_modules=(2, 1, 3)))
    for module in shallow.modules():
        # Zero at the start, which would make all residuals equal.
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    rgb = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        take_over(deep, shallow, NAME)
        torch.testing.assert_close(deep(rgb).heat_BJHW, shallow(rgb).heat_BJHW)
        torch.testing.assert_close(deep(rgb).depth_BJ, shallow(rgb).depth_BJ)


@pytest.mark.parametrize(
    "other",
    [
        network(SHALLOW, groups=2),
        network(SHALLOW, presence=False, side=False),
        network(dataclasses.replace(SHALLOW, level_modules=(2, 1, 1))),
        network(dataclasses.replace(SHALLOW, stem_width=4)),
        GroupsNetwork(live_network(input_size=64, hourglass=dataclasses.replace(SHALLOW, block="preactivation"))),
    ],
    ids=["groups", "no presence", "deeper", "stem", "block"],
)
def test_other_networks_are_refused(other: GroupsNetwork) -> None:
    with pytest.raises(ModelFileError, match="another configuration"):
        take_over(network(SHALLOW), other, NAME)
