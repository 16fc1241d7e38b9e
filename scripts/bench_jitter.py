"""How still the joints of a resting hand stay, by estimator: ``python scripts/bench_jitter.py VIDEO [--estimator NAME ...]``.

Every estimator sees the same frames, with the app's smoothing and without. A hand rests in a frame where all of them say that
its joints moved by less than ``REST_PALMS`` of a palm on average, a frame, over ``REST_FRAMES`` frames. Jitter is the
standard deviation of a joint's place that its second differences tell: steady motion counts nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

import handviz
from handviz.hand.skeleton import MIDDLE_MCP, NUM_JOINTS, WRIST

Array = npt.NDArray[np.float64]
REST_FRAMES, REST_PALMS = 5, 0.03
# The second difference of white noise of variance 1 has variance 1 + 4 + 1.
_SECOND_DIFFERENCE = np.sqrt(6.0)


def tracks(video: Path, estimator: str, smoothing: bool, frames: int | None) -> Array:
    """Return the pixels (T, 21, 2) of the surest hand of each frame; NaN where there is none."""
    rows = []
    for result in handviz.track(video, estimator=estimator, max_hands=1, smoothing=smoothing):
        surest = max(result.hands, key=lambda hand: hand.score, default=None)
        rows.append(np.full((NUM_JOINTS, 2), np.nan) if surest is None else surest.joints.joints_px)
        if len(rows) == frames:
            break
    return np.array(rows)


def palms(px_TJ2: Array) -> Array:
    """Return the palm's length (T,) in pixels."""
    return np.asarray(np.linalg.norm(px_TJ2[:, WRIST] - px_TJ2[:, MIDDLE_MCP], axis=1))


def resting(px_TJ2: Array) -> npt.NDArray[np.bool_]:
    """Return in which frames (T,) the hand rests: every step of ``REST_FRAMES`` frames around is small."""
    steps = np.linalg.norm(np.diff(px_TJ2, axis=0), axis=2).mean(1) / palms(px_TJ2)[1:]
    small = np.concatenate([[False], np.nan_to_num(steps, nan=np.inf) < REST_PALMS])
    windows = np.lib.stride_tricks.sliding_window_view(small, REST_FRAMES - 1).all(1)
    rests = np.zeros(len(px_TJ2), bool)
    for first in np.flatnonzero(windows):
        rests[first - 1 : first + REST_FRAMES - 1] = True
    return rests


def jitter(px_TJ2: Array, rests: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the jitter of a joint in pixels and in palms: root mean square over frames, joints and both axes."""
    inside = rests[:-2] & rests[1:-1] & rests[2:]
    second = (px_TJ2[2:] - 2 * px_TJ2[1:-1] + px_TJ2[:-2])[inside] / _SECOND_DIFFERENCE
    in_palms = second / palms(px_TJ2)[1:-1][inside][:, None, None]
    return float(np.sqrt((second**2).mean())), float(np.sqrt((in_palms**2).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--estimator", action="append", help="repeat to compare (default groups, dense and mediapipe)")
    parser.add_argument("--frames", type=int, help="only the first so many")
    arguments = parser.parse_args()
    names = arguments.estimator or ["groups", "dense", "mediapipe"]
    raw, smooth = ({n: tracks(arguments.video, n, smoothing, arguments.frames) for n in names} for smoothing in (False, True))
    rests = np.all([resting(px) for px in raw.values()], axis=0)
    print(f"{arguments.video.name}: {len(rests)} frames, the hand rests in {int(rests.sum())} of them by every estimator")
    if not rests.any():
        return
    for name in names:
        (px, share), (smooth_px, smooth_share) = jitter(raw[name], rests), jitter(smooth[name], rests)
        shown = f"{px:.2f} px ({100 * share:.2f} % of a palm)"
        print(f"{name:10s} {shown} a joint; smoothed {smooth_px:.2f} px ({100 * smooth_share:.2f} %)")


if __name__ == "__main__":
    main()
