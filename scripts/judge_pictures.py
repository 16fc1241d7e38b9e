"""Measure the whole way from a picture to joints, as in ``handviz process``: is the hand found, its side right, how far off?

    python scripts/judge_pictures.py test-webcam [--count 400] [--estimator groups-fit --estimator mediapipe]

Each hand is a separate picture, every second one mirrored. PA-MPJPE and 2D error (in pixels, scaled so that the hand's crop has
256) are means over the hands that were found, including those with a wrong side; the camera is assumed, as for any picture.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from handviz.arguments import whole
from handviz.capture.base import CameraChoice
from handviz.capture.exif import UNTOLD
from handviz.detect.mediapipe_detector import MediaPipeDetector
from handviz.errors import HandvizError
from handviz.estimate.registry import default_weights
from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import Side
from handviz.pipeline.config import chosen
from handviz.pipeline.step import HandPipeline
from handviz.records import Frame, UInt8Array
from training.answers import CROP_SIZE
from training.data.pack import STORED_EXPAND, STORED_SIZE, Pack
from training.data.sources import read_source
from training.metrics import point_errors, procrustes_aligned

ENLARGED = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """A picture of one hand, its side, and its joints in pixels (21, 2) and metres (21, 3)."""

    rgb: UInt8Array
    side: Side
    joints_px: FloatArray
    joints_m: FloatArray


def main() -> int:
    """Read the set, run each estimator on each picture, print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", help="a pack, a folder of packs, or a data source's name")
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument("--count", type=whole(1), default=400, help="number of hands, from the first on (default %(default)s)")
    parser.add_argument("--estimator", action="append", help="repeat to compare (default groups-fit and mediapipe)")
    parser.add_argument("--weights", type=Path, help="weights to use instead of the shipped ones, for estimators that take any")
    arguments = parser.parse_args()
    try:
        pictures = pictures_of(arguments.set, arguments.data, arguments.count)
        print(f"{len(pictures)} pictures; the detector: {detector_row(pictures)}")
        for name in arguments.estimator or ["groups-fit", "mediapipe"]:
            print(f"{name:12s} {row(name, arguments.weights, pictures)}", flush=True)
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def pictures_of(source: str, folder: Path, count: int) -> list[Shown]:
    """Return the first hands of a data source whose joints are all known. Raises HandvizError if there is none."""
    pack = read_source(source, folder)
    pack = pack.select(np.flatnonzero(pack.is_hand_N & pack.has_joints_m_N & pack.valid_NJ.all(1))[:count])
    if len(pack) == 0:
        raise HandvizError(f"{source}: holds no hand whose joints are all known.")
    return list(shown(pack))


def frame_of(index: int, rgb: UInt8Array, time_s: float = 0.0) -> Frame:
    """Return a picture as a frame, with the camera that is assumed for any picture."""
    height, width = rgb.shape[:2]
    camera = CameraChoice().camera_for(width, height, UNTOLD)
    return Frame(index=index, t_capture_s=time_s, t_arrival_s=time_s, rgb=rgb, camera=camera)


def shown(pack: Pack) -> Iterator[Shown]:
    """Return each hand's stored picture, enlarged; every second one mirrored."""
    for i in range(len(pack)):
        rgb = cv2.resize(pack.rgb_NSS3[i], None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
        pixels = (pack.joints_px_NJ2[i].astype(float) + 0.5) * ENLARGED - 0.5
        metres = pack.joints_m_NJ3[i].astype(float)
        if i % 2:
            rgb, pixels, metres = rgb[:, ::-1], pixels * [-1, 1] + [rgb.shape[1] - 1, 0], metres * [-1, 1, 1]
        side: Side = "left" if i % 2 else "right"
        yield Shown(rgb=np.ascontiguousarray(rgb, np.uint8), side=side, joints_px=pixels, joints_m=metres)


def detector_row(pictures: Sequence[Shown]) -> str:
    """Return how often the detector finds a hand, and how often it gets the side right."""
    detector = MediaPipeDetector(1)
    found = [(detector.detect_thoroughly(picture.rgb), picture.side) for picture in pictures]
    detector.close()
    sides = [hands[0].side == side for hands, side in found if hands]
    return f"found {len(sides)}, side right {np.mean(sides):.1%}" if sides else "found none"


def row(name: str, weights: Path | None, pictures: Sequence[Shown]) -> str:
    """Return an estimator's line."""
    takes_weights = default_weights(name) is not None
    pipeline = HandPipeline(replace(chosen(name, weights if takes_weights else None), max_hands=1))
    sides, metres, pixels = [], [], []
    for number, picture in enumerate(pictures):
        hands = pipeline.process_still(frame_of(number, picture.rgb)).hands
        if hands:
            joints = hands[0].joints
            sides.append(hands[0].side == picture.side)
            aligned = procrustes_aligned(joints.joints_camera_m[None], picture.joints_m[None])[0]
            metres.append(point_errors(aligned, picture.joints_m).mean())
            pixels.append(point_errors(joints.joints_px, picture.joints_px).mean())
    pipeline.close()
    if not sides:
        return "found none"
    right = np.array(sides)
    mm, px = 1000 * np.array(metres), np.array(pixels) * CROP_SIZE / (ENLARGED * STORED_SIZE) * STORED_EXPAND / 1.5
    wrong = f"{mm[~right].mean():.1f}" if (~right).any() else "-"
    return (
        f"found {len(right)}, side right {right.mean():.1%}, PA-MPJPE {mm.mean():.1f} mm "
        f"({mm[right].mean():.1f} on the right side, {wrong} on the wrong one), 2D {px.mean():.1f} px"
    )


if __name__ == "__main__":
    sys.exit(main())
