import numpy as np
import pytest

from handviz.hand.gestures import GESTURES
from handviz.hand.limits import (
    ANATOMICAL_FROM_POSE,
    ANGLE_INDEX,
    ANGLE_NAMES,
    POSE_HIGH,
    POSE_LOW,
    check_pose,
    clamp_pose,
    from_anatomical,
    to_anatomical,
)
from handviz.hand.model import load_hand_model
from handviz.hand.prior import pose_prior, sample_poses
from handviz.hand.skeleton import JOINT_INDEX


def one_angle(name: str, degrees: float):
    angles = np.zeros(45)
    angles[ANGLE_INDEX[name]] = np.radians(degrees)
    return from_anatomical(angles)


def joints_of(pose):
    import torch

    zero = torch.zeros(1, 10), torch.zeros(1, 3)
    hand = load_hand_model().shaped(zero[0]).posed(torch.tensor(pose, dtype=torch.float32)[None], zero[1])
    return hand.joints_BJ3[0].numpy()


def test_anatomical_angles_are_an_orthogonal_change_of_axes():
    np.testing.assert_allclose(ANATOMICAL_FROM_POSE @ ANATOMICAL_FROM_POSE.T, np.eye(45), atol=1e-12)
    pose = np.random.default_rng(0).normal(size=(7, 45))
    np.testing.assert_allclose(from_anatomical(to_anatomical(pose)), pose, atol=1e-12)


def test_every_range_holds_the_flat_hand():
    assert len(ANGLE_NAMES) == 45
    assert (POSE_LOW < 0).all()
    assert (POSE_HIGH > 0).all()


@pytest.mark.parametrize("finger", ["index", "middle", "ring", "little"])
def test_flexion_bends_to_the_palm_and_abduction_swings_to_the_thumb(finger):
    flat = joints_of(np.zeros(45))
    tip = JOINT_INDEX[f"{finger}_tip"]
    bent = joints_of(one_angle(f"{finger}_pip flexion", 60))
    assert bent[tip, 1] < flat[tip, 1] - 0.015
    swung = joints_of(one_angle(f"{finger}_mcp abduction", 15))
    assert swung[tip, 2] > flat[tip, 2] + 0.01


def test_thumb_lifts_out_of_the_palm_and_draws_to_the_index():
    flat = joints_of(np.zeros(45))
    tip, index = JOINT_INDEX["thumb_tip"], JOINT_INDEX["index_mcp"]
    lifted = joints_of(one_angle("thumb_cmc abduction", 40))
    assert lifted[tip, 1] < flat[tip, 1] - 0.03
    drawn = joints_of(one_angle("thumb_cmc flexion", 30))
    assert np.linalg.norm(drawn[tip] - drawn[index]) < np.linalg.norm(flat[tip] - flat[index]) - 0.01


@pytest.mark.parametrize(
    ("angle", "degrees", "excess"),
    [
        ("index_pip flexion", -40, 30),
        ("middle_mcp abduction", 50, 28),
        ("ring_dip flexion", 120, 35),
        ("thumb_ip twist", -26, 20),
    ],
)
def test_says_which_joint_is_impossible_and_by_how_much(angle, degrees, excess):
    (found,) = check_pose(one_angle(angle, degrees))
    assert f"{found.joint} {found.motion}" == angle
    assert found.excess_deg == pytest.approx(excess, abs=0.01)
    assert angle in str(found)
    assert f"{excess} deg outside" in str(found)


def test_worst_comes_first():
    pose = one_angle("index_pip flexion", -40) + one_angle("ring_pip flexion", -90)
    assert [violation.joint for violation in check_pose(pose)] == ["ring_pip", "index_pip"]


def test_clamping_moves_only_what_is_outside():
    rng = np.random.default_rng(1)
    wild = rng.normal(size=(50, 45)) * 2
    tame = clamp_pose(wild)
    for before, after in zip(wild, tame, strict=True):
        assert check_pose(after, tolerance_deg=1e-6) == []
        inside = (to_anatomical(before) >= POSE_LOW) & (to_anatomical(before) <= POSE_HIGH)
        np.testing.assert_allclose(to_anatomical(after)[inside], to_anatomical(before)[inside], atol=1e-9)
    np.testing.assert_allclose(clamp_pose(tame), tame, atol=1e-12)


@pytest.mark.parametrize(
    ("pose", "problem"),
    [(np.zeros(44), r"shape \(44,\)"), (np.full(45, np.nan), "finite values"), (np.zeros((2, 45)), r"shape \(2, 45\)")],
)
def test_what_is_no_pose_is_refused(pose, problem):
    with pytest.raises(ValueError, match=problem):
        check_pose(pose)


@pytest.mark.parametrize("gesture", GESTURES, ids=lambda gesture: gesture.name)
def test_gestures_are_possible(gesture):
    assert check_pose(gesture.pose(), tolerance_deg=0.01) == []


def test_gesture_names_are_unique():
    assert len({gesture.name for gesture in GESTURES}) == len(GESTURES)


def test_random_poses_are_possible_varied_and_repeatable():
    poses = sample_poses(np.random.default_rng(4), 500)
    assert all(check_pose(pose, tolerance_deg=0.01) == [] for pose in poses)
    np.testing.assert_array_equal(poses, sample_poses(np.random.default_rng(4), 500))
    curl = np.degrees(to_anatomical(poses))[:, [ANGLE_INDEX[f"{f}_pip flexion"] for f in ("index", "middle", "ring", "little")]]
    assert (curl < 20).mean() > 0.15
    assert (curl > 80).mean() > 0.15
    # Fingers move on their own as well as together.
    correlation = np.corrcoef(curl.T)
    assert 0.1 < correlation[0, 3] < 0.9


def test_prior_knows_natural_poses_from_unnatural_ones():
    prior = pose_prior()
    natural = sample_poses(np.random.default_rng(9), 300)
    strange = clamp_pose(np.random.default_rng(9).normal(size=(300, 45)) * 1.5)
    assert np.median(prior.distance2(strange)) > 5 * np.median(prior.distance2(natural))
    assert prior.distance2(prior.mean) == pytest.approx(0)
