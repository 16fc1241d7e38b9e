"""Gestures look like their names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handviz.hand.gestures import GESTURE_BY_NAME
from handviz.hand.model import load_hand_model
from handviz.hand.parts import PART_NAMES

FINGERS = ("index", "middle", "ring", "little")


def nearest_mm(gesture: str) -> list[float]:
    """How far each finger's two outer phalanges are from the neighbouring finger, index to ring."""
    model = load_hand_model()
    still = torch.zeros(1, 3)
    pose = torch.tensor(GESTURE_BY_NAME[gesture].pose(), dtype=torch.float32)[None]
    surface = model.forward(pose, torch.zeros(1, 10), still, torch.ones(1), still).vertices_BV3[0]
    names = np.array(PART_NAMES)[model.part_V.numpy()]
    whole = [surface[np.char.startswith(names, finger)] for finger in FINGERS]
    outer = [surface[np.isin(names, [f"{finger}_middle", f"{finger}_end"])] for finger in FINGERS]
    return [1000 * float(torch.cdist(whole[i], outer[i + 1]).min()) for i in range(3)]


@pytest.mark.parametrize("gesture", ["together", "letter b", "fist", "letter a"])
def test_fingers_held_together_touch(gesture):
    assert max(nearest_mm(gesture)) < 5.0


def test_fingers_of_a_flat_hand_are_parted():
    assert min(nearest_mm("flat")) > 7.0
    assert np.all(np.array(nearest_mm("flat")) > 1.5 * np.array(nearest_mm("together")))
