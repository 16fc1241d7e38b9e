"""Measure an hour of video: how long a seek takes, how much memory its results need, and whether the window's memory grows.

    python scripts/bench_long.py [VIDEO] [--minutes 60]
    python scripts/bench_long.py [VIDEO] --soak 100000 [--estimator NAME] [--every 5000]

The video (by default the bundled clip) is repeated into a temporary file of that length. The results kept are those of two
hands with meshes in every frame, at 30 frames a second.

A soak test opens the full window off screen on the looped video at four times its speed, analyses so many frames as fast as they
come, with plots, trails and meshes shown, and prints the process's memory on the way and its growth after the first tenth of the
frames. Frames analysed in an earlier loop are analysed again; their new results replace the old ones.
"""

from __future__ import annotations

import argparse
import itertools
import os
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
from handviz.errors import HandvizError, SourceError
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.offline import analyse
from handviz.pipeline.player import MAX_SPEED
from handviz.pipeline.result_cache import ResultCache

SEEKS = 40
LOOK_MS = 50


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


def stop_at_a_problem(problem: str | None) -> None:
    """Raise SourceError with the problem that the window would show, if there is one."""
    if problem is not None:
        raise SourceError(problem)


def soak(source: SourceSpec, estimator: str, frames: int, every: int) -> None:
    """Run the window until so many frames are analysed, and print how its memory develops."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from handviz.app.cores import leave_cores_for_the_window
    from handviz.app.viewport.renderer import Renderer

    leave_cores_for_the_window()
    Renderer.load_library()
    from PySide6.QtCore import QTimer

    from handviz.app.application import App, make_application
    from handviz.app.state import Wish
    from handviz.app.view_options import ViewOptions

    application = make_application()
    app = App(Wish(source=source, config=SessionConfig(estimator=estimator), view=ViewOptions(trails=True, mesh_overlay=True)))
    app.start()
    while app.controller.session is None:
        application.processEvents()
        stop_at_a_problem(app.controller.offer.problem)
    app.controller.playback.set_loop(True)
    app.controller.playback.set_speed(MAX_SPEED)
    seen: list[tuple[int, float]] = []
    began, process = time.monotonic(), psutil.Process()

    def look() -> None:
        assert app.controller.session is not None
        stats = app.controller.session.stats()
        if stats.analysed >= min(len(seen) * every, frames):
            seen.append((stats.analysed, process.memory_info().rss / 1e6))
            rate = stats.analysed / (time.monotonic() - began)
            print(f"{stats.analysed:8d} frames  {seen[-1][1]:7.1f} MB  {rate:5.1f} frames/s", flush=True)
        problem = app.controller.session.state().error
        if problem is not None:
            print(problem)
        if problem is not None or stats.analysed >= frames:
            app.window.close()

    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(LOOK_MS)
    application.exec()
    settled = next((mb for count, mb in seen if count >= frames / 10), seen[-1][1])
    print(f"growth from {frames // 10} to {seen[-1][0]} frames: {seen[-1][1] - settled:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--soak", type=int, metavar="FRAMES")
    parser.add_argument("--estimator", default="mediapipe")
    parser.add_argument("--every", type=int, default=5000, help="frames between two readings of the memory")
    arguments = parser.parse_args()
    source = source_or_clip(arguments.video)
    if arguments.soak is not None:
        soak(source, arguments.estimator, arguments.soak, arguments.every)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        write_long(source, path, arguments.minutes)
        times = seek_ms(path)
    print(f"seek and picture: median {np.median(times):.1f} ms, 95 % {np.percentile(times, 95):.1f} ms over {SEEKS} seeks")
    print(f"results of {arguments.minutes:g} minutes, two hands, 30 frames/s: {results_mb(source, arguments.minutes):.0f} MB")


if __name__ == "__main__":
    try:
        main()
    except HandvizError as error:
        raise SystemExit(str(error)) from None
