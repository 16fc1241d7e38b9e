"""Hands that lean are found out, and leaned back, without their true depths."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handviz.geometry.camera import project
from handviz.hand.skeleton import MIDDLE_MCP, WRIST
from tests.training.data.hands import flat_hand
from training.data.labelling.lean import EXACT_DEG, facing, lean_of, leaned_back, palm_angles


def hands(count=240, persons=6, seed=0):
    """Flat hands of some persons, each with its own palm, in front of a camera, and whose they are."""
    rng, flat = np.random.default_rng(seed), flat_hand() - flat_hand()[WRIST]
    out, who = [], []
    for i in range(count):
        person = i % persons
        shape = np.array([1.0 + 0.06 * (person - persons / 2), 1.0, 1.0])
        tilt, turn = rng.normal(0, 18), rng.normal(0, 10)
        R = Rotation.from_euler("xy", [tilt, turn], degrees=True).as_matrix()
        out.append((flat * shape) @ R.T + [0, 0, 0.7])
        who.append(str(person))
    return np.stack(out), who


def face_of(joints):
    return "palm" if np.median(facing(joints)) > 0 else "back"


def leant(joints, degrees):
    return np.stack([leaned_back(one, -degrees) + one[WRIST] for one in joints])


def test_exact_hands_do_not_lean():
    joints, who = hands()
    lean = lean_of(joints, who, face_of(joints))
    assert lean.hands > 150 and lean.low_deg <= lean.tilt_deg <= lean.high_deg
    # Flat hands of another palm, and not as near: perspective moves the top less.
    assert EXACT_DEG[face_of(joints)] - 4 < lean.tilt_deg < 3


@pytest.mark.parametrize("degrees", [-15.0, 12.0])
def test_a_lean_is_measured_and_taken_back(degrees):
    joints, who = hands()
    face = face_of(joints)
    moved = leant(joints, degrees)
    before, after = lean_of(joints, who, face), lean_of(moved, who, face)
    assert after.tilt_deg - before.tilt_deg == pytest.approx(degrees, abs=4)
    back = np.stack([leaned_back(one, degrees) for one in moved])
    gap = np.abs(back - (joints - joints[:, [WRIST]]))
    assert np.median(gap) < 0.15 * np.median(np.abs(moved - joints)) + 1e-4


def test_leaning_back_changes_depths_alone():
    joint, K = hands(1)[0][0], np.array([[300.0, 0, 80], [0, 300, 80], [0, 0, 1]])
    back = leaned_back(joint, 10.0)
    np.testing.assert_allclose(back[:, :2], (joint - joint[WRIST])[:, :2])
    tilt = [float(np.degrees(palm_angles(x[None])[0][0])) for x in (joint, back)]
    assert tilt[0] - tilt[1] == pytest.approx(10.0 * np.cos(np.radians(tilt[0])) ** 2, abs=0.1)
    assert np.isfinite(project(back + joint[WRIST], K)).all()


def test_hands_on_edge_are_left_alone():
    joint = hands(1)[0][0]
    edge = (joint - joint[WRIST]) @ Rotation.from_euler("y", 90, degrees=True).as_matrix().T + joint[WRIST]
    np.testing.assert_allclose(leaned_back(edge, 10.0), edge - edge[WRIST], atol=0.004)


def test_lengths_without_a_top_say_nothing():
    """The longer the more tilted either way: no answers of anyone's, but no lean either."""
    joints, who = hands()
    tilt, _ = palm_angles(joints)
    longer = joints.copy()
    longer[:, WRIST] -= (1.5 * tilt**2)[:, None] * (joints[:, MIDDLE_MCP] - joints[:, WRIST])
    assert lean_of(longer, who, face_of(joints)) is None


def test_too_few_hands_say_nothing():
    joints, who = hands(40)
    assert lean_of(joints, who, face_of(joints)) is None
