from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from handviz.fit.edges import drawn_mask, mask_iou
from handviz.fit.fit import fit_hand
from handviz.fit.problem import FitSettings, HandState, Observations
from handviz.fit.rig import rig_of
from handviz.geometry.camera import project
from handviz.hand.limits import check_pose

KNOWN_SHAPE = FitSettings(hold_shape=0.0)
SIZE = 128


def stacked(states):
    return HandState(**{name: np.concatenate([getattr(s, name) for s in states]) for name in HandState.__slots__})


def with_parts(state, **parts):
    return HandState(**({name: getattr(state, name) for name in HandState.__slots__} | parts))


def joints_of(rig, state, index=0):
    return rig.mesh(state.params(index, "default"))[1]


def shaken(state, seed, degrees=20.0, metres=0.02):
    rng = np.random.default_rng(seed)
    axis, way = rng.normal(size=(2, 3))
    turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis))
    return with_parts(
        state,
        pose_BP=state.pose_BP + rng.normal(0, np.radians(degrees) / 3**0.5, state.pose_BP.shape),
        root_rotation_B3=(turn * Rotation.from_rotvec(state.root_rotation_B3[0])).as_rotvec()[None],
        translation_B3=state.translation_B3 + metres * way / np.linalg.norm(way),
    )


def error_mm(result, joints):
    return 1000 * np.linalg.norm(result.joints_BJ3[0] - joints, axis=-1).mean()


@pytest.mark.parametrize("seed", range(4))
def test_cold_start_from_joints_in_the_camera_frame(rig, random_hand, K, seed):
    joints = joints_of(rig, random_hand(seed))
    result = fit_hand(Observations(K_B33=K, joints_m_BJ3=joints[None], sigma_m_BJ=0.001))
    assert error_mm(result, joints) < 0.5
    assert check_pose(result.state.pose_BP[0], tolerance_deg=5) == []


@pytest.mark.parametrize("seed", range(4))
def test_cold_start_from_relative_joints_and_pixels(rig, random_hand, K, seed):
    joints = joints_of(rig, random_hand(seed))
    seen = Observations(
        K_B33=K,
        joints_px_BJ2=project(joints, K)[None],
        joints_m_BJ3=(joints - joints[9] + [0.3, 0.1, 0.7])[None],
        metres="relative",
        sigma_px_BJ=0.5,
        sigma_m_BJ=0.002,
    )
    assert error_mm(fit_hand(seen), joints) < 2.0


# Not every shaken hand comes back; scripts/bench_hand.py counts how many of a hundred do.
@pytest.mark.parametrize("seed", range(5))
def test_mask_and_pixels_bring_back_a_shaken_hand(rig, random_hand, K, seed):
    truth = random_hand(seed)
    vertices, joints = rig.mesh(truth.params(0, "default"))
    mask = drawn_mask(vertices, rig.faces_F3, K, SIZE, SIZE)
    seen = Observations(K_B33=K, joints_px_BJ2=project(joints, K)[None], mask_BHW=mask[None], sigma_px_BJ=0.5)
    result = fit_hand(seen, shaken(truth, seed), settings=replace(KNOWN_SHAPE, second_thoughts=2))
    assert error_mm(result, joints) < 3.0
    fitted = drawn_mask(rig.mesh(result.params(0))[0], rig.faces_F3, K, SIZE, SIZE)
    assert mask_iou(fitted, mask) > 0.97


def test_a_mask_alone_pulls_the_hand_onto_itself(rig, random_hand, K):
    truth = random_hand(3)
    vertices, _ = rig.mesh(truth.params(0, "default"))
    mask = drawn_mask(vertices, rig.faces_F3, K, SIZE, SIZE)
    start = with_parts(truth, translation_B3=truth.translation_B3 + [[0.02, -0.015, 0.0]])
    before = mask_iou(drawn_mask(rig.mesh(start.params(0, "default"))[0], rig.faces_F3, K, SIZE, SIZE), mask)
    still = replace(KNOWN_SHAPE, hold_pose_rad=0.0, mask_rounds=15)
    result = fit_hand(Observations(K_B33=K, mask_BHW=mask[None]), start, settings=still)
    after = mask_iou(drawn_mask(rig.mesh(result.params(0))[0], rig.faces_F3, K, SIZE, SIZE), mask)
    assert before < 0.75
    assert after > 0.97
    assert np.array_equal(result.state.pose_BP, start.pose_BP)


