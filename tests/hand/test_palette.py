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


# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
NO_GREEN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
NO_RED = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


@pytest.mark.parametrize("seen", [NO_GREEN, NO_RED], ids=["no green", "no red"])
def test_fingers_can_be_told_apart_by_who_sees_fewer_colours(seen: list[list[float]]) -> None:
    colours = np.array(list(FINGER_COLOURS.values())) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4) @ np.array(seen).T
    lab = cv2.cvtColor(np.clip(linear, 0, 1)[None].astype(np.float32), cv2.COLOR_LRGB2LAB)[0]
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1000 * np.eye(len(lab))
    assert distance.min() > 12


def test_a_group_that_does_not_exist_is_an_error() -> None:
    for group in (-1, 21):
        with pytest.raises(IndexError):
            group_colour(group)
