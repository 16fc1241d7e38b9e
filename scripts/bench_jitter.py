"""Measure how still joints stay and how far smoothing lags: ``python scripts/bench_jitter.py VIDEO [--estimator NAME ...]``.

Frames of a recording are each repeated with fresh sensor noise and JPEG compression, as a camera shows a hand at rest. Every
estimator sees the same pictures, with and without the app's smoothing. Jitter is the standard deviation of a joint's position
over the last ``COUNTED`` repeats, in frames in which every estimator found a hand. The lag is the distance of smoothed joints
from the unsmoothed ones in the same frame of the recording itself.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import handviz
from handviz.capture.base import parse_source
from handviz.capture.open import open_source
from handviz.errors import HandvizError
from handviz.hand.skeleton import MIDDLE_MCP, NUM_JOINTS, WRIST
from handviz.records import UInt8Array

Array = npt.NDArray[np.float64]
# A second, of which the last half counts: by then the smoothing has left the previous picture behind.
SHOWINGS, COUNTED = 30, 15
NOISE = 4.0


def pictures(video: Path, every: int) -> Iterator[UInt8Array]:
    """Yield one in ``every`` frames of a recording."""
    source = open_source(parse_source(str(video)))
    index = 0
    while (frame := source.read()) is not None:
        if index % every == 0:
            yield frame.rgb
        index += 1


def write_rest(video: Path, every: int, out: Path) -> int:
    """Write the recording in which each picture is repeated; return the number of pictures."""
    rng, writer, count = np.random.default_rng(0), None, 0
    for rgb in pictures(video, every):
        if writer is None:
            writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"MJPG"), 30, (rgb.shape[1], rgb.shape[0]))
        for _ in range(SHOWINGS):
            noisy = rgb + rng.normal(0.0, NOISE, rgb.shape)
            writer.write(np.ascontiguousarray(noisy.round().clip(0, 255).astype(np.uint8)[..., ::-1]))
        count += 1
    if writer is not None:
        writer.release()
    return count


def tracks(video: Path, estimator: str, smoothing: bool) -> Array:
    """Return the pixels (N, 21, 2) of the most confident hand of each frame; NaN where there is none."""
    rows = []
    for result in handviz.track(video, estimator=estimator, max_hands=1, smoothing=smoothing):
        surest = max(result.hands, key=lambda hand: hand.score, default=None)
        rows.append(np.full((NUM_JOINTS, 2), np.nan) if surest is None else surest.joints.joints_px)
    return np.array(rows)


def jitter(px_NTJ2: Array) -> tuple[float, float]:
    """Return the median over pictures of a joint's jitter, in pixels and in palms."""
    rest = px_NTJ2[:, -COUNTED:]
    spread_N = np.sqrt(rest.var(1).sum(-1).mean(-1))
    palm_N = np.linalg.norm(rest[:, :, WRIST] - rest[:, :, MIDDLE_MCP], axis=-1).mean(1)
    return float(np.median(spread_N)), float(np.median(spread_N / palm_N))


def behind(raw_NJ2: Array, smooth_NJ2: Array) -> tuple[float, float]:
    """Return how far smoothed joints are from unsmoothed ones (means over joints): median, 95th percentile over frames, px."""
    gap_N = np.linalg.norm(smooth_NJ2 - raw_NJ2, axis=-1).mean(-1)
    return float(np.nanmedian(gap_N)), float(np.nanpercentile(gap_N, 95))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--estimator", action="append", help="repeat to compare (default groups, dense and mediapipe)")
    parser.add_argument("--every", type=int, default=20, help="take one frame in so many (default %(default)s)")
    arguments = parser.parse_args()
    names = arguments.estimator or ["groups", "dense", "mediapipe"]
    with tempfile.TemporaryDirectory() as folder:
        rest = Path(folder) / "rest.avi"
        count = write_rest(arguments.video, arguments.every, rest)
        shape = (-1, SHOWINGS, NUM_JOINTS, 2)
        raw, smooth = ({n: tracks(rest, n, smoothing).reshape(shape) for n in names} for smoothing in (False, True))
    found = np.all([np.isfinite(px[:, -COUNTED:]).all((1, 2, 3)) for px in (*raw.values(), *smooth.values())], axis=0)
    print(f"{arguments.video.name}: {count} pictures at rest, {int(found.sum())} with a hand for every estimator")
    for name in names if found.any() else ():
        (px, share), (smooth_px, smooth_share) = jitter(raw[name][found]), jitter(smooth[name][found])
        shown = f"{px:.2f} px ({100 * share:.2f} % of a palm)"
        middle_px, high_px = behind(tracks(arguments.video, name, False), tracks(arguments.video, name, True))
        moving = f"over the whole recording {middle_px:.1f} px behind (95th percentile {high_px:.1f})"
        print(f"{name:10s} {shown} a joint; smoothed {smooth_px:.2f} px ({100 * smooth_share:.2f} %), {moving}")


if __name__ == "__main__":
    try:
        main()
    except HandvizError as error:
        raise SystemExit(str(error)) from None
