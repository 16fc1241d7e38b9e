"""Measure how far joints lie off the middle of real fingers: photographs on a green mat, where colour alone gives outlines.

    python scripts/judge_outlines.py out/data/photos/train.safetensors [--count 300] [--estimator groups --estimator mediapipe]

Across a finger its joints lie midway between both edges, whatever a label says. For the middle and end joints (PIP and DIP) of
fingers that lie free on the mat: the distance from that middle, in pixels of a 256 px crop, for the pack's labels, each
estimator, and the mean of labels and estimator, over the joints that all of them put on such a finger.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from handviz.arguments import whole
from handviz.errors import HandvizError
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import FINGER_JOINTS, FINGERS, palm_length
from handviz.records import UInt8Array
from training.answers import answer, labelled_crops, open_method
from training.data.pack import read_pack

MAT_PHOTOGRAPHS = "green_mat_hands"
# What is wider than this share of the palm's length is not a single finger.
_WIDEST = 0.33
_STEP_PX = 0.5


def main() -> int:
    """Key, estimate, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="a pack written by `training label` from a folder named green_mat_hands")
    parser.add_argument("--count", type=whole(1), default=300, help="number of hands, drawn at random (default %(default)s)")
    parser.add_argument("--estimator", action="append", help="repeat to compare (default groups and mediapipe)")
    arguments = parser.parse_args()
    try:
        found, rgb = answers_of(arguments.pack, arguments.count, arguments.estimator or ["groups", "mediapipe"])
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    distance = [to_edge(picture) for picture in rgb]
    palm = palm_length(found["labels"])
    off = {n: np.stack([off_middle(*one) for one in zip(distance, px, palm, strict=True)]) for n, px in found.items()}
    shared = np.isfinite(np.stack(list(off.values()))).all(0)
    print(f"{len(rgb)} hands, {shared.sum()} joints of free fingers")
    for name, values in off.items():
        px = values[shared]
        print(f"  {name:24s} {np.sqrt((px**2).mean()):.2f} px root mean square, {np.median(abs(px)):.2f} median")
    return 0


def answers_of(path: Path, count: int, estimators: list[str]) -> tuple[dict[str, FloatArray], UInt8Array]:
    """Return joints (N, 21, 2) by the labels, by each estimator and by both's mean, and the crops (N, 256, 256, 3)."""
    pack = read_pack(path)
    wanted = np.flatnonzero(pack.is_hand_N & pack.valid_NJ.all(1) & (np.array(pack.names.source) == MAT_PHOTOGRAPHS))
    if len(wanted) == 0:
        raise HandvizError(
            f"{path}: holds no hand of {MAT_PHOTOGRAPHS}. Give the pack that `training label` wrote for that folder."
        )
    pack = pack.select(np.sort(np.random.default_rng(0).permutation(wanted)[:count]))
    batch = labelled_crops(pack)
    found = {"labels": batch.joints_px_BJ2.double().numpy()}
    for name in estimators:
        found[name] = answer(open_method(name), pack).joints_px
        found[f"labels and {name}"] = (found["labels"] + found[name]) / 2
    return found, batch.rgb_B3SS.permute(0, 2, 3, 1).contiguous().numpy()


def to_edge(rgb: UInt8Array) -> FloatArray:
    """Return each pixel's distance (S, S) to the hand's edge in pixels, negative on the mat, which is the greener part."""
    green = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[..., 1], (3, 3), 0)
    _, hand = cv2.threshold(green, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    inside, outside = (cv2.distanceTransform(mask, cv2.DIST_L2, 5) for mask in (hand, 255 - hand))
    return np.asarray(inside.astype(float) - outside.astype(float))


def off_middle(distance_SS: FloatArray, joints_px: FloatArray, palm_px: float) -> FloatArray:
    """Return how far PIP and DIP of four fingers (8,) lie off the middle between both edges; NaN where a finger is not free."""
    steps = np.arange(-1.2 * _WIDEST * palm_px, 1.2 * _WIDEST * palm_px, _STEP_PX)
    fingers = [FINGER_JOINTS[name] for name in FINGERS if name != "thumb"]
    pairs = [(chain[k - 1], chain[k], chain[k + 1]) for chain in fingers for k in (1, 2)]
    return np.array([_off_one(distance_SS, joints_px[list(three)], steps, _WIDEST * palm_px) for three in pairs])


def _off_one(distance_SS: FloatArray, chain_32: FloatArray, steps: FloatArray, widest: float) -> float:
    before, joint, after = chain_32
    along = (after - before) / (np.linalg.norm(after - before) + 1e-6)
    across = joint + steps[:, None] * np.array([-along[1], along[0]])
    inside = _looked_up(distance_SS, across) > 0
    middle = len(steps) // 2
    edges = np.flatnonzero(~inside)
    left, right = edges[edges < middle], edges[edges > middle]
    if not inside[middle] or len(left) == 0 or len(right) == 0 or steps[right[0]] - steps[left[-1]] > widest:
        return float("nan")
    return float(steps[right[0]] + steps[left[-1]]) / 2


def _looked_up(distance_SS: FloatArray, at_N2: FloatArray) -> FloatArray:
    u, v = at_N2.astype(np.float32)[None].transpose(2, 0, 1)
    return np.asarray(
        cv2.remap(distance_SS.astype(np.float32), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0], float
    )


if __name__ == "__main__":
    sys.exit(main())
