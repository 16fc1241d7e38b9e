from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handviz.geometry.camera import project
from handviz.hand.skeleton import BONES, MIDDLE_MCP, ROOT, WRIST
from handviz.models.recovery import (
    BONE_RATIOS,
    DEFAULT_PALM_M,
    place_hand,
    recover_joints,
    relative_depth,
    root_depth_from_bone,
    root_depth_from_bones,
    scale_of,
)
from tests.models.bones import bone_lengths

K = np.array([[300.0, 0, 63.5], [0, 310.0, 63.5], [0, 0, 1]])


def mean_hand(seed: int, bend: float = 0.6) -> np.ndarray:
    """A hand of mean proportions, fingers bent at random, wrist at the origin."""
    rng = np.random.default_rng(seed)
    lengths = DEFAULT_PALM_M * np.array(BONE_RATIOS).reshape(5, 4)
    joints = np.zeros((21, 3))
    for finger in range(5):
        angle = (finger - 2) * 0.25
        side = np.array([np.sin(angle), -np.cos(angle), 0])
        here, pitch = np.zeros(3), 0.0
        for part in range(4):
            direction = side * np.cos(pitch) + np.array([0, 0, -np.sin(pitch)])
            here = here + lengths[finger, part] * direction
            joints[1 + 4 * finger + part] = here
            pitch += rng.uniform(0, bend)
    return joints


def placed(seed: int, distance: float = 0.5, **options) -> np.ndarray:
    R = Rotation.random(random_state=seed).as_matrix()
    return mean_hand(seed, **options) @ R.T + [0.02, -0.01, distance]


def test_proportions_are_those_of_a_hand():
    ratios = dict(zip(BONES, BONE_RATIOS, strict=True))
    assert ratios[WRIST, MIDDLE_MCP] == 1.0
    for first in (5, 9, 13, 17):
        # A finger's bones: longest next to the palm, and always shorter than the palm.
        assert 1.0 > ratios[first, first + 1] > ratios[first + 1, first + 2] > 0.1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), distance=st.floats(0.3, 2.0))
def test_given_root_and_scale_the_joints_come_back(seed, distance):
    joints = placed(seed, distance)
    back = recover_joints(project(joints, K), relative_depth(joints), K, scale_of(joints), joints[ROOT, 2])
    assert np.allclose(back, joints, atol=1e-9)


def test_recovery_is_batched():
    joints = np.stack([placed(s) for s in range(4)])
    matrices = np.stack([K] * 4)
    matrices[2, 0, 0] = 350
    pixels = np.stack([project(j, k) for j, k in zip(joints, matrices, strict=True)])
    back = recover_joints(pixels, relative_depth(joints), matrices, scale_of(joints), joints[:, ROOT, 2])
    assert np.allclose(back, joints)
    lengths = bone_lengths(joints)
    depth = root_depth_from_bones(pixels, relative_depth(joints), matrices, scale_of(joints), lengths)
    assert np.allclose(depth, joints[:, ROOT, 2])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), distance=st.floats(0.3, 2.0))
def test_bone_lengths_give_the_root_depth(seed, distance):
    joints = placed(seed, distance)
    pixels, depth, scale = project(joints, K), relative_depth(joints), scale_of(joints)
    by_all = root_depth_from_bones(pixels, depth, K, scale, bone_lengths(joints))
    assert by_all == pytest.approx(joints[ROOT, 2], rel=1e-6)


def test_one_bone_gives_it_too_when_seen_from_the_side():
    joints = mean_hand(0, bend=0.2) + [0, 0, 0.6]
    pixels, depth = project(joints, K), relative_depth(joints)
    assert root_depth_from_bone(pixels, depth, K, scale_of(joints)) == pytest.approx(0.6, abs=0.02)
    exact = root_depth_from_bone(pixels, depth, K, scale_of(joints))
    assert exact == pytest.approx(joints[ROOT, 2], rel=1e-6)


def test_all_bones_bear_noise_better_than_one():
    rng = np.random.default_rng(0)
    one, all_bones = [], []
    for seed in range(200):
        joints = placed(seed)
        pixels = project(joints, K) + rng.normal(0, 1.0, (21, 2))
        depth = relative_depth(joints) + rng.normal(0, 0.1, 21)
        scale = scale_of(joints)
        one.append(abs(root_depth_from_bone(pixels, depth, K, scale) - joints[ROOT, 2]))
        all_bones.append(abs(root_depth_from_bones(pixels, depth, K, scale, bone_lengths(joints)) - joints[ROOT, 2]))
    assert np.median(all_bones) < 0.5 * np.median(one)
    assert np.percentile(all_bones, 95) < 0.1 < np.percentile(one, 95)


def test_palm_length_alone_places_a_mean_hand():
    joints = placed(3)
    back = place_hand(project(joints, K), relative_depth(joints), K)
    assert np.allclose(back, joints, atol=1e-6)
    # A hand half as large and half as far away gives the same picture.
    half = place_hand(project(joints, K), relative_depth(joints), K, DEFAULT_PALM_M / 2)
    assert np.allclose(half, joints / 2, atol=1e-6)


def test_impossible_maps_still_give_a_finite_place():
    joints = place_hand(np.full((21, 2), 63.5), np.linspace(-9, 9, 21), K)
    assert np.isfinite(joints).all()
