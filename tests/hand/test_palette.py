from __future__ import annotations

import cv2
import numpy as np
import pytest

from handviz.hand.palette import BONE_COLOURS, FINGER_COLOURS, GROUP_COLOURS, JOINT_COLOURS, WRIST_COLOUR, group_colour
from handviz.hand.skeleton import BONES, JOINT_INDEX


def test_every_joint_and_bone_has_its_fingers_colour() -> None:
    assert JOINT_COLOURS[0] == WRIST_COLOUR
    assert JOINT_COLOURS[JOINT_INDEX["ring_dip"]] == FINGER_COLOURS["ring"]
    assert tuple(JOINT_COLOURS[end] for _, end in BONES) == BONE_COLOURS


def test_groups_can_be_told_apart() -> None:
    lab = cv2.cvtColor(np.array([GROUP_COLOURS], np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1000 * np.eye(len(lab))
    assert len(lab) == 21 and distance.min() > 30


def test_a_group_that_does_not_exist_is_an_error() -> None:
    for group in (-1, 21):
        with pytest.raises(IndexError):
            group_colour(group)
