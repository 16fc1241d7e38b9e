"""Smoothing of tracked hands, with and without a mesh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handviz.fit.rig import placed_hand, rig_named
from handviz.geometry.camera import intrinsics_from_fov, project
from handviz.geometry.kinematics import axis_angle, swing_between, turn_by
from handviz.hand.mirror import Side
from handviz.hand.skeleton import MIDDLE_MCP, WRIST, palm_length
from handviz.postprocess.smoother import LEAP_PALMS, HandSmoother
from handviz.records import HandEstimate, HandJoints, HandParams

K = intrinsics_from_fov(640, 480, 60)


def hand(joints_px: np.ndarray, joints_m: np.ndarray) -> HandEstimate:
    joints = HandJoints(joints_camera_m=joints_m, joints_px=joints_px, confidence=np.ones(21))
    return HandEstimate(track_id=0, side="right", score=1.0, box_xyxy_px=np.zeros(4), joints=joints)


def test_hand_is_smoothed_in_pixels_and_metres_and_a_cut_starts_anew() -> None:
    rng = np.random.default_rng(1)
    rest_m, rest_px = rng.normal(0, 0.05, (21, 3)) + [0, 0, 0.5], rng.uniform(100, 200, (21, 2))
    smoother = HandSmoother(0.5)
    raw, out = [], []
    for i in range(40):
        noise_m, noise_px = rng.normal(0, 0.002, (21, 3)), rng.normal(0, 1.0, (21, 2))
        given = hand(rest_px + noise_px, rest_m + noise_m)
        raw.append(given.joints)
        out.append(smoother(given, i / 30, K).joints)
    for name in ("joints_px", "joints_camera_m"):
        before, after = (np.std([getattr(j, name) for j in series[10:]], axis=0).mean() for series in (raw, out))
        assert after < 0.6 * before
    elsewhere = hand(rest_px + 300, rest_m + [0.3, 0, 0])
    jumped = smoother(elsewhere, 40 / 30, K)
    np.testing.assert_allclose(jumped.joints.joints_px, elsewhere.joints.joints_px)
    np.testing.assert_allclose(jumped.joints.joints_camera_m, elsewhere.joints.joints_camera_m)
    assert jumped.stage == "smoothed"


def test_joints_that_project_onto_their_pixels_do_so_smoothed() -> None:
    rng = np.random.default_rng(3)
    rest_m = rng.normal(0, 0.05, (21, 3)) + [0, 0, 0.5]
    smoother, raw, smooth = HandSmoother(0.5), [], []
    for i in range(60):
        given_m = rest_m + [0.002 * i, 0, 0] + rng.normal(0, 0.002, (21, 3))
        joints = smoother(hand(project(given_m, K), given_m), i / 30, K).joints
        np.testing.assert_allclose(project(joints.joints_camera_m, K), joints.joints_px, atol=1e-6)
        raw.append(given_m - [0.002 * i, 0, 0])
        smooth.append(joints.joints_camera_m - [0.002 * i, 0, 0])
    # By then the lag of a steady movement has settled. Depth is smoothed more than movement across the picture.
    left = np.std(smooth[30:], axis=0).mean(0) / np.std(raw[30:], axis=0).mean(0)
    assert left.max() < 0.9 and left[2] < 0.6


@pytest.mark.parametrize(("palms", "anew"), [(0.9 * LEAP_PALMS, False), (1.1 * LEAP_PALMS, True)])
def test_a_leap_is_told_from_a_movement(palms: float, anew: bool) -> None:
    rng = np.random.default_rng(2)
    rest_m = rng.normal(0, 0.05, (21, 3)) * [1, 1, 0] + [0, 0, 0.5]
    rest_px = project(rest_m, K)
    smoother = HandSmoother(0.5)
    for i in range(5):
        smoother(hand(rest_px, rest_m), i / 30, K)
    moved = rest_px + [palms * float(palm_length(rest_px)), 0]
    answer = smoother(hand(moved, rest_m), 5 / 30, K).joints.joints_px
    assert bool(np.allclose(answer, moved)) == anew


def meshed(side: Side, params: HandParams) -> HandEstimate:
    mesh, joints = placed_hand(rig_named(), params, mirrored=side == "left")
    return replace(hand(project(joints, K), joints), side=side, mesh=mesh)


@pytest.mark.parametrize("degrees", [0.0, 2.0, 90.0])
def test_a_palm_that_points_at_the_camera_is_held_as_well(degrees: float) -> None:
    """Seen almost end-on, its jitter was taken for leaps."""
    rng = np.random.default_rng(5)
    rig = rig_named()
    palm = rig.joints((np.zeros(45), np.zeros(10), np.eye(3), np.zeros(3), np.ones(1)))
    ahead = palm[MIDDLE_MCP] - palm[WRIST]
    turn = turn_by(np.radians([degrees, 0, 0])) @ swing_between(ahead / np.linalg.norm(ahead), np.array([0.0, 0, 1]))
    middle = np.array([0, 0, 0.5]) - palm[WRIST]
    still = HandParams(pose=np.zeros(45), shape=np.zeros(10), root_rotation=axis_angle(turn), translation_m=middle)
    smoother, raw, smooth = HandSmoother(0.5), [], []
    for i in range(90):
        trembling = replace(still, translation_m=still.translation_m + rng.normal(0, 0.002, 3))
        given = meshed("right", trembling)
        raw.append(given.joints.joints_px)
        smooth.append(smoother(given, i / 30, K).joints.joints_px)
    before, after = (np.std(series[20:], axis=0).mean() for series in (raw, smooth))
    assert after < 0.65 * before


def moving_hand(seed: int, noise: float, count: int = 40) -> list[HandParams]:
    """A hand that turns past half a turn about its axis while a finger bends."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        turn = turn_by(np.array([0.0, 0.0, np.pi - 0.5 + i / count])) @ turn_by(noise * rng.normal(size=3))
        pose = 0.3 * np.sin(i / 20 + np.arange(45)) + noise * rng.normal(size=45)
        found.append(
            HandParams(
                pose=pose,
                shape=np.full(10, 0.5) + noise * rng.normal(size=10),
                root_rotation=axis_angle(turn),
                translation_m=np.array([0.05, 0.02, 0.5]) + 0.05 * noise * rng.normal(size=3),
                scale=float(np.exp(noise * 0.2 * rng.normal())),
            )
        )
    return found


