"""A plain hand in front of a camera, for tests of data."""

from __future__ import annotations

import numpy as np

from handviz.geometry.camera import project
from training.data.sample import Sample

SIZE = 160
K = np.array([[400.0, 0, 79.5], [0, 400.0, 79.5], [0, 0, 1]])


def flat_hand(depth: float = 0.6) -> np.ndarray:
    """Joints (21, 3) in metres of a right hand that shows its palm, fingers up, a little tilted."""
    joints = np.zeros((21, 3))
    for finger, (x, reach) in enumerate([(0.05, 0.06), (0.02, 0.09), (0.0, 0.095), (-0.02, 0.09), (-0.04, 0.08)]):
        for part, share in enumerate((0.4, 0.7, 0.87, 1.0) if finger == 0 else (1.0, 1.4, 1.7, 1.9)):
            joints[1 + 4 * finger + part] = [x * (0.6 + 0.5 * share), -reach * share, 0.01 * part]
    return joints + [0.0, 0.05, depth]


def hand_sample(seed: int = 0, **changes) -> Sample:
    rng = np.random.default_rng(seed)
    joints = flat_hand() + rng.normal(0, 0.002, (21, 3))
    values = {
        "rgb": rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8),
        "K": K,
        "joints_px": project(joints, K),
        "joint_valid": np.ones(21, bool),
        "sigma_px": np.full(21, 0.5),
        "side": "right",
        "source": "test",
        "name": f"hand-{seed}",
        "joints_m": joints,
    }
    return Sample(**(values | changes))
