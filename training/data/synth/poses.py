"""Poses: gestures of the library, mixtures of two, closed hands, and joint-limited random poses; self-intersection is avoided."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from handviz.hand.gestures import GESTURES
from handviz.hand.limits import ANATOMICAL_FROM_POSE, POSE_HIGH, POSE_JOINT_NAMES, POSE_LOW
from handviz.hand.model import HandModel
from handviz.hand.skeleton import FINGERS
from training.data.dice import Dice
from training.data.synth.overlap import overlaps
from training.data.synth.recipe import PoseRecipe

# Never seen in training: the fixed rendered test set is made of these.
TEST_GESTURES = frozenset({"letter x", "hold a pen", "pinch ring", "wave back", "ring and little", "letter m", "trigger"})
# Anatomical angles that curl a finger together.
_FLEXION = [i for i in range(45) if i % 3 == 0]
# A closed hand has this many fingers whose base and middle joint together bend by more than this.
_CLOSED_FINGERS, _CLOSED_RAD = 3, math.radians(150)


def hand_shapes(dice: Dice, recipe: PoseRecipe, count: int) -> Tensor:
    """Return shape values (B, 10)."""
    if recipe.shape_within is not None:
        return dice.uniform((-recipe.shape_within, recipe.shape_within), count, 10)
    return dice.normal(recipe.shape_sigma, count, 10).clamp(-2.5, 2.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseSource:
    """Draws poses (B, 45) for one set of gestures (radians, anatomical angles inside)."""

    gestures_G45: Tensor
    recipe: PoseRecipe

    def draw(self, dice: Dice, model: HandModel, shape_BS: Tensor) -> Tensor:
        """Return poses that do not intersect themselves, for hands of these proportions.

        A pose that still overlaps after ``max_redraws`` is kept: the limit bounds the time, and few remain.
        """
        pose_B45 = self._any(dice, len(shape_BS))
        shaped = model.shaped(shape_BS)
        for _ in range(self.recipe.max_redraws):
            bad = overlaps(shaped.posed(pose_B45, torch.zeros_like(pose_B45[:, :3])).joints_BJ3, self.recipe.overlap)
            if not bad.any():
                break
            pose_B45 = torch.where(bad[:, None], self._any(dice, len(pose_B45)), pose_B45)
        return pose_B45

    def _any(self, dice: Dice, count: int) -> Tensor:
        recipe = self.recipe
        weights = [recipe.gesture_weight, recipe.mixture_weight, recipe.closed_weight, recipe.random_weight]
        kind = dice.choice(weights, count)[:, None]
        angles = torch.where(kind == 0, self._gesture(dice, count), self._mixture(dice, count))
        angles = torch.where(kind == 2, self._closed(dice, count), angles)
        angles = torch.where(kind == 3, _random(dice, count), angles)
        low, high = (torch.from_numpy(np.array(bound)).float().to(dice.device) for bound in (POSE_LOW, POSE_HIGH))
        return angles.clamp(low, high) @ torch.from_numpy(np.array(ANATOMICAL_FROM_POSE)).float().to(dice.device)

    def _gesture(self, dice: Dice, count: int) -> Tensor:
        return self._near(self.gestures_G45, dice, count)

    def _near(self, gestures_G45: Tensor, dice: Dice, count: int) -> Tensor:
        """Return poses near gestures: each finger bent a little less than in the gesture, each joint with some variation."""
        picked = gestures_G45[dice.integer(len(gestures_G45), count)]
        share = dice.uniform(self.recipe.bend_share, count, len(FINGERS))
        share[:, FINGERS.index("thumb")] = 1.0
        bends = torch.zeros(45, dtype=torch.bool, device=dice.device)
        bends[_FLEXION] = True
        picked = torch.where(bends & (picked > 0), picked * share[:, _finger_of_angle().to(dice.device)], picked)
        return picked + torch.deg2rad(dice.normal(self.recipe.jitter_deg, count, 45)) * _looseness(dice.device)

    def _mixture(self, dice: Dice, count: int) -> Tensor:
        """Blend two gestures; half of the time finger by finger, which gives poses that are in no list."""
        a, b = self._gesture(dice, count), self._gesture(dice, count)
        whole = dice.uniform((0.0, 1.0), count, 1).expand(-1, len(FINGERS))
        each = dice.chance(0.5, count, len(FINGERS)).float()
        share = torch.where(dice.chance(0.5, count, 1), whole, each)
        share_B45 = share[:, _finger_of_angle().to(dice.device)]
        return a + share_B45 * (b - a)

    def _closed(self, dice: Dice, count: int) -> Tensor:
        """Return fists, and fists with a finger or the thumb out; half of the time with the thumb of another one."""
        is_closed = _closed(self.gestures_G45)
        # A source of few poses may have none.
        closed = self.gestures_G45[is_closed] if is_closed.any() else self.gestures_G45
        a, b = self._near(closed, dice, count), self._near(closed, dice, count)
        thumb = (_finger_of_angle() == FINGERS.index("thumb")).to(dice.device)
        return torch.where(dice.chance(0.5, count, 1) & thumb, b, a)


def pose_source(recipe: PoseRecipe, *, test: bool = False, device: torch.device | str = "cpu") -> PoseSource:
    """Return the source of training poses, or of those kept for the test set."""
    chosen = np.stack([g.pose() for g in GESTURES if (g.name in TEST_GESTURES) == test])
    angles = torch.from_numpy(chosen @ ANATOMICAL_FROM_POSE.T).float().to(device)
    return PoseSource(gestures_G45=angles, recipe=recipe)


def _random(dice: Dice, count: int) -> Tensor:
    """Return anatomical angles within the limits: each finger curled by one draw with some variation, thumb free."""
    low, high = (torch.from_numpy(np.array(bound)).float().to(dice.device) for bound in (POSE_LOW, POSE_HIGH))
    curl = dice.uniform((0.0, 1.0), count, len(FINGERS))
    together = dice.uniform((0.0, 1.0), count, 1) + dice.normal(0.12, count, len(FINGERS))
    curl = torch.where(dice.chance(0.35, count, 1), together, curl).clamp(0, 1)
    per_joint = curl[:, _finger_of_angle().to(dice.device)] + dice.normal(0.13, count, 45)
    # Now and then one joint bends by itself: a hooked finger, a bent knuckle.
    per_joint = torch.where(dice.chance(0.12, count, 45), dice.uniform((0.0, 1.0), count, 45), per_joint)
    bend = low.clamp(min=-0.2) + per_joint.clamp(0, 1) * (high * 0.92 - low.clamp(min=-0.2))
    sway = dice.normal(0.33, count, 45).clamp(-1, 1) * torch.where(dice.chance(0.5, count, 45), low.abs(), high.abs())
    flexes = torch.zeros(45, dtype=torch.bool, device=dice.device)
    flexes[_FLEXION] = True
    angles = torch.where(flexes, bend, sway)
    thumb = torch.tensor([name.startswith("thumb_cmc") for name in POSE_JOINT_NAMES], device=dice.device).repeat_interleave(3)
    return torch.where(thumb, low + dice.uniform((0.0, 1.0), count, 45) * (high - low), angles)


def _closed(gestures_G45: Tensor) -> Tensor:
    """Return which gestures (G,) are closed hands."""
    index = [
        [POSE_JOINT_NAMES.index(f"{finger}_{part}") * 3 for part in ("mcp", "pip")] for finger in FINGERS if finger != "thumb"
    ]
    bend_G4 = gestures_G45[:, torch.tensor(index, device=gestures_G45.device)].sum(-1)
    return (bend_G4 > _CLOSED_RAD).sum(1) >= _CLOSED_FINGERS


def _finger_of_angle() -> Tensor:
    return torch.tensor([FINGERS.index(name.split("_")[0]) for name in POSE_JOINT_NAMES]).repeat_interleave(3)


def _looseness(device: torch.device) -> Tensor:
    """Return how much each angle may deviate from its gesture: bending and spreading freely, twisting hardly."""
    table = []
    for name in POSE_JOINT_NAMES:
        free = name.endswith(("mcp", "cmc"))
        table += [1.0, 0.6 if free else 0.15, 0.4 if name == "thumb_cmc" else 0.15]
    return torch.tensor(table, device=device)
