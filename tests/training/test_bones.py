"""Depths that learn from bone lengths where no depth is known."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import BONES, SCALE_BONE
from training.bones import USUAL_SHARE, unusual_bones, usual_lengths
from training.losses import LossWeights, groups_loss, relative_depth_target

ONLY_BONES = LossWeights(xy=0.0, depth=0.0, bones=1.0)


def hands(synthetic, count: int = 4, scale: float = 1.0):
    """Bent and turned default hands of a size, as a batch, and their 2.5D labels."""
    rng = torch.Generator().manual_seed(0)
    batch = synthetic.DotHands().draw(0, count)
    pose, turn = 0.2 * torch.randn(count, 45, generator=rng), torch.randn(count, 3, generator=rng)
    hand = load_hand_model()
    place = torch.tensor([0.02, -0.01, 0.5]).repeat(count, 1)
    joints = hand.forward(pose, torch.zeros(count, 10), turn, torch.full((count,), scale), scale * place).joints_BJ3
    seen = joints @ batch.K_B33.mT
    batch = dataclasses.replace(batch, joints_m_BJ3=joints, joints_px_BJ2=seen[..., :2] / seen[..., 2:])
    return batch, relative_depth_target(batch)[0]


def answer(batch, depth: Tensor, **changes):
    """What the loss reads of a network's output."""
    zero = torch.full((len(batch), 21, 16, 16), 1 / 256)
    plain = {"uv_BJ2": batch.joints_px_BJ2, "first_uv_BJ2": batch.joints_px_BJ2, "heat_BJHW": zero, "first_heat_BJHW": zero}
    return SimpleNamespace(**plain | {"depth_BJ": depth, "presence_B": None, "side_B": None} | changes)


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6])
def test_true_depths_of_a_usual_hand_of_any_size_give_usual_bones(synthetic, scale) -> None:
    batch, depth = hands(synthetic, scale=scale)
    torch.testing.assert_close(unusual_bones(batch.joints_px_BJ2, depth, batch.K_B33), torch.zeros(4, len(BONES)))


def test_a_bone_that_is_longer_by_a_third_is_told_as_such(synthetic) -> None:
    batch, _ = hands(synthetic)
    tip, dip = 8, 7
    joints = batch.joints_m_BJ3.clone()
    joints[:, tip] += (joints[:, tip] - joints[:, dip]) / 3
    seen = joints @ batch.K_B33.mT
    a, b = SCALE_BONE
    depth = (joints[..., 2] - joints[:, a, None, 2]) / (joints[:, a] - joints[:, b]).norm(dim=-1)[:, None]
    off = unusual_bones(seen[..., :2] / seen[..., 2:], depth, batch.K_B33)
    # The others seem a little short: all lengths together are the usual ones.
    assert off[:, BONES.index((dip, tip))].tolist() == pytest.approx([1 / 3 - USUAL_SHARE] * 4, abs=0.02)
    off[:, BONES.index((dip, tip))] = 0
    assert float(off.max()) == 0


def test_usual_lengths_are_in_units_of_the_scale_bone() -> None:
    lengths = usual_lengths()
    assert lengths[BONES.index(SCALE_BONE)] == pytest.approx(1) and 1.5 < lengths[BONES.index((0, 9))] < 3


def test_depths_of_photographs_learn_from_lengths_and_nothing_else_does(synthetic) -> None:
    batch, depth = hands(synthetic)
    is_photo = torch.tensor([True, False, True, True])
    batch = dataclasses.replace(batch, sigma_px_BJ=is_photo[:, None].float().repeat(1, 21))
    flat, pixels = (0.3 * depth).requires_grad_(), batch.joints_px_BJ2.clone().requires_grad_()
    terms = groups_loss(answer(batch, flat, uv_BJ2=pixels), batch, ONLY_BONES)
    terms.total.backward()
    assert float(terms.bones.detach()) > 0.02 and float(terms.total.detach()) == float(terms.bones.detach())
    assert flat.grad is not None and (flat.grad.abs().sum(1) > 0).tolist() == is_photo.tolist()
    assert pixels.grad is not None and not pixels.grad.any()


@pytest.mark.parametrize("too_far", [1.0, -1.0])
def test_a_tip_that_sticks_out_is_drawn_back(synthetic, too_far) -> None:
    batch, depth = hands(synthetic)
    batch = dataclasses.replace(batch, sigma_px_BJ=torch.full((4, 21), 0.5))
    learned = depth.clone()
    learned[:, 8] = depth[:, 7] + too_far
    learned.requires_grad_()
    groups_loss(answer(batch, learned), batch, ONLY_BONES).total.backward()
    assert learned.grad is not None and (learned.grad[:, 8].sign() == too_far).all()


def test_joints_without_labels_teach_nothing(synthetic) -> None:
    batch, depth = hands(synthetic)
    batch = dataclasses.replace(batch, sigma_px_BJ=torch.full((4, 21), 0.5), valid_BJ=torch.zeros(4, 21, dtype=torch.bool))
    assert float(groups_loss(answer(batch, 0.3 * depth), batch, ONLY_BONES).bones) == 0
