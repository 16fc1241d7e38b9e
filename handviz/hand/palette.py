"""Colours of sides, fingers, joints and groups: one palette for every view, plot and exported picture. RGB, 0 to 255."""

from __future__ import annotations

from collections.abc import Iterable

from handviz.hand.mirror import Side
from handviz.hand.skeleton import FINGER_JOINTS, FINGERS, NUM_JOINTS, PARENTS

RGB = tuple[int, int, int]


def _rgb(code: str) -> RGB:
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16)


SIDE_COLOURS: dict[Side, RGB] = {"right": _rgb("3fa9f5"), "left": _rgb("ffb52e")}
SKIN: RGB = (224, 172, 146)
WRIST_COLOUR: RGB = _rgb("e8ecf1")
# The little finger's is dark enough for people who see no red or no green to tell it from the ring finger's.
FINGER_COLOURS: dict[str, RGB] = dict(zip(FINGERS, map(_rgb, ("ff5c5c", "ffb52e", "4cd97b", "3fa9f5", "965cfe")), strict=True))

# Each further colour was chosen far (in CIE Lab, lightness 48 to 90) from all before it.
GROUP_COLOURS: tuple[RGB, ...] = (
    *FINGER_COLOURS.values(),
    *map(_rgb, ("7f7241", "c7f206", "febcde", "22fafe", "fd029e", "13fe02", "b40aff", "e4e897")),
    *map(_rgb, ("0c8283", "799604", "b35393", "fe6d03", "f8ae89", "0675f2", "328246", "ac6310")),
)


def _joint_colours() -> tuple[RGB, ...]:
    colours = [WRIST_COLOUR] * NUM_JOINTS
    for finger, joints in FINGER_JOINTS.items():
        for joint in joints:
            colours[joint] = FINGER_COLOURS[finger]
    return tuple(colours)


# Colour of each of the 21 joints by its finger, and of the 20 bones (``skeleton.BONES``) by the joint they end in.
JOINT_COLOURS: tuple[RGB, ...] = _joint_colours()
BONE_COLOURS: tuple[RGB, ...] = tuple(JOINT_COLOURS[joint] for joint in range(1, len(PARENTS)))


def group_colour(group: int) -> RGB:
    """Return the colour of a learned joint group (0 to 20). Raises IndexError outside that range."""
    if group < 0:
        raise IndexError(f"groups are numbered from 0, not {group}")
    return GROUP_COLOURS[group]


def joint_colours(groups: Iterable[int] | None) -> tuple[RGB, ...]:
    """Return the colours of the 21 joints: by finger, or by learned group (21,) where groups are given."""
    return JOINT_COLOURS if groups is None else tuple(group_colour(int(group)) for group in groups)
