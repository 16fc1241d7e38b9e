"""MediaPipe as an outside judge of rendered frames: how often it finds the hand, and how far its joints lie from the true ones.

    python scripts/judge_rendering.py --panoramas FOLDER --rigged-hand FOLDER [--count 200] [--sheet judged.png]

Frames are webcam-like: the hand fills about a fifth of a square picture. A hand is found when a detection's joints lie on it.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from handviz.arguments import whole
from handviz.detect.mediapipe_detector import MediaPipeDetector, same_hand
from handviz.errors import HandvizError
from handviz.hand.skeleton import BONES, palm_length
from handviz.records import UInt8Array
from training.data.preview import sheet_of
from training.data.sample import Sample
from training.data.synth.command import Assets, SynthesisJob, make_renderer
from training.data.synth.recipe import PoseRecipe, Recipe, webcam_like
from training.data.synth.renderer import HandRenderer
from training.pictures import check_picture_path, write_picture

FRAME_SIZE = 480
EXPAND = 4.5
CHUNK = 25
FRONTAL = ("webcam_palm", "webcam_back")


def main() -> int:
    """Render, detect, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panoramas", type=Path)
    parser.add_argument("--rigged-hand", type=Path)
    parser.add_argument("--count", type=whole(1), default=200)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--webcam", action="store_true", help="ordinary webcam pictures instead of the training recipe")
    parser.add_argument("--gestures", action="store_true", help="named gestures only, no mixtures and no random poses")
    parser.add_argument("--sheet", type=Path, help="write a picture of the frames, found ones framed green, others red")
    arguments = parser.parse_args()
    recipe = webcam_like() if arguments.webcam else Recipe()
    if arguments.gestures:
        recipe = replace(recipe, pose=PoseRecipe(mixture_weight=0.0, closed_weight=0.0, random_weight=0.0))
    job = SynthesisJob(
        count=1,
        seed=arguments.seed,
        recipe=recipe,
        assets=Assets(panoramas=arguments.panoramas, rigged_hand=arguments.rigged_hand),
    )
    try:
        if arguments.sheet:
            check_picture_path(arguments.sheet)
        renderer = replace(make_renderer(job), size=FRAME_SIZE, expand=EXPAND, subsamples=1)
        samples = frames(renderer, arguments.count, arguments.seed)
        errors = judge(samples)
        report(samples, errors)
        if arguments.sheet:
            write_picture(arguments.sheet, sheet(samples, errors))
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def frames(renderer: HandRenderer, count: int, seed: int) -> list[Sample]:
    """Return ``count`` rendered frames; those of one chunk show the same hand model."""
    sizes = [min(CHUNK, count - start) for start in range(0, count, CHUNK)]
    return [sample for i, size in enumerate(sizes) for sample in renderer.render(size, seed * 1000 + i)]


def judge(samples: list[Sample]) -> list[float | None]:
    """Return MediaPipe's mean 2D error in palm lengths for each frame, None where it did not find the hand."""
    detector = MediaPipeDetector(max_hands=2)
    errors: list[float | None] = []
    for sample in samples:
        found = [hand.joints_px for hand in detector.detect(sample.rgb) if same_hand(hand.joints_px, sample.joints_px)]
        gaps = [float(np.linalg.norm(joints - sample.joints_px, axis=1).mean()) for joints in found if joints is not None]
        # A palm seen edge-on is short in the picture: take its length at its depth.
        palm_px = (
            float(palm_length(sample.joints_m) * sample.K[0, 0] / sample.joints_m[9, 2]) if sample.joints_m is not None else 1.0
        )
        errors.append(min(gaps) / palm_px if gaps else None)
    detector.close()
    return errors


def report(samples: list[Sample], errors: list[float | None]) -> None:
    """Print the rate and error by view, by hand, and over the frontal views."""
    groups: dict[str, list[float | None]] = defaultdict(list)
    for sample, error in zip(samples, errors, strict=True):
        groups[sample.view].append(error)
        if sample.view in FRONTAL:
            groups["frontal views"].append(error)
            groups[f"frontal, {sample.source}"].append(error)
        groups["all"].append(error)
    for name, values in sorted(groups.items()):
        good = [v for v in values if v is not None]
        middle = f"{np.median(good):.3f} palm lengths median" if good else "-"
        print(f"{name:32s} found {len(good)}/{len(values)} ({len(good) / len(values):.0%}), 2D error {middle}")


def sheet(samples: list[Sample], errors: list[float | None], columns: int = 10) -> UInt8Array:
    """Return the middle of each frame with the true joints, framed green where found and red where not."""
    tiles = []
    for sample, error in zip(samples, errors, strict=True):
        tile = sample.rgb.copy()
        for a, b in BONES:
            start, end = sample.joints_px[[a, b]].round().astype(int).tolist()
            cv2.line(tile, tuple(start), tuple(end), (255, 255, 255), 1)
        tile = cv2.resize(np.hstack([sample.rgb, tile])[100:380], None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
        tiles.append(
            cv2.copyMakeBorder(tile, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(220, 0, 0) if error is None else (0, 200, 0))
        )
    return sheet_of(tiles, columns // 2)


if __name__ == "__main__":
    sys.exit(main())
