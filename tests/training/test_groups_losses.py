"""The groups network's losses, each against a number worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from handviz.hand.skeleton import MIDDLE_MCP, MIDDLE_PIP
from handviz.models.groups import GroupsOutput
from training.data.sample import Batch
from training.losses import LossWeights, groups_loss, heat_target, relative_depth_target

SIZE, MAP = 64, 16
ONLY = LossWeights(xy=1.0, depth=0.0, heat=0.0, first=0.0, presence=0.0, side=0.0)


@pytest.fixture
def batch(synthetic) -> Batch:
    """Two hands half a metre away, all joints in one place but the middle finger's first bone, which is 40 mm long."""
    joints = torch.tensor([0.0, 0.0, 0.5]).repeat(2, 21, 1)
    joints[:, MIDDLE_PIP, 1] = -0.04
    joints[:, 4, 2] = 0.48
    return dataclasses.replace(
        synthetic.DotHands().draw(0, 2), joints_m_BJ3=joints, joints_px_BJ2=torch.tensor([20.0, 30.0]).repeat(2, 21, 1)
    )


def answer(batch: Batch, **changes) -> GroupsOutput:
    """The truth, with depths in units of the middle finger's first bone."""
    heat = torch.full((2, 21, MAP, MAP), 1 / MAP**2)
    depth = torch.zeros(2, 21)
    depth[:, 4] = -0.5  # 20 mm before the root; the bone has 40 mm
    plain = GroupsOutput(
        uv_BJ2=batch.joints_px_BJ2,
        depth_BJ=depth,
        heat_BJHW=heat,
        first_uv_BJ2=batch.joints_px_BJ2,
        first_heat_BJHW=heat,
        presence_B=torch.zeros(2),
        side_B=torch.zeros(2),
    )
    return dataclasses.replace(plain, **changes)


def test_depths_are_learned_in_units_of_the_scale_bone(batch) -> None:
    """Eq. 2."""
    target, known = relative_depth_target(batch)
    assert bool(known.all()) and target[0, 4] == pytest.approx(-0.5) and target[0, MIDDLE_MCP] == 0
    weights = dataclasses.replace(ONLY, depth=20.0)
    assert float(groups_loss(answer(batch), batch, weights).depth) == pytest.approx(0, abs=1e-6)
    deeper = groups_loss(answer(batch, depth_BJ=torch.zeros(2, 21)), batch, weights)
    # Half a bone off at one joint of 21.
    assert float(deeper.depth) == pytest.approx(0.5 / 21) and float(deeper.total) == pytest.approx(20 * 0.5 / 21)


@pytest.mark.parametrize(("norm", "expected"), [(1, 7.0), (2, 25.0)])
def test_pixels_are_summed_over_both_axes(batch, norm, expected) -> None:
    moved = answer(batch, uv_BJ2=batch.joints_px_BJ2 + torch.tensor([3.0, -4.0]))
    assert float(groups_loss(moved, batch, dataclasses.replace(ONLY, norm=norm)).total) == pytest.approx(expected)


def test_presence_is_the_belief_in_a_hand(batch) -> None:
    one_hand = dataclasses.replace(batch, is_hand_B=torch.tensor([True, False]))
    sure = groups_loss(answer(batch, presence_B=torch.tensor([3.0, -3.0])), one_hand, dataclasses.replace(ONLY, presence=1.0))
    assert float(sure.presence) == pytest.approx(math.log(1 + math.exp(-3)))


def test_side_is_the_belief_in_a_right_hand_and_of_hands_alone(batch) -> None:
    mirrored = dataclasses.replace(batch, mirrored_B=torch.tensor([False, True]))
    weights = dataclasses.replace(ONLY, side=1.0)
    sure = answer(batch, side_B=torch.tensor([3.0, -3.0]))
    assert float(groups_loss(sure, mirrored, weights).side) == pytest.approx(math.log(1 + math.exp(-3)))
    no_hand = dataclasses.replace(mirrored, is_hand_B=torch.tensor([True, False]))
    assert float(groups_loss(sure, no_hand, weights).side) == pytest.approx(math.log(1 + math.exp(-3)) / 2)


def test_a_heat_targets_middle_is_where_its_joint_is(batch) -> None:
    """A cell is four pixels wide, its middle 1.5 pixels after its first: pixel 21.5 is cell 5, pixel 33.5 cell 8."""
    at = dataclasses.replace(batch, joints_px_BJ2=torch.tensor([21.5, 33.5]).repeat(2, 21, 1))
    target = heat_target(at, MAP, 1.0)
    torch.testing.assert_close(target.sum((2, 3)), torch.ones(2, 21))
    cells = torch.arange(MAP, dtype=torch.float32)
    assert float((target[0, 0].sum(0) * cells).sum()) == pytest.approx(5.0, abs=1e-3)
    assert float((target[0, 0].sum(1) * cells).sum()) == pytest.approx(8.0, abs=1e-3)
    # One standard deviation away.
    assert float(target[0, 0, 8, 6] / target[0, 0, 8, 5]) == pytest.approx(math.exp(-0.5), rel=1e-4)
    # An uncertainty of 4 pixels is another cell: the variance doubles.
    wide = heat_target(dataclasses.replace(at, sigma_px_BJ=torch.full((2, 21), 4.0)), MAP, 1.0)
    assert float(wide[0, 0, 8, 6] / wide[0, 0, 8, 5]) == pytest.approx(math.exp(-0.25), rel=1e-4)


def test_an_even_heatmap_costs_the_logarithm_of_its_cells(batch) -> None:
    found = groups_loss(answer(batch), batch, dataclasses.replace(ONLY, heat=1.0, first=0.5))
    nats = 2 * math.log(MAP)
    assert float(found.heat) == pytest.approx(nats, rel=1e-5)
    assert float(found.first) == pytest.approx(nats, rel=1e-5)
    assert float(found.total) == pytest.approx(1.5 * nats, rel=1e-5)


def test_labels_that_are_missing_count_zero_in_the_mean(batch) -> None:
    half = dataclasses.replace(batch, valid_BJ=torch.tensor([True, False])[:, None].expand(2, 21))
    moved = answer(batch, uv_BJ2=batch.joints_px_BJ2 + torch.tensor([3.0, -4.0]))
    assert float(groups_loss(moved, half, ONLY).total) == pytest.approx(3.5)


def test_another_networks_depths_weigh_a_quarter(batch) -> None:
    weights = dataclasses.replace(ONLY, depth=1.0, opinion_depth=0.25)
    # Almost no uncertainty, so the pixels keep their weight: only the opinion's depths weigh less.
    opinion = dataclasses.replace(batch, sigma_px_BJ=torch.full((2, 21), 1e-9))
    off = answer(batch, depth_BJ=answer(batch).depth_BJ + 1.0)
    assert float(groups_loss(off, opinion, weights).depth) == pytest.approx(0.25)
