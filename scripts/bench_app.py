"""Measure the whole application off screen: results shown per second, age, response of the window, memory.

    python scripts/bench_app.py VIDEO [--estimator NAME] [--seconds 20] [--speed 2] [--mesh] [--json FILE]

A 15 Hz recording at speed 2 arrives like a 30 Hz camera. Only the measured seconds count, after a warm-up of 3 s: frames that
the player offered, their results, and frames whose result the window painted. ``response_ms`` is how late a 20 ms timer fires:
how long a click would wait. Part times and ``display_cpu_ms_per_result`` are processor time of the display's thread, the latter
of all its work.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

WARM_UP_S = 3.0
PROBE_MS = 20


def timed(owner: type, name: str, times: dict[str, list[float]]) -> None:
    """Make a method record its processor time on this thread in milliseconds."""
    method: Callable[..., Any] = getattr(owner, name)

    def wrapper(*arguments: Any, **named: Any) -> Any:
        start = time.thread_time()
        try:
            return method(*arguments, **named)
        finally:
            times[f"{owner.__name__}.{name}"].append((time.thread_time() - start) * 1e3)

    setattr(owner, name, wrapper)


def note_painted(view: Any, result: Callable[[], Any], painted: set[float]) -> None:
    """Make the video view record the arrival times of the frames it paints; a frame painted twice counts once."""
    paint = view.paintEvent

    def wrapper(self: Any, event: Any) -> None:
        paint(self, event)
        if result() is not None:
            painted.add(result().frame.t_arrival_s)

    view.paintEvent = wrapper


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--estimator", default="mediapipe")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--speed", type=float, default=2.0)
    parser.add_argument("--mesh", action="store_true", help="draw the mesh over the picture too")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not arguments.video.exists():
        raise SystemExit(f"{arguments.video}: no such file. Give a video")
    report = measure(arguments)
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    started = time.monotonic()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from handviz.app.cores import leave_cores_for_the_window
    from handviz.app.viewport.renderer import Renderer

    leave_cores_for_the_window()

    Renderer.load_library()
    from PySide6.QtCore import QTimer

    from handviz.app.application import App, make_application
    from handviz.app.controller import Controller
    from handviz.app.plots import Plots
    from handviz.app.state import Wish
    from handviz.app.video_view import VideoView
    from handviz.app.view_options import ViewOptions
    from handviz.app.viewport.scene import Scene
    from handviz.app.viewport.widget import Viewport
    from handviz.capture.base import parse_source
    from handviz.pipeline.config import SessionConfig
    from handviz.pipeline.stats import SessionStats

    times: dict[str, list[float]] = defaultdict(list)
    for owner, name in (
        (Controller, "tick"),
        (VideoView, "paintEvent"),
        (Viewport, "paintEvent"),
        (Scene, "update"),
        (Scene, "draw"),
        (Plots, "show_data"),
    ):
        timed(owner, name, times)
    painted: set[float] = set()
    note_painted(VideoView, lambda: app.controller.result, painted)
    application = make_application()
    wish = Wish(
        source=parse_source(str(arguments.video)),
        config=SessionConfig(estimator=arguments.estimator),
        view=ViewOptions(mesh_overlay=arguments.mesh, mesh_3d=arguments.mesh),
    )
    app = App(wish)
    app.window.resize(1572, 860)
    app.start()
    while app.controller.result is None:
        application.processEvents()
        if app.controller.offer.problem is not None:
            app.window.close()
            raise SystemExit(app.controller.offer.problem)
    first_picture_s = time.monotonic() - started
    app.controller.playback.set_loop(True)
    app.controller.playback.set_speed(arguments.speed)
    late: list[float] = []
    due = [0.0]

    def probe() -> None:
        now = time.monotonic()
        if due[0]:
            late.append((now - due[0]) * 1e3)
        due[0] = now + PROBE_MS / 1e3
        QTimer.singleShot(PROBE_MS, probe)

    finished: dict[str, Any] = {}

    def stats() -> SessionStats:
        assert app.controller.session is not None
        return app.controller.session.stats()

    def begin() -> None:
        times.clear()
        late.clear()
        painted.clear()
        finished["begin"] = stats()
        finished["start"] = time.monotonic()
        finished["cpu_start"] = time.process_time()
        finished["display_start"] = time.thread_time()
        QTimer.singleShot(round(arguments.seconds * 1000), end)

    def end() -> None:
        finished["wall_s"] = time.monotonic() - finished["start"]
        finished["cpu_s"] = time.process_time() - finished["cpu_start"]
        finished["display_s"] = time.thread_time() - finished["display_start"]
        finished["painted"] = len(painted)
        finished["end"] = stats()
        finished["viewport"] = f"{app.window.viewport.width()}x{app.window.viewport.height()}"
        app.window.close()

    QTimer.singleShot(0, probe)
    QTimer.singleShot(round(WARM_UP_S * 1000), begin)
    application.exec()
    first, last, wall_s = finished["begin"], finished["end"], finished["wall_s"]
    analysed = last.analysed - first.analysed
    from handviz.processor import processor_name

    return {
        "hardware": f"{processor_name()}, {os.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}",
        "estimator": arguments.estimator,
        "viewport": finished["viewport"],
        "first_picture_s": round(first_picture_s, 2),
        "frames_offered_per_s": round((analysed + last.dropped - first.dropped) / wall_s, 1),
        "results_per_s": round(analysed / wall_s, 1),
        "results_shown_per_s": round(finished["painted"] / wall_s, 1),
        "cpu_cores_used": round(finished["cpu_s"] / wall_s, 2),
        "cpu_ms_per_result": round(finished["cpu_s"] * 1e3 / max(finished["painted"], 1), 1),
        "display_cpu_ms_per_result": round(finished["display_s"] * 1e3 / max(finished["painted"], 1), 1),
        "age_ms_p50": None if last.age_ms_p50 is None else round(last.age_ms_p50, 1),
        "response_ms_p50": round(float(np.percentile(late, 50)), 1),
        "response_ms_p95": round(float(np.percentile(late, 95)), 1),
        "rss_mb": round(psutil.Process().memory_info().rss / 2**20),
        "parts_ms_p50": {name: round(float(np.median(values)), 2) for name, values in sorted(times.items())},
        "stage_ms": {name: round(value, 2) for name, value in last.stage_ms.items()},
    }


if __name__ == "__main__":
    main()
