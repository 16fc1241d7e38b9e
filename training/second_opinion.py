"""``training second-opinion PACK --out PACK``: pseudo-labels averaged with our own network's answers.

Pixels and depths become the mean of MediaPipe's and those of an estimator that also learned both from exact labels. The hand
model is then fitted again; where it fits closely, its depths replace the mean, because its bones have realistic lengths. Where
the two see different hands in the picture, MediaPipe's joints stay. Hands can also be leaned back: see ``labelling/lean.py``,
and ``scripts/judge_lean.py`` for how that is measured. With the shipped weights, which learned from hands leaned back already,
the mean needs no more of it. Give packs as ``training label`` wrote them, or labels would be leaned back twice.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from handviz.arguments import number
from handviz.errors import HandvizError, OutputError
from handviz.estimate.base import Estimator
from handviz.export.files import refuse_source
from handviz.geometry.alignment import placed_on_rays
from handviz.geometry.camera import FloatArray, project
from handviz.hand.skeleton import ROOT
from handviz.records import BoolArray
from training.answers import answer, open_method
from training.data.labelling.hand_fits import at_depths_of_fits, with_fits
from training.data.labelling.lean import leaned_back
from training.data.pack import Pack, read_pack, with_labels, write_pack
from training.data.synth.command import RENDERED_JPEG_QUALITY
from training.places import check_file

# If the two are further apart than this share of the hand's extent, they do not mean the same hand or the same side of it.
SAME_HAND = 0.08
# By how many degrees hands lean less towards the camera than the mean of both says.
LEAN_BACK_DEG = 0.0


def add_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``second-opinion`` to the command line."""
    parser = subparsers.add_parser("second-opinion", help="average pseudo-labels with our network's answers")
    parser.add_argument("pack", type=Path, help="a pack written by `training label`")
    parser.add_argument("--out", type=Path, required=True, help="the pack to write")
    parser.add_argument("--method", default="groups", help="the estimator to average with (default %(default)s)")
    parser.add_argument(
        "--lean-back",
        type=number(-45, 45),
        default=LEAN_BACK_DEG,
        metavar="DEG",
        help="also tilt hands back by this angle (default %(default)s)",
    )
    parser.set_defaults(run=run_second_opinion)


def run_second_opinion(arguments: argparse.Namespace) -> int:
    """Read the pack, average its labels and write it; returns 0."""
    check_file(arguments.out)
    refuse_source(arguments.out, arguments.pack)
    if arguments.pack.is_dir() and arguments.pack.resolve() == arguments.out.parent.resolve():
        raise OutputError(f"{arguments.out}: lies in the folder that is read, and would be read with it. Choose another folder.")
    pack = read_pack(arguments.pack)
    if not pseudo_labelled(pack).any():
        raise HandvizError(f"{arguments.pack}: holds no pseudo-labels with depths. Give a pack written by `training label`.")
    changed, count = with_second_opinion(pack, open_method(arguments.method), arguments.lean_back)
    write_pack(changed, arguments.out, quality=RENDERED_JPEG_QUALITY)
    close = int((changed.has_params_N & changed.is_hand_N).sum())
    print(f"{count} of {int(pack.is_hand_N.sum())} hands with averaged labels, {close} with a close fit: {arguments.out}")
    return 0


def pseudo_labelled(pack: Pack) -> BoolArray:
    """Return which samples (N,) have depths predicted by a network; exact labels have no uncertainty."""
    is_opinion: BoolArray = (pack.sigma_px_NJ > 0).any(1)
    return pack.is_hand_N & pack.has_joints_m_N & pack.valid_NJ.all(1) & is_opinion


def with_second_opinion(pack: Pack, method: Estimator, lean_back_deg: float = LEAN_BACK_DEG) -> tuple[Pack, int]:
    """Return the pack with averaged and leaned-back labels, new fits and their depths, and how many hands were averaged.

    The pack must have pseudo-labels.
    """
    asked = pseudo_labelled(pack)
    rows = np.flatnonzero(asked)
    part = pack.select(rows)
    # The network's crop only zooms into the stored one: the camera's axes are the same.
    other_m = answer(method, part).joints_m
    joints_m, joints_px = pack.joints_m_NJ3.copy(), pack.joints_px_NJ2.copy()
    agreed = 0
    for row, label_px, K, other in zip(rows, part.joints_px_NJ2.astype(float), part.K_N33.astype(float), other_m, strict=True):
        gap_px = np.linalg.norm(project(other, K) - label_px, axis=-1).mean()
        if gap_px <= SAME_HAND * np.ptp(label_px, axis=0).max():
            joints_m[row], joints_px[row] = averaged(joints_m[row].astype(float), label_px, other, K)
            agreed += 1
        joints_m[row] = placed_on_rays(leaned_back(joints_m[row].astype(float), lean_back_deg), joints_px[row].astype(float), K)
    bare = with_labels(
        pack,
        joints_m_NJ3=joints_m,
        joints_px_NJ2=joints_px,
        has_params_N=pack.has_params_N & ~asked,
        has_mask_N=pack.has_mask_N & ~asked,
    )
    return at_depths_of_fits(with_fits(bare), asked), agreed


def averaged(joints_m: FloatArray, joints_px: FloatArray, other_m: FloatArray, K: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return joints (21, 3), at the label's size, and pixels (21, 2): the means of a label and another's joints."""
    mean_px = 0.5 * (joints_px + project(other_m, K))
    mine, theirs = joints_m - joints_m[ROOT], other_m - other_m[ROOT]
    mean_m = 0.5 * (mine + theirs * (np.linalg.norm(mine) / np.linalg.norm(theirs)))
    return placed_on_rays(mean_m, mean_px, K), mean_px
