"""Measure how steady bone lengths are from hand to hand, by labels and estimators: a test of depths without depth labels.

    python scripts/judge_bones.py out/data/photos/heldout.safetensors [--estimator groups --estimator mediapipe]

A person's bone has the same length in every picture, and people's bones differ by a few percent of their length once hands are
scaled to the same size. Printed are the deviations of bone lengths from their median over the hands of a folder, in percent of
the length: median (times 1.48, a normal distribution's standard deviation) and root mean square. Depths are placed on the rays
of the pixels. An estimator that fits a hand model has steady bones whether it is right or not: this is for those that do not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from judge_lean import asked

from handviz.errors import HandvizError
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import BONES


def main() -> int:
    """Estimate, measure, report."""
    try:
        pack, found = asked(str(__doc__))
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(pack)} hands of {len(set(pack.names.source))} folders")
    for name, joints_m in found.items():
        off = 100 * bone_deviations(joints_m, pack.names.source)
        print(f"  {name:24s} {1.48 * np.median(np.abs(off)):.1f} % median, {np.sqrt((off**2).mean()):.1f} % root mean square")
    return 0


def bone_deviations(joints_m: FloatArray, folders: Sequence[str]) -> FloatArray:
    """Return (N, 20): logarithms of bone lengths less the hand's mean, less their median over its folder's hands."""
    ends = np.asarray(BONES)
    logs_NB = np.log(np.linalg.norm(joints_m[:, ends[:, 1]] - joints_m[:, ends[:, 0]], axis=-1))
    logs_NB -= logs_NB.mean(1, keepdims=True)
    _, folder_N = np.unique(np.asarray(folders), return_inverse=True)
    for folder in range(folder_N.max() + 1):
        logs_NB[folder_N == folder] -= np.median(logs_NB[folder_N == folder], axis=0)
    return np.asarray(logs_NB)


if __name__ == "__main__":
    sys.exit(main())
