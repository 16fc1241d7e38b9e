"""Where hands are seen from."""

import torch

from handviz.hand.model import load_hand_model
from training.data.dice import Dice
from training.data.synth.recipe import ViewRecipe
from training.data.synth.views import place_hand, turn


def test_hands_stand_aside_in_the_world_and_are_seen_from_there():
    model, count = load_hand_model(), 500
    still = torch.zeros(count, 3)
    shape, pose = torch.zeros(count, 10), torch.zeros(count, 45)
    joints = model.forward(pose, shape, still, torch.ones(count), still).joints_BJ3
    front = turn(1, torch.zeros(count)), torch.zeros(count, dtype=torch.long)
    place = place_hand(joints, Dice.seeded(0), ViewRecipe(), size=160, expand=2.0, views=front)
    # The world's frame is a level camera's.
    in_world = place.place(joints) @ place.R_crop_from_world
    x, y, z = in_world.mean(1).unbind(-1)
    across, down = (torch.rad2deg(torch.atan2(a, z)) for a in (x, y))
    assert 8 < float(across.std()) < 12 and 6.5 < float(down.std()) < 9.5
    # Moved, not turned.
    middle = in_world.mean(1, keepdim=True)
    torch.testing.assert_close(in_world - middle, joints - joints.mean(1, keepdim=True), atol=1e-4, rtol=0)
