"""Measure how far hands in photographs lean towards the camera, by labels and estimators: a test of depths without depth labels.

    python scripts/judge_lean.py out/data/photos/train.safetensors [--estimator groups --estimator mediapipe]

A palm looks longest relative to its width when it faces the camera. The tilt at which it does, within pictures of the same
people, is printed for the pack's labels and each estimator, with the 10th and 90th percentiles over resampled hands. It should
be that of exact labels; see ``training/data/labelling/lean.py``. A network whose results are always self-consistent hides a part
of its lean.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

import numpy as np

from handviz.arguments import whole
from handviz.errors import HandvizError
from handviz.geometry.alignment import placed_on_rays
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import WRIST
from training.answers import CROP_SIZE, answer, labelled_crops, open_method
from training.data.labelling.lean import EXACT_DEG, Face, lean_of
from training.data.pack import Pack, read_pack


def main() -> int:
    """Estimate, measure, report."""
    try:
        pack, found = asked(str(__doc__))
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    persons = [f"{source}/{key}" for source, key in zip(pack.names.source, pack.names.split_key, strict=True)]
    for face in get_args(Face):
        print(f"{face}: exact labels {EXACT_DEG[face]:+.0f} deg")
        for name, joints_m in found.items():
            lean = lean_of(joints_m, persons, face)
            said = (
                "too few hands, or no maximum"
                if lean is None
                else f"{lean.tilt_deg:+.1f} deg [{lean.low_deg:+.1f} {lean.high_deg:+.1f}], {lean.hands} hands"
            )
            print(f"  {name:24s} {said}")
    return 0


def asked(description: str) -> tuple[Pack, dict[str, FloatArray]]:
    """Read the command line; return the pack's hands and their joints (N, 21, 3) by labels and estimator. Raises HandvizError."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="a pack written by `training label`, or of rendered hands")
    parser.add_argument("--count", type=whole(1), default=3000, help="number of hands, drawn at random (default %(default)s)")
    parser.add_argument("--estimator", action="append", help="repeat to compare (default groups and mediapipe)")
    arguments = parser.parse_args()
    pack = hands_of(arguments.pack, arguments.count)
    names = arguments.estimator or ["groups", "mediapipe"]
    return pack, {"labels": pack.joints_m_NJ3.astype(float)} | {name: seen_by(pack, name) for name in names}


def hands_of(path: Path, count: int) -> Pack:
    """Return up to ``count`` hands of a pack with depths. Raises HandvizError where there is none."""
    pack = read_pack(path)
    wanted = np.flatnonzero(pack.is_hand_N & pack.has_joints_m_N & pack.valid_NJ.all(1))
    if len(wanted) == 0:
        raise HandvizError(f"{path}: holds no hand with depths to judge.")
    return pack.select(np.sort(np.random.default_rng(0).permutation(wanted)[:count]))


def seen_by(pack: Pack, name: str) -> FloatArray:
    """Return an estimator's joints (N, 21, 3), its depths on the rays of its pixels."""
    answers = answer(open_method(name), pack)
    K_N33 = labelled_crops(pack, CROP_SIZE).K_B33.double().numpy()
    each = zip(answers.joints_m, answers.joints_px, K_N33, strict=True)
    return np.stack([placed_on_rays(joints - joints[WRIST], px, K) for joints, px, K in each])


if __name__ == "__main__":
    sys.exit(main())
