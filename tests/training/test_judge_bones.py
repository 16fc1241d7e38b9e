"""What ``scripts/judge_bones.py`` says of made-up hands whose bones are known."""

import numpy as np
import pytest

from handviz.hand.skeleton import BONES, JOINT_INDEX
from tests.training import judging
from tests.training.data.hands import flat_hand


@pytest.fixture(scope="module")
def bone_deviations():
    return judging.judge("judge_bones").bone_deviations


def grown(joints_m, tip, factor):
    """The hand with its last bone to this tip so many times as long."""
    parent = dict((child, parent) for parent, child in BONES)[tip]
    longer = joints_m.copy()
    longer[tip] = joints_m[parent] + factor * (joints_m[tip] - joints_m[parent])
    return longer


def test_neither_size_nor_place_nor_turn_is_a_deviation(bone_deviations):
    hand = flat_hand()
    turned = (hand - hand.mean(0))[:, [1, 0, 2]] * [1, -1, 1]
    off = bone_deviations(np.stack([hand, 2.5 * hand, turned + [0.0, 0.1, 1.0]]), ["a"] * 3)
    np.testing.assert_allclose(off, 0.0, atol=1e-9)


def test_one_bone_in_one_hand_is_told_by_how_much_it_is_longer(bone_deviations):
    hand, tip = flat_hand(), JOINT_INDEX["index_tip"]
    off = bone_deviations(np.stack([hand, hand, grown(hand, tip, 1.2)]), ["a"] * 3)
    bone = [child for _, child in BONES].index(tip)
    share = np.log(1.2) / len(BONES)
    np.testing.assert_allclose(off[2], np.where(np.arange(len(BONES)) == bone, np.log(1.2), 0) - share, atol=1e-9)
    np.testing.assert_allclose(off[:2], 0.0, atol=1e-9)


def test_folders_have_medians_of_their_own(bone_deviations):
    hand, other = flat_hand(), grown(flat_hand(), JOINT_INDEX["thumb_tip"], 1.5)
    both = np.stack([hand, hand, other, other])
    np.testing.assert_allclose(bone_deviations(both, ["a", "a", "b", "b"]), 0.0, atol=1e-9)
    assert np.abs(bone_deviations(both, ["a"] * 4)).max() > 0.1
