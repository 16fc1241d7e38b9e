"""The application from its entry to its end, as the command line calls it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QImage

from handviz.app import main
from handviz.app.main import run_app
from handviz.app.settings import load, settings_path
from handviz.capture.base import SourceSpec
from handviz.errors import OutputError
from handviz.pipeline.loader import LOADING, PROBING, in_thread

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the end wait for a loading session however long: on a busy machine the libraries alone need longer than it waits."""
    monkeypatch.setattr(main, "EXIT_S", 300.0)


@pytest.fixture
def picture(tmp_path: Path) -> SourceSpec:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((120, 160, 3), 120, np.uint8))
    return SourceSpec(kind="image", path=path)


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("handviz")]


def test_screenshot_leaves_settings_alone(qapp: Any, picture: SourceSpec, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    assert run_app(picture, {"estimator": "mediapipe"}, screenshot=shot, quit_after_s=0.4, window_size=(1100, 720)) == 0
    image = QImage(str(shot))
    assert (image.width(), image.height()) == (1100, 720)
    assert not settings_path().exists() and ours() == []


@pytest.mark.parametrize("name", ["no/such/shot.png", "shot.nothing"])
def test_a_screenshot_that_can_not_be_saved_is_told(qapp: Any, picture: SourceSpec, tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=Path(name).name):
        run_app(picture, {"estimator": "mediapipe"}, screenshot=tmp_path / name, quit_after_s=0.15)
    assert ours() == []


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself these signals there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window(qapp: Any, picture: SourceSpec, number: signal.Signals) -> None:
    missed: list[int] = []
    before = signal.signal(number, lambda *_: missed.append(number))
    QTimer.singleShot(150, lambda: os.kill(os.getpid(), number))
    try:
        assert run_app(picture, {"estimator": "mediapipe"}, quit_after_s=60.0) == 0
        assert missed == [] and load(settings_path()).wish.source == picture
        os.kill(os.getpid(), number)
        assert missed == [number], "what was there before takes it again"
    finally:
        signal.signal(number, before)


def test_choices_are_kept_and_the_last_source_comes_back(qapp: Any, picture: SourceSpec) -> None:
    assert run_app(picture, {"estimator": "mediapipe", "max_hands": 1}, quit_after_s=0.15) == 0
    assert load(settings_path()).wish.source == picture
    asked: list[int] = []
    assert run_app(None, {"estimator": "mediapipe"}, fallback=lambda: asked.append(1), quit_after_s=0.15) == 0
    assert asked == [] and load(settings_path()).wish.config.max_hands == 1


def test_what_stood_in_for_a_source_is_not_kept_as_a_choice(qapp: Any, picture: SourceSpec) -> None:
    assert run_app(None, {"estimator": "mediapipe"}, fallback=lambda: picture, quit_after_s=0.15) == 0
    assert load(settings_path()).wish.source is None


def test_choices_that_can_not_be_kept_are_told(
    qapp: Any, picture: SourceSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HANDVIZ_CONFIG", str(tmp_path / "file" / "under"))
    assert run_app(picture, {"estimator": "mediapipe"}, quit_after_s=0.15) == 0
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.parametrize(("name", "waits"), [(LOADING, True), (PROBING, False)])
def test_the_end_waits_a_while_for_what_is_loading_and_not_for_a_driver(
    name: str, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(main, "EXIT_S", 0.3)
    left = in_thread(gate.wait, name)
    start = time.monotonic()
    main._let_threads_end()
    assert (time.monotonic() - start >= 0.3) == waits and not left.done()
    gate.set()
    left.result(20)
