"""An hour of video: how long a seek takes, and how much memory its analysed results need.

    python scripts/bench_long.py [VIDEO] [--minutes 60]

The video (by default the bundled clip) is repeated into a temporary file of that length. The results kept are those of two
hands with meshes in every frame, at 30 frames a second.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import psutil

from handviz.capture.base import SourceSpec
from handviz.capture.open import open_source
from handviz.cli.options import source_or_clip
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.offline import analyse
from handviz.pipeline.result_cache import ResultCache

SEEKS = 40


def write_long(source: SourceSpec, out: Path, minutes: float) -> None:
    opened = open_source(source)
    frames = [frame.rgb[..., ::-1] for frame in iter(opened.read, None)]
    height, width = frames[0].shape[:2]
    fps = opened.fps or 30.0
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    for picture in itertools.islice(itertools.cycle(frames), round(60 * minutes * fps)):
        writer.write(np.ascontiguousarray(picture))
    writer.release()


def seek_ms(path: Path) -> list[float]:
    source = open_source(SourceSpec(kind="video", path=path))
    assert source.frame_count is not None
    times = []
    for index in np.random.default_rng(0).integers(0, source.frame_count, SEEKS):
        began = time.perf_counter()
        source.seek(int(index))
        frame = source.read()
        times.append(1000 * (time.perf_counter() - began))
        assert frame is not None and frame.index == index
    return times


def results_mb(source: SourceSpec, minutes: float) -> float:
    config = SessionConfig(estimator="fit")
    one = next(result for result in analyse(source, config) if result.hands)
    two = replace(one, hands=one.hands[:1] * 2)
    cache, process = ResultCache(), psutil.Process()
    before = process.memory_info().rss
    for index in range(round(60 * 30 * minutes)):
        cache.put(replace(two, frame=replace(two.frame, index=index)), config)
    return float(process.memory_info().rss - before) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?")
    parser.add_argument("--minutes", type=float, default=60.0)
    arguments = parser.parse_args()
    source = source_or_clip(arguments.video)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        write_long(source, path, arguments.minutes)
        times = seek_ms(path)
    print(f"seek and picture: median {np.median(times):.1f} ms, 95 % {np.percentile(times, 95):.1f} ms over {SEEKS} places")
    print(f"results of {arguments.minutes:g} minutes, two hands, 30 frames/s: {results_mb(source, arguments.minutes):.0f} MB")


if __name__ == "__main__":
    main()
