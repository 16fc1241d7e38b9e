"""Starting from the weights of the same network, of a shallower one, or of one that cannot tell sides."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from handviz.errors import ModelFileError
from handviz.models.checkpoint import save_groups
from handviz.models.groups import GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from training.groups_task import GroupsTask
from training.recipes.named import groups_live_further, groups_live_regroup, live_network
from training.start import take_over, take_over_shared

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


OTHERWISE = [{"groups": 5}, {"grouping": "manual"}, {"fusion": False}, {"groups": 1, "grouping": "none"}]


@pytest.mark.parametrize("changes", OTHERWISE, ids=str)
def test_other_groups_begin_with_what_all_groups_share(changes: dict[str, object], tmp_path: Path) -> None:
    trained, anew = network(SHALLOW), network(SHALLOW, **changes)
    for other in (trained, anew):
        for p in other.parameters():
            torch.nn.init.normal_(p)
    before = {name: t.clone() for name, t in anew.state_dict().items()}
    save_groups(tmp_path / "weights.safetensors", trained, {})
    GroupsTask(dataclasses.replace(groups_live_regroup(), network=anew.config)).start_from(anew, tmp_path / "weights.safetensors")
    shared = ("hourglass", "neck", "lift", "presence", "side", "beta_J")
    for name, now in anew.state_dict().items():
        torch.testing.assert_close(now, trained.state_dict()[name] if name.startswith(shared) else before[name])


def test_what_else_differs_is_refused_for_other_groups() -> None:
    with pytest.raises(ModelFileError, match="more than its groups"):
        take_over_shared(network(SHALLOW, groups=5), network(SHALLOW, side=False), NAME)


def test_new_groups_are_not_begun_by_a_recipe_that_holds_them_still(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_groups(path, network(SHALLOW), {})
    anew = network(SHALLOW, groups=5)
    with pytest.raises(ModelFileError, match=r"too low.*groups-live-regroup"):
        GroupsTask(dataclasses.replace(groups_live_further(), network=anew.config)).start_from(anew, path)