def test_a_batch_gives_what_each_hand_gives_alone(rig, random_hand, K, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    hands = [random_hand(seed) for seed in range(3)]
    pixels = np.stack([project(joints_of(rig, hand), K) for hand in hands])
    starts = stacked([shaken(hand, 7) for hand in hands])
    together = fit_hand(Observations(K_B33=np.stack([K] * 3), joints_px_BJ2=pixels), starts)
    for i in range(3):
        alone = fit_hand(Observations(K_B33=K, joints_px_BJ2=pixels[i : i + 1]), stacked([shaken(hands[i], 7)]))
        assert np.allclose(together.joints_BJ3[i], alone.joints_BJ3[0], atol=1e-9)


def test_unknown_joints_and_an_outlier_do_little_harm(rig, random_hand, K):
    truth = random_hand(1)
    joints = joints_of(rig, truth)
    pixels = project(joints, K)
    pixels[7] = np.nan
    pixels[12] += [40, 0]
    result = fit_hand(Observations(K_B33=K, joints_px_BJ2=pixels[None]), shaken(truth, 1, 5, 0.005), settings=KNOWN_SHAPE)
    good = np.delete(np.arange(21), [7, 10, 11, 12])
    found = result.joints_BJ3[0]
    assert np.linalg.norm(project(found, K) - project(joints, K), axis=-1)[good].max() < 4
    assert 1000 * np.linalg.norm((found - found[0]) - (joints - joints[0]), axis=-1)[good].mean() < 6


def test_shape_comes_from_bone_lengths(rig, random_hand, K):
    truth = with_parts(random_hand(2), shape_BS=np.eye(10)[:1] * 2.0)
    joints = joints_of(rig, truth)
    result = fit_hand(Observations(K_B33=K, joints_m_BJ3=joints[None], sigma_m_BJ=0.0005), settings=FitSettings(shape_sigma=2.0))
    lengths = [np.linalg.norm(np.diff(found[[0, 5, 6, 7, 8]], axis=0), axis=-1).sum() for found in (joints, result.joints_BJ3[0])]
    assert abs(lengths[0] - lengths[1]) < 0.001


def test_scale_is_kept_unless_asked_for(rig, random_hand, K):
    truth = with_parts(random_hand(2), scale_B=np.array([1.15]))
    seen = Observations(K_B33=K, joints_m_BJ3=joints_of(rig, truth)[None], sigma_m_BJ=0.0005)
    assert fit_hand(seen, settings=FitSettings(shape_sigma=0.5)).state.scale_B[0] == 1.0
    free = fit_hand(seen, settings=FitSettings(shape_mean=tuple(truth.shape_BS[0]), shape_sigma=0.05, scale_sigma=0.5))
    assert free.state.scale_B[0] == pytest.approx(1.15, abs=0.02)


def test_holding_to_the_start_is_a_temporal_prior(rig, random_hand, K):
    start = random_hand(4)
    pixels = project(joints_of(rig, start) + [0.01, 0, 0], K)[None]
    seen = Observations(K_B33=K, joints_px_BJ2=pixels, sigma_px_BJ=4.0)
    moved = [
        np.abs(
            fit_hand(seen, start, settings=FitSettings(hold_translation_m=hold)).state.translation_B3 - start.translation_B3
        ).max()
        for hold in (None, 0.002, 0.0)
    ]
    assert moved[0] > moved[1] > moved[2] == 0.0


def test_nothing_observed_leaves_the_prior(random_hand, K):
    seen = Observations(K_B33=K, joints_px_BJ2=np.full((1, 21, 2), np.nan))
    result = fit_hand(seen, random_hand(0), settings=FitSettings(hold_rotation_rad=0.0, hold_translation_m=0.0))
    assert np.isfinite(result.joints_BJ3).all()
    assert check_pose(result.state.pose_BP[0], tolerance_deg=5) == []


@pytest.mark.parametrize("case", ["empty mask", "full mask", "mask elsewhere"])
def test_masks_without_use_are_survived(random_hand, K, case):
    mask = np.zeros((1, 64, 64), bool)
    if case == "full mask":
        mask[:] = True
    elif case == "mask elsewhere":
        mask[0, :3, :3] = True
    start = random_hand(0)
    away = with_parts(start, translation_B3=start.translation_B3 + [[2.0, 0, 0]])
    result = fit_hand(Observations(K_B33=K, mask_BHW=mask), away)
    assert np.isfinite(result.joints_BJ3).all()


def test_no_hands_give_no_results(K):
    result = fit_hand(Observations(K_B33=K, joints_px_BJ2=np.zeros((0, 21, 2))))
    assert result.joints_BJ3.shape == (0, 21, 3)
    assert len(result.state) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "needs pixels, metres or a mask"),
        ({"joints_px_BJ2": np.zeros((1, 20, 2))}, "joints must have shape"),
        ({"mask_BHW": np.zeros((4, 4), bool)}, "masks must have shape"),
        ({"joints_px_BJ2": np.zeros((2, 21, 2)), "joints_m_BJ3": np.zeros((1, 21, 3))}, "joints must have shape"),
        ({"joints_px_BJ2": np.zeros((1, 21, 2)), "K_B33": np.full((3, 3), np.nan)}, "K must be finite"),
    ],
)
def test_wrong_observations_are_refused_with_a_reason(K, change, message):
    with pytest.raises(ValueError, match=message):
        Observations(**({"K_B33": K} | change))


def test_wrong_starts_are_refused(random_hand, K):
    seen = Observations(K_B33=K, joints_px_BJ2=np.zeros((2, 21, 2)))
    with pytest.raises(ValueError, match="as many starts"):
        fit_hand(seen, random_hand(0))
    broken = with_parts(random_hand(0), pose_BP=np.full((1, 45), np.nan))
    with pytest.raises(ValueError, match="finite"):
        fit_hand(Observations(K_B33=K, joints_px_BJ2=np.zeros((1, 21, 2))), broken)


def test_a_surface_is_sewn_together_along_the_seams_of_its_texture(model, rig):
    twin, count = int(model.faces_F3[700, 0]), len(model.template_V3)
    faces = model.faces_F3.clone()
    faces[700, 0] = count
    per_vertex = ("template_V3", "shape_dirs_V3S", "pose_dirs_V3P", "skin_weights_VJ", "uv_V2", "part_V")
    rows = {name: torch.cat([getattr(model, name), getattr(model, name)[[twin]]]) for name in per_vertex}
    regressor = torch.cat([model.joint_regressor_JV, torch.zeros(16, 1)], 1)
    torn = rig_of(replace(model, faces_F3=faces, joint_regressor_JV=regressor, **rows))
    np.testing.assert_array_equal(torn.faces_F3, rig.faces_F3)
    np.testing.assert_array_equal(torn.rim[:count], rig.rim)
    assert not torn.rim[count]
