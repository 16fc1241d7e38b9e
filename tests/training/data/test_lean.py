"""Leaning hands are detected, and leaned back, without their true depths."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handviz.geometry.camera import project
from handviz.hand.skeleton import INDEX_MCP, LITTLE_MCP, MIDDLE_MCP, WRIST
from tests.training.data.hands import flat_hand
from training.data.labelling.lean import EXACT_DEG, facing, lean_of, leaned_back, palm_angles


def hands(count=240, persons=6, seed=0):
    """Flat hands of some persons, each with its own palm, in front of a camera, and the person of each."""
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


def plane_palm(face="palm"):
    """Joints (21, 3) of a flat right hand in the plane z = 0 with its wrist at the origin, fingers up, palm or back in front."""
    joints = flat_hand() - flat_hand()[WRIST]
    joints[:, 2] = 0.0
    # Exactly along and across, so that a tilt is not also a turn.
    joints[[INDEX_MCP, MIDDLE_MCP, LITTLE_MCP]] = [[0.02, -0.09, 0], [0, -0.095, 0], [-0.04, -0.09, 0]]
    return joints * [1 if face == "palm" else -1, 1, 1]


def told_as(seen_deg, told_deg, face, turn_deg=0.0):
    """A palm seen at one tilt, fingers to the camera, with the depths of another; so far away that perspective vanishes."""
    seen, told, turn = np.radians(seen_deg), np.radians(told_deg), np.radians(turn_deg)
    joints = plane_palm(face)
    joints[:, 1] *= np.cos(seen)
    joints[:, 2] = joints[:, 1] * np.tan(told) + joints[:, 0] * np.sin(turn)
    joints[:, 0] *= np.cos(turn)
    return joints + [0, 0, 60.0]


def turned(axis, degrees, face="palm"):
    return plane_palm(face) @ Rotation.from_euler(axis, degrees, degrees=True).as_matrix().T + [0, 0, 60.0]


@pytest.mark.parametrize("degrees", [-35.0, 0.0, 20.0])
def test_tilt_is_positive_with_the_fingers_towards_the_camera(degrees):
    joints = told_as(degrees, degrees, "palm")
    assert np.sign(joints[WRIST, 2] - joints[MIDDLE_MCP, 2]) == np.sign(degrees)
    tilt, turn = np.degrees(palm_angles(joints[None]))
    assert tilt[0] == pytest.approx(degrees, abs=1e-6) and turn[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("face", ["palm", "back"])
def test_turn_is_positive_with_the_index_knuckle_further_away(face):
    for degrees in (-25.0, 10.0):
        joints = turned("y", degrees, face)
        further = joints[INDEX_MCP, 2] - joints[LITTLE_MCP, 2]
        tilt, turn = np.degrees(palm_angles(joints[None]))
        assert turn[0] == pytest.approx(np.sign(further) * abs(degrees), abs=1e-6) and tilt[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("face", "sign"), [("palm", 1), ("back", -1)])
def test_what_a_right_hand_shows_is_told_by_how_much(face, sign):
    """The palm of a right hand that points up has its index finger on the picture's right side."""
    for degrees in (0.0, 30.0, 60.0):
        assert facing(turned("y", degrees, face)[None])[0] == pytest.approx(sign * np.cos(np.radians(degrees)), abs=2e-3)


@pytest.mark.parametrize("face", ["palm", "back"])
@pytest.mark.parametrize("lean", [-14.0, 0.0, 9.0])
def test_a_lean_of_all_hands_is_measured_exactly(face, lean):
    """Hands that look as long as at their true tilts, with depths tilted further towards the camera by an angle."""
    seen = np.tile(np.linspace(-30, 30, 41), 2)
    joints = np.stack([told_as(deg, deg + lean, face) for deg in seen])
    joints[41:, :, 0] *= 1.2  # another person's palm is wider
    found = lean_of(joints, ["a"] * 41 + ["b"] * 41, face)
    assert found.hands == 82 and found.tilt_deg == pytest.approx(lean, abs=0.1)
    assert lean_of(joints, ["a"] * 82, "back" if face == "palm" else "palm") is None


def test_hands_that_are_turned_do_not_seem_longer():
    """They do not lean either, although those that tilt towards the camera are the turned ones."""
    seen = np.linspace(-30, 30, 81)
    joints = np.stack([told_as(deg, deg, "palm", turn_deg=max(deg, 0.0)) for deg in seen])
    assert lean_of(joints, ["me"] * 81, "palm").tilt_deg == pytest.approx(0, abs=0.1)


def face_of(joints):
    return "palm" if np.median(facing(joints)) > 0 else "back"


def leant(joints, degrees):
    return np.stack([leaned_back(one, -degrees) + one[WRIST] for one in joints])


def test_exact_hands_do_not_lean():
    joints, who = hands()
    lean = lean_of(joints, who, face_of(joints))
    assert lean.hands > 150 and lean.low_deg <= lean.tilt_deg <= lean.high_deg
    # Flat hands with another palm, and further away: perspective moves the top less.
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
    """Longer the more they tilt either way: nobody's answers look like that, and no lean can be measured."""
    joints, who = hands()
    tilt, _ = palm_angles(joints)
    longer = joints.copy()
    longer[:, WRIST] -= (1.5 * tilt**2)[:, None] * (joints[:, MIDDLE_MCP] - joints[:, WRIST])
    assert lean_of(longer, who, face_of(joints)) is None


def test_too_few_hands_say_nothing():
    joints, who = hands(40)
    assert lean_of(joints, who, face_of(joints)) is None
