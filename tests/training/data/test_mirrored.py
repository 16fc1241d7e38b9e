"""Hands that are added to a batch mirrored."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from handviz.models.groups import GroupsNetwork
from training.data.mirrored import with_mirrored
from training.losses import LossWeights, groups_loss

SHARE = 0.25


def drawn(synthetic, size=8, negatives=0.0):
    batch = synthetic.DotHands(negatives=negatives).draw(0, size)
    return dataclasses.replace(batch, rgb_B3SS=batch.rgb_B3SS.float() / 255)


def test_they_are_pictures_of_hands_without_labels(synthetic) -> None:
    batch = drawn(synthetic, 8, negatives=0.5)
    assert not batch.is_hand_B.all()
    whole = with_mirrored(batch, SHARE, torch.Generator().manual_seed(1))
    assert len(whole) == 10 and whole.mirrored_B.tolist() == [False] * 8 + [True] * 2
    left = whole.take(slice(8, None))
    assert left.is_hand_B.all() and not left.valid_BJ.any() and not left.has_joints_m_B.any() and not left.has_params_B.any()
    for picture in left.rgb_B3SS.flip(-1):
        assert any(torch.equal(picture, hand) for hand in batch.rgb_B3SS[batch.is_hand_B])
    assert torch.equal(whole.take(slice(0, 8)).joints_px_BJ2, batch.joints_px_BJ2)


@pytest.mark.parametrize(("share", "negatives"), [(0.0, 0.0), (0.5, 1.0)], ids=["none wanted", "no hands"])
def test_batches_without_them_stay_as_they_are(synthetic, share: float, negatives: float) -> None:
    batch = drawn(synthetic, 4, negatives)
    assert with_mirrored(batch, share, torch.Generator()) is batch


def test_they_count_for_the_side_alone(tiny_recipe, synthetic) -> None:
    torch.manual_seed(0)
    network = GroupsNetwork(tiny_recipe.network).eval()
    batch = with_mirrored(drawn(synthetic), SHARE, torch.Generator().manual_seed(1))
    output = network(batch.rgb_B3SS)
    weights = LossWeights(heat=1.0, presence=1.0, side=1.0)
    terms = groups_loss(output, batch, weights)
    chance = torch.sigmoid(output.side_B)
    wanted = -torch.where(batch.mirrored_B, 1 - chance, chance).log().mean()
    torch.testing.assert_close(terms.side, wanted)
    moved = dataclasses.replace(
        output,
        uv_BJ2=torch.where(batch.mirrored_B[:, None, None], 0.0, output.uv_BJ2),
        depth_BJ=torch.where(batch.mirrored_B[:, None], 9.0, output.depth_BJ),
    )
    torch.testing.assert_close(groups_loss(moved, batch, weights).total, terms.total)
