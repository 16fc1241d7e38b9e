import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from handviz.fit.chain import COLUMNS, right_jacobian, rotation_of
from handviz.fit.rig import PARENTS
from handviz.fit.solver import moved, solve_damped
from handviz.fit.system import place, turn_between
from handviz.records import HandParams


def random_state(seed, bend=0.4):
    rng = np.random.default_rng(seed)
    R = np.ascontiguousarray(Rotation.random(random_state=seed).as_matrix())
    return (rng.normal(0, bend, 45), rng.normal(0, 1, 10), R, np.array([0.02, 0.03, 0.5]), np.array([1.1]))


@pytest.mark.parametrize("v", [[0.0, 0, 0], [1e-5, 0, 0], [0.3, -0.2, 0.9], [0, 3.0, 0]])
def test_rotation_and_its_right_jacobian(v):
    v, R, J = np.array(v), np.empty((3, 3)), np.empty((3, 3))
    rotation_of(v, R)
    assert np.allclose(R, Rotation.from_rotvec(v).as_matrix(), atol=1e-12)
    right_jacobian(v, J)
    for axis in np.eye(3):
        step = 1e-6 * axis
        change = (Rotation.from_rotvec(v).inv() * Rotation.from_rotvec(v + step)).as_rotvec() / 1e-6
        assert np.allclose(J @ axis, change, atol=1e-4)


def test_points_are_those_of_the_hand_model(model, rig):
    pose, shape, R, translation, scale = random_state(2)
    turn = Rotation.from_matrix(R).as_rotvec()
    vertices, joints = rig.mesh(
        HandParams(pose=pose, shape=shape, root_rotation=turn, translation_m=translation, scale=float(scale[0]))
    )
    double = model.to(dtype=torch.float64)
    batch = [torch.from_numpy(np.asarray(a))[None] for a in (pose, shape, turn)]
    surface = double.forward(*batch, torch.from_numpy(scale), torch.from_numpy(translation)[None])
    assert np.allclose(vertices, surface.vertices_BV3[0].numpy(), atol=1e-9)
    assert np.allclose(joints, surface.joints_BJ3[0].numpy(), atol=1e-9)
    assert np.allclose(rig.joints((pose, shape, R, translation, scale)), joints, atol=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
def test_analytic_jacobian_matches_finite_differences(rig, seed):
    state = random_state(seed)
    # Fingertips, and vertices that several joints move.
    mixed = (rig.weights_VJ > 0.1).sum(1).argsort()[-4:]
    chain = (rig.rest_J3, rig.rest_dirs_J3S, PARENTS, *rig.points(np.concatenate([rig.tips, mixed])))
    _, rows = place(state, chain)
    for column in range(COLUMNS):
        step = np.zeros(COLUMNS)
        step[column] = 1e-6
        after, before = place(moved(state, step), chain)[0], place(moved(state, -step), chain)[0]
        assert np.allclose((after - before) / 2e-6, rows[:, :, column], atol=1e-8), column


@pytest.mark.parametrize("degrees", [0.0, 1.0, 60.0, 120.0, 179.9])
def test_turn_between_rotations(degrees):
    _, _, R, _, _ = random_state(5)
    w = np.radians(degrees) * np.array([1.0, -2.0, 2.0]) / 3
    turned = Rotation.from_rotvec(w).as_matrix() @ R
    np.testing.assert_allclose(turn_between(turned, R), w, atol=1e-6)


def test_damped_step_solves_the_free_part_only():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(80, COLUMNS))
    H, g = A.T @ A, rng.normal(size=COLUMNS)
    free = rng.random(COLUMNS) < 0.7
    step = solve_damped(np.triu(H), g, free, 0.0)
    assert np.allclose(step[~free], 0)
    assert np.allclose(H[np.ix_(free, free)] @ step[free], -g[free], atol=1e-6)
    assert np.linalg.norm(solve_damped(np.triu(H), g, free, 10.0)) < np.linalg.norm(step)