@pytest.mark.parametrize("side", ["left", "right"])
def test_joints_surface_and_parameters_stay_one_hand(side: Side) -> None:
    smoother = HandSmoother(0.5)
    for i, params in enumerate(moving_hand(3, 0.05)):
        smooth = smoother(meshed(side, params), i / 30, K)
        assert smooth.mesh is not None
        mesh, joints = placed_hand(rig_named(), smooth.mesh.params, mirrored=side == "left")
        np.testing.assert_allclose(smooth.joints.joints_camera_m, joints, atol=1e-9)
        np.testing.assert_allclose(smooth.mesh.vertices_camera_m, mesh.vertices_camera_m, atol=1e-9)
        assert np.array_equal(smooth.mesh.faces, mesh.faces)
        np.testing.assert_allclose(smooth.joints.joints_px, project(joints, K), atol=1e-9)


def test_a_noisy_mesh_gets_nearer_to_the_true_one_also_past_half_a_turn() -> None:
    smoother = HandSmoother(0.5)
    noisy, out, true = [], [], []
    for i, (params, clean) in enumerate(zip(moving_hand(4, 0.05), moving_hand(4, 0.0), strict=True)):
        given = meshed("right", params)
        noisy.append(given.joints.joints_camera_m)
        out.append(smoother(given, i / 30, K).joints.joints_camera_m)
        true.append(meshed("right", clean).joints.joints_camera_m)
    before, after = (np.linalg.norm(np.array(series) - np.array(true), axis=-1)[10:].mean() for series in (noisy, out))
    assert after < 0.8 * before


def test_a_mesh_starts_anew_after_a_gap() -> None:
    smoother = HandSmoother(1.0)
    first, last = (meshed("right", moving_hand(5, 0.0)[i]) for i in (0, 39))
    smoother(first, 0.0, K)
    smooth = smoother(last, 10.0, K)
    np.testing.assert_allclose(smooth.joints.joints_camera_m, last.joints.joints_camera_m, atol=1e-9)


def test_a_mesh_is_where_it_is_seen_however_noisy_its_depth() -> None:
    smoother, beside, seen = HandSmoother(0.5), HandSmoother(0.5), []
    (params,) = moving_hand(6, 0.0, 1)
    rng = np.random.default_rng(7)
    for i in range(40):
        place = np.array([0.05 + 0.002 * i, 0.02, 0.5]) * np.exp(0.05 * rng.normal())
        given = meshed("right", replace(params, translation_m=place))
        smooth = smoother(given, i / 30, K).joints
        # A hand without a mesh has its pixels smoothed by themselves.
        plain = beside(replace(given, mesh=None), i / 30, K).joints
        np.testing.assert_allclose(smooth.joints_px.mean(0), plain.joints_px.mean(0), atol=0.2)
        seen.append((given.joints.joints_camera_m[WRIST, 2], smooth.joints_camera_m[WRIST, 2]))
    raw, steady = np.std(seen[10:], axis=0)
    assert steady < 0.75 * raw


@pytest.mark.parametrize(("first_m", "then_m"), [(0.3, 1.5), (1.5, 0.3)])
def test_a_hand_that_came_nearer_or_went_away_is_held_as_a_fresh_one(first_m: float, then_m: float) -> None:
    rng = np.random.default_rng(0)
    form = rng.normal(0, 0.04, (21, 3))
    long, fresh = HandSmoother(0.5), None
    for i in range(120):
        z = first_m + (then_m - first_m) * min(i / 60, 1.0)
        joints = form + [0.02 * np.sin(i / 3), 0, z]
        seen = hand(project(joints, K) + rng.normal(0, 0.5 / z, (21, 2)), joints)
        smooth = long(seen, i / 30, K)
        if i >= 60:
            fresh = fresh or HandSmoother(0.5)
            other = fresh(seen, i / 30, K)
    np.testing.assert_allclose(smooth.joints.joints_px, other.joints.joints_px, atol=0.1)


def test_how_far_a_hand_lags_is_no_question_of_its_size() -> None:
    form, seen = np.random.default_rng(0).normal(0, 0.04, (21, 3)), []
    for size in (0.5, 1.0, 2.0):
        smoother = HandSmoother(0.5)
        for i in range(20):
            joints = form + [0.03 * np.sin(i / 3), 0, 0.5]
            smooth = smoother(hand(project(joints, K), size * joints), i / 30, K)
        seen.append(smooth.joints.joints_px)
    np.testing.assert_allclose(seen[1:], [seen[0], seen[0]], atol=1e-6)
