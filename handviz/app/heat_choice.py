"""Which heatmaps are shown: those of all joints, of one learned group, or of one joint. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

from handviz.hand.skeleton import JOINT_NAMES, NUM_JOINTS
from handviz.records import IntArray

ALL = "all"
GROUP = "group "


def heat_choices(groups: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """Return (value, words) of every choice for a network whose joints are in these groups."""
    return (
        (ALL, "all joints"),
        *((f"{GROUP}{group}", f"group {group}") for group in groups),
        *((name, name.replace("_", " ")) for name in JOINT_NAMES),
    )


def chosen_joints(choice: str, groups_J: IntArray | None) -> tuple[int, ...]:
    """Return the joints that a choice means for a hand with these groups (21,).

    A group without joints (chosen while another network ran) means all joints.
    """
    if choice in JOINT_NAMES:
        return (JOINT_NAMES.index(choice),)
    number = choice.removeprefix(GROUP)
    if groups_J is not None and choice != number and number.isdigit():
        mine = tuple(joint for joint in range(NUM_JOINTS) if int(groups_J[joint]) == int(number))
        if mine:
            return mine
    return tuple(range(NUM_JOINTS))
