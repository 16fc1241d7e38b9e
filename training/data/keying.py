"""Puts hands photographed on a green mat on other backgrounds, so that no network learns that hands lie on green."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.data.dice import Dice

# A pixel is mat where green exceeds red and blue by the larger value, which skin never does, and an edge between the two.
_KEY = (0.05, 0.16)
# A picture with at least this share of mat was taken on one.
_MAT_SHARE = 0.3


def on_other_backgrounds(rgb_B3SS: Tensor, is_hand_B: Tensor, dice: Dice, chance: float) -> Tensor:
    """Return the pictures (float in [0, 1]) with green mats replaced, each with this chance.

    The new background is one of the batch's own crops without a hand, or soft colours.
    """
    red, green, blue = rgb_B3SS.unbind(1)
    excess = green - torch.maximum(red, blue)
    mat_BSS = ((excess - _KEY[0]) / (_KEY[1] - _KEY[0])).clamp(0, 1)
    chosen = (mat_BSS.flatten(1).mean(1) > _MAT_SHARE) & is_hand_B & dice.chance(chance, len(rgb_B3SS))
    index = chosen.nonzero()[:, 0]
    if len(index) == 0:
        return rgb_B3SS
    hand = rgb_B3SS[index]
    # Green light that the mat reflects onto the hand's edge is removed as well.
    grey_green = torch.minimum(hand[:, 1], torch.maximum(hand[:, 0], hand[:, 2]))
    hand = torch.stack([hand[:, 0], grey_green, hand[:, 2]], 1)
    mat = mat_BSS[index, None]
    background = _backgrounds(rgb_B3SS, is_hand_B, dice, len(index))
    return rgb_B3SS.index_copy(0, index, (1 - mat) * hand + mat * background)


def _backgrounds(rgb_B3SS: Tensor, is_hand_B: Tensor, dice: Dice, count: int) -> Tensor:
    size = rgb_B3SS.shape[-1]
    spots = dice.uniform((0.0, 1.0), count, 3, 4, 4)
    soft = functional.interpolate(spots, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)
    empty = (~is_hand_B).nonzero()[:, 0]
    if len(empty) == 0:
        return soft
    taken = rgb_B3SS[empty[dice.integer(len(empty), count)]]
    mirrored = torch.where(dice.chance(0.5, count)[:, None, None, None], taken.flip(-1), taken)
    return torch.where(dice.chance(0.75, count)[:, None, None, None], mirrored, soft)
