"""The window over the real session and estimator, on a small recording without hands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from handviz.app.application import App
from handviz.app.state import Wish
from handviz.capture.base import parse_source
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.session import Session

pytestmark = pytest.mark.gui


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "grey.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (160, 120))
    for level in range(40):
        writer.write(np.full((120, 160, 3), 40 + 4 * level, np.uint8))
    writer.release()
    return path


@pytest.fixture
def app(open_app: Callable[..., App], video: Path) -> App:
    # Pictures without a hand never reach the networks that ``auto`` would load.
    return open_app(Wish(source=parse_source(str(video)), config=SessionConfig(estimator="mediapipe")), Session)


def shown(app: App) -> int:
    return -1 if app.controller.result is None else app.controller.result.frame.index


def test_plays_seeks_reruns_and_closes(app: App, qtbot: Any) -> None:
    app.controller.playback.step(-1)
    qtbot.waitUntil(lambda: app.window.status.shown_texts()[0] == "Paused", timeout=20_000)
    app.controller.playback.seek(20)
    qtbot.waitUntil(lambda: shown(app) == 20, timeout=20_000)
    first = app.controller.result
    app.controller.configure(smoothing=False)
    qtbot.waitUntil(lambda: app.controller.result is not first, timeout=20_000)
    assert shown(app) == 20
    app.controller.playback.step(-1)
    qtbot.waitUntil(lambda: shown(app) == 19, timeout=20_000)
    assert app.window.video.snapshot() is not None
    start = time.monotonic()
    app.window.close()
    assert time.monotonic() - start < 10


def test_analyse_all_fills_the_curve(app: App, qtbot: Any) -> None:
    app.controller.works.analyse_all()
    session = app.controller.session
    assert session is not None
    qtbot.waitUntil(lambda: bool(np.isfinite(session.confidence_curve()).all()), timeout=60_000)
    qtbot.waitUntil(lambda: app.window.job_strip.isHidden(), timeout=10_000)


def test_export_of_the_recording(app: App, qtbot: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    app.controller.works.export(path)
    qtbot.waitUntil(lambda: app.window.job_strip.isHidden(), timeout=60_000)
    assert len(path.read_text().splitlines()) == 40


def test_recording_to_the_end_of_the_file(app: App, qtbot: Any, tmp_path: Path) -> None:
    path = tmp_path / "live.mp4"
    app.controller.playback.step(-1)
    app.controller.playback.seek(20)
    qtbot.waitUntil(lambda: shown(app) == 20, timeout=20_000)
    app.controller.works.record(path, overlay=False)
    app.controller.playback.play_pause()
    qtbot.waitUntil(lambda: not app.controller.works.recording, timeout=60_000)
    assert app.window.notice.words.text().startswith("The source has ended. ")
    capture = cv2.VideoCapture(str(path))
    levels = []
    while (read := capture.read())[0]:
        levels.append(float(read[1].mean()))
    capture.release()
    assert levels[-1] == pytest.approx(40 + 4 * 39, abs=4), "the last picture is in it"
    times = [json.loads(line)["t_s"] for line in path.with_suffix(".jsonl").read_text().splitlines()]
    assert len(times) == len(levels) and times == sorted(times) and times[-1] < 3
