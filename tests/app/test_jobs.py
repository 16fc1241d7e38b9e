"""Recording, exporting and analysing ahead, through the controller, into real files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import cv2
import pytest

from handviz.app import jobs as jobs_module
from handviz.app.controller import Controller, Installed
from handviz.app.state import Wish
from handviz.app.views import MainView
from handviz.capture.base import SourceSpec
from handviz.errors import SourceError

VIDEO = SourceSpec(kind="video", path=Path("hand.mp4"))
CAMERA = SourceSpec(kind="camera", camera=0)


@pytest.fixture
def view() -> Mock:
    made = create_autospec(MainView, instance=True)
    made.drawing.return_value = lambda result: result.frame.rgb
    return made


@pytest.fixture
def controller(view: Mock, factory: Any) -> Iterator[Controller]:
    installed = Installed(estimators=lambda: ("mediapipe",), hand_models=lambda: ("default",))
    made = Controller(view, Wish(), factory, installed)
    made.start()
    yield made
    made.stop()


def tick_until(controller: Controller, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done() and time.monotonic() < deadline:
        controller.tick()
        time.sleep(0.005)
    assert done()


def opened(controller: Controller, spec: SourceSpec) -> None:
    controller.open(spec)
    tick_until(controller, lambda: controller.result is not None)


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch, results: Any, hands: Any) -> Callable[..., None]:
    def use(count: int, then: Exception | None = None, pause_s: float = 0.0) -> None:
        def analyse(spec: SourceSpec, config: object) -> Iterator[Any]:
            for index in range(count):
                time.sleep(pause_s)
                yield results(index, (hands(index, mesh=False),))
            if then is not None:
                raise then

        monkeypatch.setattr(jobs_module, "analyse", analyse)

    return use


def last(mock: Mock) -> Any:
    return mock.call_args.args[0]


@pytest.mark.parametrize("overlay", [True, False])
def test_recording_gives_video_and_poses(controller: Controller, tmp_path: Path, overlay: bool, view: Mock) -> None:
    opened(controller, CAMERA)
    path = tmp_path / "live.mp4"
    controller.works.record(path, overlay=overlay)
    assert controller.works.recording
    for _ in range(25):
        controller.tick()
        time.sleep(0.01)
    assert any("REC" in item.text for item in last(view.show_status))
    controller.works.stop_recording()
    assert not controller.works.recording
    capture = cv2.VideoCapture(str(path))
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    lines = path.with_suffix(".jsonl").read_text().splitlines()
    assert frames == len(lines) > 5
    assert json.loads(lines[0])["hands"][0]["side"] == "right"


def test_paused_frames_are_not_recorded(controller: Controller, tmp_path: Path) -> None:
    opened(controller, VIDEO)
    controller.playback.play_pause()
    controller.works.record(tmp_path / "a.mp4", overlay=False)
    for _ in range(5):
        controller.configure(max_hands=1)
        controller.tick()
    controller.works.stop_recording()
    assert not (tmp_path / "a.jsonl").exists() or not (tmp_path / "a.jsonl").read_text()


def test_recording_into_nowhere_is_reported(controller: Controller, tmp_path: Path, view: Mock) -> None:
    opened(controller, CAMERA)
    controller.works.record(tmp_path / "none" / "a.mp4", overlay=True)
    assert not controller.works.recording
    assert "folder does not exist" in last(view.show_banner)


def test_closing_finishes_the_recording(controller: Controller, tmp_path: Path) -> None:
    opened(controller, CAMERA)
    controller.works.record(tmp_path / "a.mp4", overlay=True)
    for _ in range(10):
        controller.tick()
        time.sleep(0.01)
    controller.stop()
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert capture.read()[0]
    capture.release()


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "npz", "mp4"])
def test_export_writes_every_frame(controller: Controller, tmp_path: Path, suffix: str, analysed: Any, view: Mock) -> None:
    analysed(12)
    opened(controller, VIDEO)
    path = tmp_path / f"out.{suffix}"
    controller.works.export(path)
    assert last(view.show_job).words == f"Writing out.{suffix}"
    tick_until(controller, lambda: last(view.show_job) is None)
    assert path.stat().st_size > 100
    if suffix == "jsonl":
        assert len(path.read_text().splitlines()) == 12


def test_export_can_be_cancelled_and_keeps_what_is_done(
    controller: Controller, tmp_path: Path, analysed: Any, view: Mock
) -> None:
    analysed(10_000, pause_s=0.005)
    opened(controller, VIDEO)
    path = tmp_path / "out.jsonl"
    controller.works.export(path)
    tick_until(controller, lambda: last(view.show_job).done > 3)
    controller.works.cancel()
    assert last(view.show_job) is None
    lines = path.read_text().splitlines()
    assert 3 < len(lines) < 10_000
    json.loads(lines[-1])


def test_export_problem_is_reported(controller: Controller, tmp_path: Path, analysed: Any, view: Mock) -> None:
    analysed(3, then=SourceError("hand.mp4: is cut short. The frames before are written"))
    opened(controller, VIDEO)
    controller.works.export(tmp_path / "out.jsonl")
    tick_until(controller, lambda: last(view.show_banner) is not None)
    assert "cut short" in last(view.show_banner)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3


def test_wrong_export_targets_are_reported(controller: Controller, tmp_path: Path, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.works.export(tmp_path / "out.xyz")
    assert "no export format" in last(view.show_banner)
    opened(controller, CAMERA)
    controller.works.export(tmp_path / "out.jsonl")
    assert "Record the camera" in last(view.show_banner)


def test_analysing_ahead_shows_progress_and_can_be_cancelled(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.works.analyse_all()
    assert (last(view.show_job).done, last(view.show_job).total) == (3, 50)
    controller.works.cancel()
    assert last(view.show_job) is None


def test_a_recording_is_drawn_as_it_is_shown_at_the_moment(controller: Controller, tmp_path: Path, view: Mock) -> None:
    opened(controller, CAMERA)
    controller.tick()
    view.drawing.assert_not_called()
    controller.works.record(tmp_path / "a.mp4", overlay=True)
    controller.tick()
    options, trails, rival = view.drawing.call_args.args
    assert (options, trails, rival) == (controller.wish.view, {}, None) and not options.seen_mask
    controller.change_view(seen_mask=True, trails=True)
    controller.choices.compare("fit")
    controller.tick()
    options, trails, rival = view.drawing.call_args.args
    assert options.seen_mask and trails and rival == "fit"
