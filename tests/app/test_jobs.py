"""Recording, exporting and analysing ahead, through the controller, into real files."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import cv2
import pytest

from handviz.app import jobs as jobs_module
from handviz.app.controller import Controller, Installed
from handviz.app.played import Played
from handviz.app.state import Wish
from handviz.app.views import MainView
from handviz.capture.base import SourceSpec
from handviz.errors import SourceError
from handviz.pipeline.estimators import RunningModel
from tests.app.controlling import CAMERA, VIDEO, last, opened, tick_until


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


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch, results: Any, hands: Any) -> Callable[..., None]:
    def use(
        count: int, then: Exception | None = None, pause_s: float = 0.0, gate: threading.Event | None = None, mesh: bool = False
    ) -> None:
        def analyse(spec: SourceSpec, config: object) -> Iterator[Any]:
            for index in range(count):
                time.sleep(pause_s)
                assert gate is None or gate.wait(60)
                yield results(index, (hands(index, mesh=mesh), hands(index, mesh=mesh, track=2)))
            if then is not None:
                raise then

        monkeypatch.setattr(jobs_module, "analyse", analyse)

    return use


@pytest.mark.parametrize("overlay", [True, False])
def test_recording_gives_video_and_poses(controller: Controller, tmp_path: Path, overlay: bool, view: Mock) -> None:
    opened(controller, CAMERA)
    path = tmp_path / "live.mp4"
    controller.works.record(path, overlay=overlay)
    assert controller.works.recording
    tick(controller, 25, pause_s=0.01)
    assert any("REC" in item.text for item in last(view.show_status))
    controller.works.stop_recording()
    assert not controller.works.recording
    capture = cv2.VideoCapture(str(path))
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    lines = path.with_suffix(".jsonl").read_text().splitlines()
    assert frames == len(lines) > 5
    assert json.loads(lines[0])["hands"][0]["side"] == "right"


def recorded(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]


def tick(controller: Controller, times: int, *, pause_s: float) -> None:
    for _ in range(times):
        controller.tick()
        time.sleep(pause_s)


def frames_in(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def test_a_recording_of_a_loop_goes_on_evenly(controller: Controller, tmp_path: Path, factory: Any) -> None:
    opened(controller, VIDEO)
    path = tmp_path / "loop.mp4"
    controller.works.record(path, overlay=False)
    tick(controller, 110, pause_s=0.005)
    controller.works.stop_recording()
    poses, frames = recorded(path), factory.made[-1].state().frame_count
    steps = [after["t_s"] - before["t_s"] for before, after in pairwise(poses)]
    assert len(poses) > frames and len(poses) == frames_in(path)
    assert steps == pytest.approx([1 / 25] * len(steps), abs=1e-4)


@pytest.mark.parametrize("leave", ["open another", "open a file", "close"])
def test_a_recording_ends_with_its_source_and_says_so(
    controller: Controller, tmp_path: Path, view: Mock, leave: str, factory: Any
) -> None:
    opened(controller, VIDEO)
    path = tmp_path / "a.mp4"
    controller.works.record(path, overlay=False)
    tick(controller, 10, pause_s=0.01)
    if leave == "close":
        controller.close_source()
    else:
        opened(controller, CAMERA if leave == "open another" else SourceSpec(kind="video", path=Path("other.mp4")))
    assert not controller.works.recording
    assert last(view.show_notice).startswith(f"The source was closed. {path} was recorded: 0:00 (")
    count = len(recorded(path))
    controller.tick()
    assert count == len(recorded(path)) == frames_in(path) > 3


def test_a_recording_outlives_a_file_that_can_not_be_opened(
    controller: Controller, tmp_path: Path, view: Mock, factory: Any
) -> None:
    opened(controller, CAMERA)
    path = tmp_path / "a.mp4"
    controller.works.record(path, overlay=False)
    controller.open(SourceSpec(kind="video", path=Path("broken.mp4")))
    tick_until(controller, lambda: last(view.show_banner) is not None)
    assert controller.works.recording
    tick(controller, 10, pause_s=0.01)
    controller.works.stop_recording()
    assert len(recorded(path)) > 5


class Tail:
    """A session whose source stops while its last frames are still being analysed."""

    def __init__(self, session: Any, results: Any) -> None:
        self.session, self.make, self.waiting = session, results, []
        session.latest = self.latest

    def latest(self) -> Any:
        return self.make(self.waiting.pop(0)) if self.waiting else None


@pytest.mark.parametrize("seen_last", [False, True])
def test_the_last_pictures_of_a_file_are_recorded_and_end_the_recording(
    controller: Controller, tmp_path: Path, view: Mock, factory: Any, results: Any, seen_last: bool
) -> None:
    opened(controller, VIDEO)
    session, path = factory.made[-1], tmp_path / "a.mp4"
    tail = Tail(session, results)
    controller.works.record(path, overlay=False)
    tail.waiting = [46, 47] + [48, 49] * seen_last
    session.change(position=49)
    tick_until(controller, lambda: not tail.waiting)
    session.change(playing=False, ended=True)
    if not seen_last:
        controller.tick()
        assert controller.works.recording, "two pictures are still to come"
        tail.waiting = [48, 49]
    tick_until(controller, lambda: not controller.works.recording)
    assert last(view.show_notice).startswith("The source has ended. ")
    assert len(recorded(path)) == frames_in(path) == 4
    controller.works.record(tmp_path / "b.mp4", overlay=False)
    tail.waiting = [49]
    controller.tick()
    assert controller.works.recording, "at the end a recording waits for the next play"
    controller.works.stop_recording()
    assert not (tmp_path / "b.jsonl").exists() and "Nothing was recorded" in last(view.show_notice)


def test_pictures_on_their_way_at_a_pause_are_recorded_and_sought_ones_are_not(
    controller: Controller, tmp_path: Path, factory: Any, results: Any
) -> None:
    opened(controller, VIDEO)
    session, path = factory.made[-1], tmp_path / "a.mp4"
    tail = Tail(session, results)
    controller.works.record(path, overlay=False)
    tail.waiting = [10]
    session.change(position=12)
    controller.tick()
    session.change(playing=False)
    controller.tick()
    tail.waiting = [11, 12, 12]
    tick_until(controller, lambda: not tail.waiting)
    session.change(position=13)
    tail.waiting = [13]
    tick_until(controller, lambda: not tail.waiting)
    controller.works.stop_recording()
    assert len(recorded(path)) == 3


@pytest.mark.parametrize("seen", [[10], [10, 11, 12]], ids=["some on their way", "all seen"])
def test_the_picture_that_a_camera_was_giving_at_a_pause_is_recorded(
    controller: Controller, tmp_path: Path, factory: Any, results: Any, seen: list[int]
) -> None:
    opened(controller, CAMERA)
    session, path = factory.made[-1], tmp_path / "a.mp4"
    tail = Tail(session, results)
    controller.works.record(path, overlay=False)
    tail.waiting = list(seen)
    session.change(position=12)
    tick_until(controller, lambda: not tail.waiting)
    session.change(playing=False)
    controller.tick()
    session.change(position=13)
    # The held picture comes again when its analysis is completed or the settings change.
    tail.waiting = [index for index in (11, 12, 13) if index not in seen] + [13, 13]
    tick_until(controller, lambda: not tail.waiting)
    controller.works.stop_recording()
    assert len(recorded(path)) == frames_in(path) == 4


def test_a_recording_that_fails_is_told_and_what_was_written_kept(controller: Controller, tmp_path: Path, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.works.record(tmp_path / "a.mp4", overlay=True)
    tick(controller, 5, pause_s=0.02)
    view.drawing.return_value = Mock(side_effect=RuntimeError("no font"))
    tick_until(controller, lambda: not controller.works.recording)
    assert "a.mp4: recording failed after" in last(view.show_banner) and "no font" in last(view.show_banner)
    assert frames_in(tmp_path / "a.mp4") == len(recorded(tmp_path / "a.mp4")) > 0


def test_nothing_and_the_open_file_itself_are_not_recorded(controller: Controller, tmp_path: Path, view: Mock) -> None:
    controller.works.record(tmp_path / "a.mp4", overlay=False)
    assert not controller.works.recording and "nothing to record" in last(view.show_banner)
    video = tmp_path / "hand.mp4"
    video.write_bytes(b"precious")
    link = tmp_path / "link.mp4"
    link.hardlink_to(video)
    opened(controller, SourceSpec(kind="video", path=video))
    for begin in (partial(controller.works.record, overlay=False), controller.works.export):
        for path in (tmp_path / "." / "hand.mp4", link):
            begin(path)
            assert f"{path} is the file being read" in last(view.show_banner)
            controller.dismiss()
    assert video.read_bytes() == b"precious" and not controller.works.recording


def test_paused_frames_are_not_recorded(controller: Controller, tmp_path: Path) -> None:
    opened(controller, VIDEO)
    controller.playback.play_pause()
    controller.works.record(tmp_path / "a.mp4", overlay=False)
    for _ in range(5):
        controller.configure(max_hands=1)
        controller.tick()
    controller.works.stop_recording()
    assert not (tmp_path / "a.mp4").exists() and not (tmp_path / "a.jsonl").exists()


def test_recording_into_nowhere_is_reported(controller: Controller, tmp_path: Path, view: Mock) -> None:
    opened(controller, CAMERA)
    controller.works.record(tmp_path / "none" / "a.mp4", overlay=True)
    assert not controller.works.recording
    assert "folder does not exist" in last(view.show_banner)


def test_closing_finishes_the_recording(controller: Controller, tmp_path: Path) -> None:
    opened(controller, CAMERA)
    controller.works.record(tmp_path / "a.mp4", overlay=True)
    tick(controller, 10, pause_s=0.01)
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
    assert last(view.show_notice) == f"{path} was written: 12 frames."
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
    job = last(view.show_job)
    assert job is None or (job.words == "Writing out.jsonl" and job.stopping), "the window does not wait for the present frame"
    tick_until(controller, lambda: last(view.show_job) is None)
    lines = path.read_text().splitlines()
    assert 3 < len(lines) < 10_000
    json.loads(lines[-1])
    assert last(view.show_notice) == f"Writing was stopped: {path} holds the first {len(lines)} of 50 frames."
    controller.tell(None)
    assert last(view.show_notice) is None


def test_an_export_that_is_stopped_before_its_first_frame_says_so(
    controller: Controller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: Mock
) -> None:
    monkeypatch.setattr(jobs_module.ExportJob, "_write_all", lambda job: None)
    opened(controller, VIDEO)
    controller.works.export(tmp_path / "out.csv")
    tick_until(controller, lambda: last(view.show_job) is None)
    assert "out.csv ended before its first frame" in last(view.show_notice)


@pytest.mark.filterwarnings("ignore:Gimbal lock")  # the drawn hand is turned by right angles
@pytest.mark.parametrize(
    ("name", "words"), [("out.obj", "{0}/out was written"), ("out.bvh", "{0}/out.bvh and {0}/out_left_hand.bvh were written")]
)
def test_an_export_names_what_it_wrote(
    controller: Controller, tmp_path: Path, analysed: Any, view: Mock, name: str, words: str
) -> None:
    analysed(3, mesh=name == "out.obj")
    opened(controller, VIDEO)
    controller.works.export(tmp_path / name)
    tick_until(controller, lambda: last(view.show_job) is None)
    assert last(view.show_notice) == f"{words.format(tmp_path)}: 3 frames."


def test_an_export_outlives_its_source_and_other_works_wait_for_it(
    controller: Controller, tmp_path: Path, analysed: Any, view: Mock
) -> None:
    gate = threading.Event()
    analysed(12, gate=gate)
    opened(controller, VIDEO)
    path = tmp_path / "out.csv"
    controller.works.export(path)
    controller.works.analyse_all()
    assert "Writing out.csv is under way" in last(view.show_banner)
    controller.works.export(tmp_path / "other.csv")
    assert not (tmp_path / "other.csv").exists()
    opened(controller, SourceSpec(kind="video", path=Path("other.mp4")))
    assert last(view.show_job).words == "Writing out.csv"
    gate.set()
    tick_until(controller, lambda: last(view.show_job) is None)
    assert last(view.show_notice) == f"{path} was written: 12 frames."


def test_other_works_are_told_that_an_export_is_being_stopped(
    controller: Controller, tmp_path: Path, analysed: Any, view: Mock
) -> None:
    gate = threading.Event()
    analysed(12, gate=gate)
    opened(controller, VIDEO)
    controller.works.export(tmp_path / "out.csv")
    controller.works.cancel()
    controller.works.analyse_all()
    assert last(view.show_banner) == "Writing out.csv is being stopped. Wait until that is done."
    gate.set()
    tick_until(controller, lambda: last(view.show_job) is None)


def test_other_works_are_told_that_analysing_ahead_is_being_stopped(
    controller: Controller, tmp_path: Path, view: Mock, factory: Any
) -> None:
    opened(controller, VIDEO)
    factory.made[-1].cancel_analysis = lambda wait_s=0.0: None
    controller.works.analyse_all()
    controller.works.cancel()
    controller.works.export(tmp_path / "out.csv")
    assert last(view.show_banner) == "Analysing all frames is being stopped. Wait until that is done."


def test_what_an_export_still_reads_is_not_recorded_over(
    controller: Controller, tmp_path: Path, analysed: Any, view: Mock
) -> None:
    gate, video = threading.Event(), tmp_path / "hand.mp4"
    video.write_bytes(b"precious")
    analysed(1, gate=gate)
    opened(controller, SourceSpec(kind="video", path=video))
    controller.works.export(tmp_path / "out.csv")
    opened(controller, CAMERA)
    controller.works.record(video, overlay=False)
    assert not controller.works.recording and f"{video} is the file being read" in last(view.show_banner)
    gate.set()
    tick_until(controller, lambda: last(view.show_job) is None)
    controller.works.record(video, overlay=False)
    assert controller.works.recording, "the export is done with it"


def test_an_export_that_fails_unexpectedly_does_not_pass_for_a_whole_one(
    controller: Controller, tmp_path: Path, analysed: Any, view: Mock
) -> None:
    analysed(3, then=RuntimeError("no memory"))
    opened(controller, VIDEO)
    controller.works.export(tmp_path / "out.jsonl")
    tick_until(controller, lambda: last(view.show_job) is None)
    assert "out.jsonl ended after 3 of 50 frames" in last(view.show_banner) and "no memory" in last(view.show_banner)


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
    assert "not an export format" in last(view.show_banner)
    opened(controller, CAMERA)
    controller.works.export(tmp_path / "out.jsonl")
    assert "Record the camera" in last(view.show_banner)


def test_analysing_ahead_shows_progress_and_can_be_cancelled(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.works.analyse_all()
    assert (last(view.show_job).done, last(view.show_job).total) == (3, 50)
    controller.works.cancel()
    assert last(view.show_job) is None


def test_analysing_ahead_ends_with_words_when_its_frames_would_not_be_those_shown(
    controller: Controller, view: Mock, factory: Any
) -> None:
    opened(controller, VIDEO)
    session = factory.made[-1]
    controller.works.analyse_all()
    controller.toggle("heatmaps")
    controller.choices.compare("fit")
    controller.tick()
    assert last(view.show_job) is not None, "what only adds to the hands changes nothing"
    controller.configure(smoothing=False)
    controller.tick()
    assert last(view.show_job) is None and "stopped after 3 of 50 frames because a setting changed" in last(view.show_notice)
    controller.works.analyse_all()
    session.running = lambda: RunningModel(estimator="groups", device="cpu")
    controller.tick()
    assert last(view.show_job) is None, "auto took another estimator"


def test_a_frame_that_is_analysed_again_is_recorded_once(controller: Controller) -> None:
    """Slow playing leaves time to analyse a frame again with other settings before the next one comes."""
    opened(controller, VIDEO)
    assert controller.session is not None
    played = Played()
    played.look(controller.session.state())
    assert [played.takes(index) for index in (0, 1, 1, 2)] == [True, True, False, True]


def test_a_recording_is_drawn_as_it_is_shown_at_the_moment(controller: Controller, tmp_path: Path, view: Mock) -> None:
    opened(controller, CAMERA)
    controller.tick()
    view.drawing.assert_not_called()
    controller.works.record(tmp_path / "a.mp4", overlay=True)
    controller.tick()
    options, trails = view.drawing.call_args.args
    assert (options, trails) == (controller.wish.view, {}) and not options.seen_mask
    controller.change_view(seen_mask=True, trails=True)
    controller.tick()
    options, trails = view.drawing.call_args.args
    assert options.seen_mask and trails


def test_no_file_is_recorded_and_exported_at_once(controller: Controller, tmp_path: Path, analysed: Any, view: Mock) -> None:
    analysed(10_000, pause_s=0.005)
    opened(controller, VIDEO)
    recorded = tmp_path / "hand.mp4"
    controller.works.record(recorded, overlay=False)
    tick_until(controller, recorded.exists)
    for name in ("hand.mp4", "hand.jsonl"):
        controller.works.export(tmp_path / name)
        assert f"{tmp_path / name} is being written now" in last(view.show_banner) and last(view.show_job) is None
        controller.dismiss()
    controller.works.export(tmp_path / "other.jsonl")
    assert last(view.show_banner) is None
    controller.works.stop_recording()
    controller.works.record(tmp_path / "other.mp4", overlay=False)
    assert f"{tmp_path / 'other.jsonl'} is being written now" in last(view.show_banner), "the poses would go there"
    assert not controller.works.recording
