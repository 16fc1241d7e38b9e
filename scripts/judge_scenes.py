"""Measure whether small hands are found, and how often something else is taken for one, in scenes of 640 x 480 pixels.

    python scripts/judge_scenes.py test-webcam --panoramas PANORAMAS [--count 80] [--size 60 --size 90] [--clip VIDEO]

Each hand's stored picture is shrunk until its joints are so many pixels apart, and laid with soft edges into a part of a panorama
of the test set, at a random place; every second one is mirrored. Each scene is analysed as a picture, as in ``handviz process``.
A hand is found if the mean error of its joints is below 0.4 of its size. The same number of scenes without a hand follows. With a
recording, its frames are shrunk, put into the middle of one scene and analysed as a video.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from judge_pictures import Shown, frame_of, pictures_of

from handviz.arguments import whole
from handviz.capture.base import parse_source
from handviz.capture.open import open_source
from handviz.errors import HandvizError
from handviz.geometry.camera import FloatArray, camera_from_fov
from handviz.geometry.kinematics import turn_by
from handviz.pipeline.config import chosen
from handviz.pipeline.step import HandPipeline
from handviz.records import HandEstimate, UInt8Array
from handviz.render.light import panorama_background
from training.data.synth.surroundings import Panorama, read_panoramas
from training.metrics import point_errors

SIZES_PX = (60, 90, 130, 180)
WIDTH, HEIGHT = 640, 480
FOUND_WITHIN = 0.4
# The softened part of an inserted picture's edge, as a fraction of its side.
SOFT = 0.15
SHRUNK = (1.0, 0.4, 0.3)


def main() -> int:
    """Read the set and the panoramas, print a row for each size, one without hands, and those of the recording."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", help="a pack, a folder of packs, or a data source's name")
    parser.add_argument("--panoramas", type=Path, required=True, help="folder of panoramas (NAME.jpg with NAME_light.hdr)")
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument(
        "--count", type=whole(1), default=80, help="number of hands and of scenes without one (default %(default)s)"
    )
    parser.add_argument("--size", type=whole(20), action="append", help=f"size of hands in px; repeat (default {SIZES_PX})")
    parser.add_argument("--clip", help="a recording of hands, of 640 x 480 pixels")
    parser.add_argument("--estimator", default="groups-fit", help="(default %(default)s)")
    arguments = parser.parse_args()
    try:
        hands = pictures_of(arguments.set, arguments.data, arguments.count)
        panoramas = read_panoramas(arguments.panoramas, test=True)
        for size in arguments.size or SIZES_PX:
            rng = np.random.default_rng(0)
            print(
                f"{size} px: {pictures_row(arguments.estimator, [placed(rng, panoramas, hand, size) for hand in hands])}",
                flush=True,
            )
        rng = np.random.default_rng(1)
        print("no hand:", pictures_row(arguments.estimator, [(scene(rng, panoramas), None) for _ in hands]), flush=True)
        for scale in SHRUNK if arguments.clip else ():
            print(
                f"recording at {scale} of its size: {video_row(arguments.estimator, arguments.clip, panoramas, scale)}",
                flush=True,
            )
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def scene(rng: np.random.Generator, panoramas: Sequence[Panorama]) -> UInt8Array:
    """Return what a camera with 55 degrees sees of a panorama, looking in any direction and a little up or down."""
    R = turn_by(np.array([rng.uniform(-0.25, 0.4), 0.0, 0.0])) @ turn_by(np.array([0.0, rng.uniform(-np.pi, np.pi), 0.0]))
    panorama = panoramas[rng.integers(len(panoramas))]
    return panorama_background(panorama.rgb, camera_from_fov(WIDTH, HEIGHT, 55.0).K, HEIGHT, WIDTH, R)


def placed(rng: np.random.Generator, panoramas: Sequence[Panorama], hand: Shown, size_px: float) -> tuple[UInt8Array, FloatArray]:
    """Return a scene (H, W, 3) with a hand of this size, and its joints (21, 2)."""
    scale = size_px / np.ptp(hand.joints_px, axis=0).max()
    small = cv2.resize(hand.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    side = len(small)
    # The stored picture is about twice as large as the hand, which lies in its middle half.
    left, top = (round(rng.uniform(-0.2 * side, length - 0.8 * side)) for length in (WIDTH, HEIGHT))
    inward = np.minimum(np.arange(side), np.arange(side)[::-1]) / (SOFT * side)
    opaque = np.clip(np.minimum.outer(inward, inward), 0, 1)[..., None]
    frame = ((side, side), (side, side), (0, 0))
    large = np.pad(scene(rng, panoramas).astype(float), frame)
    part = large[top + side : top + 2 * side, left + side : left + 2 * side]
    part[:] = small * opaque + part * (1 - opaque)
    rgb = np.ascontiguousarray(large[side:-side, side:-side].round(), np.uint8)
    return rgb, (hand.joints_px + 0.5) * scale - 0.5 + [left, top]


def pictures_row(estimator: str, pictures: Sequence[tuple[UInt8Array, FloatArray | None]]) -> str:
    """Return how many of the hands (or, where the joints are None, how many false ones) are found in pictures."""
    pipeline = HandPipeline(chosen(estimator, None))
    right = wrong = 0
    ms = []
    for index, (rgb, joints_px) in enumerate(pictures):
        start = time.perf_counter()
        hands = pipeline.process_still(frame_of(index, rgb)).hands
        ms.append(1e3 * (time.perf_counter() - start))
        is_right = [joints_px is not None and _is_at(hand, joints_px) for hand in hands]
        right += any(is_right)
        wrong += not all(is_right)
    pipeline.close()
    return f"{right} found, others taken for one in {wrong} of {len(pictures)}, {_times(ms)}"


def video_row(estimator: str, clip: str, panoramas: Sequence[Panorama], scale: float) -> str:
    """Return in how many frames of a shrunk recording a hand is found."""
    pipeline = HandPipeline(chosen(estimator, None))
    around = scene(np.random.default_rng(2), panoramas)
    found, ms = 0, []
    for index, rgb in enumerate(_frames(clip)):
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture = around.copy()
        top, left = (HEIGHT - small.shape[0]) // 2, (WIDTH - small.shape[1]) // 2
        picture[top : top + small.shape[0], left : left + small.shape[1]] = small
        start = time.perf_counter()
        found += bool(pipeline.process(frame_of(index, picture, index / 15)).hands)
        ms.append(1e3 * (time.perf_counter() - start))
    pipeline.close()
    return f"a hand in {found} of {len(ms)} frames, {_times(ms)}"


def _times(ms: Sequence[float]) -> str:
    return f"median {np.median(ms):.0f} ms, mean {np.mean(ms):.0f}"


def _is_at(hand: HandEstimate, joints_px: FloatArray) -> bool:
    return bool(point_errors(hand.joints.joints_px, joints_px).mean() < FOUND_WITHIN * np.ptp(joints_px, axis=0).max())


def _frames(clip: str) -> Iterator[UInt8Array]:
    source = open_source(parse_source(clip))
    while (frame := source.read()) is not None:
        if frame.rgb.shape[:2] != (HEIGHT, WIDTH):
            raise HandvizError(f"{clip}: its frames are not {WIDTH} x {HEIGHT} pixels. Give such a recording.")
        yield frame.rgb
    source.release()


if __name__ == "__main__":
    sys.exit(main())
