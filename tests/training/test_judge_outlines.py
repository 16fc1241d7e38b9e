import numpy as np
import pytest

from handviz.hand.skeleton import FINGER_JOINTS
from tests.training import judging


@pytest.fixture(scope="module")
def judge():
    return judging.judge("judge_outlines")


def on_a_mat(left, right):
    """A picture of an upright finger whose edges are at these columns."""
    rgb = np.full((256, 256, 3), (20, 90, 40), np.uint8)
    rgb[:, left : right + 1] = (220, 170, 150)
    return rgb


def joints_along(column):
    joints = np.zeros((21, 2))
    for chain in FINGER_JOINTS.values():
        joints[list(chain)] = np.stack([np.full(4, column), [200.0, 150.0, 100.0, 60.0]], -1)
    return joints


def test_joints_beside_a_fingers_middle_are_off_by_so_much(judge):
    off = judge.off_middle(judge.to_edge(on_a_mat(110, 130)), joints_along(123.0), 90.0)
    assert off.shape == (8,)
    np.testing.assert_allclose(np.abs(off), 3.0, atol=0.5)


def test_what_is_wider_than_a_finger_is_not_counted(judge):
    assert np.isnan(judge.off_middle(judge.to_edge(on_a_mat(90, 160)), joints_along(123.0), 90.0)).all()


def test_joints_on_the_mat_are_not_counted(judge):
    assert np.isnan(judge.off_middle(judge.to_edge(on_a_mat(110, 130)), joints_along(140.0), 90.0)).all()
