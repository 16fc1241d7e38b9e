from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handviz.geometry.kinematics import (
    axis_angle,
    fit_rotation,
    rotations_from_joints,
    swing_between,
    to_global,
    to_local,
    turn_by,
)
from handviz.hand.skeleton import PARENTS

RNG = np.random.default_rng(0)


def is_rotation(R: np.ndarray) -> bool:
    return bool(np.allclose(R @ np.swapaxes(R, -1, -2), np.eye(3), atol=1e-9) and np.allclose(np.linalg.det(R), 1))


def test_a_swing_takes_one_direction_to_the_other_about_the_axis_across() -> None:
    a, b = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3))
    R = swing_between(a, b)
    assert is_rotation(R)
    moved = (R @ a[..., None])[..., 0]
    np.testing.assert_allclose(moved / np.linalg.norm(a, axis=1)[:, None], b / np.linalg.norm(b, axis=1)[:, None], atol=1e-9)
    axis = Rotation.from_matrix(R).as_rotvec()
    np.testing.assert_allclose((axis * a).sum(1), 0, atol=1e-9)
    np.testing.assert_allclose((axis * b).sum(1), 0, atol=1e-9)


def test_swings_at_the_edges() -> None:
    for axis in np.eye(3):
        half = swing_between(axis, -axis)
        assert is_rotation(half)
        np.testing.assert_allclose(half @ axis, -axis, atol=1e-9)
        np.testing.assert_allclose(swing_between(axis, axis), np.eye(3), atol=1e-9)
        np.testing.assert_array_equal(swing_between(axis, np.zeros(3)), np.eye(3))


def test_fit_rotation_finds_the_rotation_and_never_a_mirror() -> None:
    R = Rotation.random(20, random_state=1).as_matrix()
    points = RNG.normal(size=(20, 5, 3))
    np.testing.assert_allclose(fit_rotation(points, points @ np.swapaxes(R, -1, -2)), R, atol=1e-9)
    assert is_rotation(fit_rotation(points, -points))


def test_rotations_put_every_bone_where_it_is_seen() -> None:
    rest = RNG.normal(0, 0.05, (21, 3))
    R_root = Rotation.random(6, random_state=2).as_matrix()
    local = Rotation.from_rotvec(RNG.normal(0, 0.6, (6 * 21, 3))).as_matrix().reshape(6, 21, 3, 3)
    local[:, 0] = R_root
    offsets = rest - rest[list(PARENTS)]
    offsets[0] = rest[0]
    _, joints = to_global(local, np.repeat(offsets[None], 6, 0), PARENTS)
    R = rotations_from_joints(joints, rest, PARENTS)
    assert is_rotation(R)
    np.testing.assert_allclose(R[:, 0], R_root, atol=1e-9)
    R_local, _ = to_local(R, joints, PARENTS)
    _, rebuilt = to_global(R_local, np.concatenate([joints[:, :1], np.repeat(offsets[None, 1:], 6, 0)], 1), PARENTS)
    np.testing.assert_allclose(rebuilt, joints, atol=1e-9)


def test_local_and_global_are_each_others_way_back() -> None:
    R = Rotation.random(3 * 21, random_state=3).as_matrix().reshape(3, 21, 3, 3)
    joints = RNG.normal(size=(3, 21, 3))
    R_back, joints_back = to_global(*to_local(R, joints, PARENTS), PARENTS)
    np.testing.assert_allclose(R_back, R, atol=1e-9)
    np.testing.assert_allclose(joints_back, joints, atol=1e-9)


@pytest.mark.parametrize("length", [0.0, 1e-9, 1e-4, 0.5, 2.0, np.pi - 1e-4])
def test_axis_angle_and_back(length: float) -> None:
    vector = length * np.array([2.0, -1.0, 2.0]) / 3
    expected = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(turn_by(vector), expected, atol=1e-9)
    np.testing.assert_allclose(axis_angle(expected), vector, atol=1e-7)


def test_what_is_no_rotation_gives_no_axis() -> None:
    assert np.isnan(axis_angle(np.full((3, 3), np.nan))).all()
