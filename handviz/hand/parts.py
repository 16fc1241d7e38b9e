"""The parts of a hand's surface: the palm and three segments per finger."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.hand.skeleton import FINGERS, MANO_JOINT_NAMES

_SEGMENTS = ("base", "middle", "end")
PART_NAMES: tuple[str, ...] = ("palm", *(f"{finger}_{segment}" for finger in FINGERS for segment in _SEGMENTS))


def part_labels(weights_VJ: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """Return the part of each vertex, an index into PART_NAMES: that of the joint that moves it most (MANO order)."""
    label = [0]
    for j, joint in enumerate(MANO_JOINT_NAMES[1:]):
        label.append(PART_NAMES.index(f"{joint.split('_')[0]}_{_SEGMENTS[j % 3]}"))
    return np.asarray(np.array(label)[weights_VJ.argmax(1)])
