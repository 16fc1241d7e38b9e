"""Forearms, sleeves and things as meshes."""

import numpy as np
import pytest

from handviz.render.shade_loops import normals_of
from training.data.synth.props import ellipsoid, forearm, holds_camera


def middle_of(mesh):
    """The centres of a tube's rings (N, 3)."""
    around = len(np.unique(mesh.uv[:, 0]))
    return mesh.vertices.reshape(-1, around, 3)[:, :-1].mean(1)


@pytest.mark.parametrize("start", [0.1, 0.7, 1.5])
def test_a_sleeve_lies_on_the_line_of_a_bent_arm(start):
    palm, bend = 0.09, np.radians([5.0, 12.0, 25.0])
    arm, sleeve = (middle_of(forearm(np.zeros(3), palm, bend, start=s)) for s in (-0.09, start))
    share = np.linspace(0, 11, 2000)
    line = np.stack([np.interp(share, np.arange(12), arm[:, k]) for k in range(3)], 1)
    apart = np.linalg.norm(sleeve[:, None] - line, axis=-1).min(1)
    assert apart.max() < 0.002
    np.testing.assert_allclose(arm[-1], sleeve[-1], atol=1e-9)


def test_many_arms_start_each_at_its_own_place():
    bends, starts = np.radians([[0.0, 10, 20], [3.0, -10, -25]]), np.array([0.2, 0.9])
    many = forearm(np.zeros((2, 3)), np.array([0.08, 0.1]), bends, start=starts)
    for i in range(2):
        one = forearm(np.zeros(3), (0.08, 0.1)[i], bends[i], start=starts[i])
        np.testing.assert_allclose(many.vertices[i], one.vertices, atol=1e-12)


def test_tubes_and_balls_are_smooth_all_around():
    arm = forearm(np.zeros(3), 0.09, np.zeros(3))
    ball = ellipsoid(np.zeros(3), np.ones(3), np.eye(3))
    for mesh in (arm, ball):
        welded = mesh.first_V[mesh.faces].astype(np.int32)
        np.testing.assert_allclose(mesh.vertices[mesh.first_V], mesh.vertices, atol=1e-9)
        normals = normals_of(mesh.vertices, welded)[mesh.first_V].reshape(-1, 21, 3)
        np.testing.assert_array_equal(normals[:, 0], normals[:, -1])
    outwards = normals_of(ball.vertices, ball.first_V[ball.faces].astype(np.int32))[ball.first_V]
    assert (outwards * ball.vertices).sum(1).min() > 0.99


def test_a_camera_within_a_tube_is_noticed():
    arm = forearm(np.zeros(3), 0.09, np.zeros(3)).vertices
    inside, beside = arm - [0.12, 0.0, 0.0], arm - [0.12, 0.0, 0.06]
    assert holds_camera(np.stack([inside, beside, arm + [0.5, 0, 0]])).tolist() == [True, False, False]
