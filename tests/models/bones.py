"""How long the bones of a hand are."""

from __future__ import annotations

import numpy as np

from handviz.hand.skeleton import BONES


def bone_lengths(joints_m: np.ndarray) -> np.ndarray:
    """Return the lengths (..., 20) of the bones of joints (..., 21, 3)."""
    parents, children = np.asarray(BONES).T
    return np.linalg.norm(joints_m[..., children, :] - joints_m[..., parents, :], axis=-1)
