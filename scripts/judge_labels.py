"""Measure how accurate pseudo-labels of photographs are: hands with exact labels are labelled as if they were photographs.

    python scripts/judge_labels.py out/data/test-rendered [--count 600] [--estimator groups]

For each verdict of the labelling (sure, doubtful, no label): the label's errors, an estimator's on the same crops, and those of
the mean of both (``training second-opinion``). PA-MPJPE, its part along the line of sight, and pixels of a 256 px crop, as means
over hands.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handviz.errors import HandvizError
from handviz.geometry.camera import FloatArray
from handviz.records import HandCrop, HandDetection, IntArray
from training.answers import CROP_SIZE, answer, as_crops, open_method, truth_of
from training.data.augment import centre_cut
from training.data.labelling.consistency import ConsistencyLimits, label_hand
from training.data.labelling.judge import make_judge
from training.data.photo_crop import LabelledHand
from training.data.sources import read_source
from training.metrics import Truth, point_errors, procrustes_aligned
from training.second_opinion import averaged

KINDS = ("sure", "doubtful", "no label")


def main() -> int:
    """Label, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", help="a pack, a folder of packs, or a data source's name")
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument("--count", type=int, default=600, help="number of hands, from the first on (default %(default)s)")
    parser.add_argument("--estimator", default="groups", help="estimator to compare with the labels (default %(default)s)")
    arguments = parser.parse_args()
    try:
        pack = read_source(arguments.set, arguments.data)
        pack = pack.select(np.flatnonzero(pack.is_hand_N & pack.valid_NJ.all(1))[: arguments.count])
        if len(pack) == 0:
            raise HandvizError(f"{arguments.set}: holds no hand whose joints are all known.")
        found = answer(open_method(arguments.estimator), pack)
        batch = centre_cut(pack.batch(np.arange(len(pack))), CROP_SIZE)
        truth = truth_of(batch)
        labels = labels_of(as_crops(batch), truth.joints_px)
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    report(labels, found.joints_m, found.joints_px, truth, batch.K_B33.double().numpy(), arguments.estimator)
    return 0


def labels_of(crops: Sequence[HandCrop], joints_px: FloatArray) -> list[LabelledHand | None]:
    """Return the label of each crop, given where its hand is, or None."""
    judge, limits = make_judge(), ConsistencyLimits()
    labels = []
    for crop, where in zip(crops, joints_px, strict=True):
        detection = HandDetection(side="right", score=1.0, joints_px=where)
        labels.append(label_hand(crop.rgb, crop.camera, detection, judge.estimator, limits))
    judge.detector.close()
    return labels


def kind_of(label: LabelledHand | None) -> str:
    """Return which of ``KINDS`` a label is."""
    return "no label" if label is None else "doubtful" if label.doubtful else "sure"


def report(
    labels: Sequence[LabelledHand | None], joints_m: FloatArray, joints_px: FloatArray, truth: Truth, K: FloatArray, name: str
) -> None:
    """Print a row for the labels of each kind, one for the estimator on the same hands, and one for the mean of both."""
    kinds = np.array([kind_of(label) for label in labels])
    for kind in KINDS:
        rows: IntArray = np.flatnonzero(kinds == kind)
        print(f"{kind}: {len(rows)} of {len(labels)} hands")
        if len(rows) == 0:
            continue
        print(f"  {name:10s} {errors(joints_m[rows], joints_px[rows], truth, rows)}")
        known = [label for label in labels if label is not None and kind_of(label) == kind and label.joints_m is not None]
        if known:
            metres = np.stack([label.joints_m for label in known if label.joints_m is not None])
            pixels = np.stack([label.joints_px for label in known])
            print(f"  {'label':10s} {errors(metres, pixels, truth, rows)}")
            both = [averaged(*one) for one in zip(metres, pixels, joints_m[rows], K[rows], strict=True)]
            print(f"  {'both':10s} {errors(np.stack([m for m, _ in both]), np.stack([px for _, px in both]), truth, rows)}")


def errors(joints_m: FloatArray, joints_px: FloatArray, truth: Truth, rows: IntArray) -> str:
    """Return as text the errors of joints (N, 21, ...) against these rows of the truth."""
    true_m = truth.joints_m[rows]
    aligned = procrustes_aligned(joints_m, true_m)
    pa, depth = 1000 * point_errors(aligned, true_m).mean(), 1000 * np.abs(aligned - true_m)[..., 2].mean()
    px = point_errors(joints_px, truth.joints_px[rows]).mean()
    return f"PA-MPJPE {pa:.1f} mm, along the line of sight {depth:.1f} mm, 2D {px:.1f} px"


if __name__ == "__main__":
    sys.exit(main())
