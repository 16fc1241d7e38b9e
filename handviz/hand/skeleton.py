"""The 21 joints: their one order, names, bones and fingers, and the conversion from every other order.

Order: wrist; thumb 1-4; index 1-4; middle; ring; little; each from base to tip (the order of FreiHAND,
OpenPose and MediaPipe).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FINGERS: tuple[str, ...] = ("thumb", "index", "middle", "ring", "little")
_THUMB_PARTS = ("cmc", "mcp", "ip", "tip")
_FINGER_PARTS = ("mcp", "pip", "dip", "tip")

JOINT_NAMES: tuple[str, ...] = (
    "wrist",
    *(f"thumb_{part}" for part in _THUMB_PARTS),
    *(f"{finger}_{part}" for finger in FINGERS[1:] for part in _FINGER_PARTS),
)
NUM_JOINTS = len(JOINT_NAMES)
JOINT_INDEX: dict[str, int] = {name: i for i, name in enumerate(JOINT_NAMES)}

WRIST = JOINT_INDEX["wrist"]
INDEX_MCP = JOINT_INDEX["index_mcp"]
MIDDLE_MCP = JOINT_INDEX["middle_mcp"]
MIDDLE_PIP = JOINT_INDEX["middle_pip"]
LITTLE_MCP = JOINT_INDEX["little_mcp"]
FINGERTIPS: tuple[int, ...] = tuple(JOINT_INDEX[f"{finger}_tip"] for finger in FINGERS)

# The root of the 2.5D target and the bone that gives its scale (Li et al. 2021): middle MCP, MCP to PIP.
ROOT = MIDDLE_MCP
SCALE_BONE: tuple[int, int] = (MIDDLE_MCP, MIDDLE_PIP)
# Palm length, the project's unit for errors that should not depend on picture size.
PALM: tuple[int, int] = (WRIST, MIDDLE_MCP)

FINGER_JOINTS: dict[str, tuple[int, ...]] = {
    finger: tuple(i for i, name in enumerate(JOINT_NAMES) if name.startswith(finger)) for finger in FINGERS
}
# Parent of each joint; the wrist is its own.
PARENTS: tuple[int, ...] = tuple(0 if i == 0 or (i - 1) % 4 == 0 else i - 1 for i in range(NUM_JOINTS))
BONES: tuple[tuple[int, int], ...] = tuple((PARENTS[i], i) for i in range(1, NUM_JOINTS))

# MANO's 16 joints in its own order (note little before ring), as names of the 21.
MANO_JOINT_NAMES: tuple[str, ...] = (
    "wrist",
    *(f"{finger}_{part}" for finger in ("index", "middle", "little", "ring") for part in _FINGER_PARTS[:3]),
    *(f"thumb_{part}" for part in _THUMB_PARTS[:3]),
)
# MANO's joints and the fingertips, which are vertices there.
MANO_AND_TIP_NAMES: tuple[str, ...] = (*MANO_JOINT_NAMES, *(f"{finger}_tip" for finger in FINGERS))
MANO_PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)


def order_from(names: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return the index array that brings joints given in the order ``names`` into the project's order.

    ``joints[order_from(names)]`` has the project's order. Raises KeyError naming a missing joint.
    """
    place = {name: i for i, name in enumerate(names)}
    missing = [name for name in JOINT_NAMES if name not in place]
    if missing:
        raise KeyError(f"joint order lacks {', '.join(missing)}")
    return np.array([place[name] for name in JOINT_NAMES])


def palm_length(joints: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Return |wrist - middle MCP| of joints (..., 21, D), in the unit of the joints."""
    return np.asarray(np.linalg.norm(joints[..., PALM[1], :] - joints[..., PALM[0], :], axis=-1))
