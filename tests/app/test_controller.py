"""The controller against a mock with the window's shape: no Qt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import numpy as np
import pytest

from handviz.app.controller import REGULAR_TICKS, Controller
from handviz.app.offering import Installed
from handviz.app.state import Wish
from handviz.app.views import MainView
from handviz.capture import device
from handviz.capture.base import SourceSpec
from handviz.capture.calibration import Intrinsics, calibration_path, save_intrinsics
from handviz.pipeline.config import AUTO, SessionConfig
from handviz.pipeline.estimators import RunningModel

VIDEO = SourceSpec(kind="video", path=Path("hand.mp4"))
CAMERA = SourceSpec(kind="camera", camera=0)
INSTALLED = Installed(estimators=lambda: ("fit", "groups", "dense"), hand_models=lambda: ("default",))


@pytest.fixture
def view() -> Mock:
    return create_autospec(MainView, instance=True)


@pytest.fixture
def controller(view: Mock, factory: Any) -> Any:
    made = Controller(view, Wish(), factory, INSTALLED)
    made.start()
    yield made
    made.stop()


def opened(controller: Controller, spec: SourceSpec) -> None:
    controller.open(spec)
    tick_until_result(controller)


def tick_until_result(controller: Controller) -> None:
    tick_until(controller, lambda: controller.result is not None and not controller.offer.opening)


def tick_until(controller: Controller, done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not done() and time.monotonic() < deadline:
        controller.tick()
        time.sleep(0.002)
    assert done()


def last(mock: Mock) -> Any:
    return mock.call_args.args[0]


def test_start_without_source_shows_a_hint(controller: Controller, view: Mock) -> None:
    assert "Open a camera" in last(view.show_message)
    assert not last(view.show_transport).enabled
    assert last(view.show_status)[0].text == "No source"


def test_result_reaches_the_view(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    assert last(view.show_result) is controller.result
    assert last(view.show_title) == "hand.mp4 — handviz"
    assert last(view.show_transport).seekable


def test_only_what_changed_is_shown(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.playback.play_pause()
    for _ in range(40):
        controller.tick()
    view.reset_mock()
    for _ in range(5):
        controller.tick()
    assert not view.show_controls.called and not view.show_options.called and not view.show_result.called
    assert not view.show_transport.called and not view.show_title.called and not view.show_banner.called


def test_a_tick_without_news_resolves_nothing(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(controller, VIDEO)
    controller.playback.play_pause()
    controller.tick()
    resolved = Mock()
    monkeypatch.setattr(controller, "refresh", resolved)
    for _ in range(REGULAR_TICKS):
        controller.tick()
    assert resolved.call_count == 1


def test_what_changes_in_the_session_is_shown_at_the_next_tick(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, VIDEO)
    controller.playback.play_pause()
    controller.tick()
    factory.made[-1].error = "the camera was unplugged"
    controller.tick()
    assert last(view.show_banner) == "the camera was unplugged"


def test_what_is_said_where_no_estimator_comes(controller: Controller, view: Mock, factory: Any, results: Any) -> None:
    opened(controller, VIDEO)
    session = factory.made[-1]
    session.change(ready=False, playing=False)
    controller.result = None
    controller.refresh()
    assert view.show_message.call_args.args == ("Starting the estimator…", None)
    read = results(0).frame
    session.change(waiting=read)
    controller.refresh()
    assert view.show_message.call_args.args == ("Starting the estimator…", read)
    session.error = "no weights are here"
    controller.refresh()
    assert last(view.show_message) == "No estimator is running."


def test_play_pause_step_seek(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, VIDEO)
    session = factory.made[-1]
    controller.playback.play_pause()
    assert not session.state().playing and not last(view.show_transport).playing
    controller.playback.seek(10)
    controller.tick()
    assert controller.result is not None and controller.result.frame.index == 10
    controller.playback.step(1)
    controller.tick()
    assert controller.result.frame.index == 11
    controller.playback.seek_end()
    assert session.state().position == session.state().frame_count - 1
    controller.playback.play_pause()
    assert session.state().playing


def test_range_marks(controller: Controller, factory: Any) -> None:
    opened(controller, VIDEO)
    session = factory.made[-1]
    controller.playback.play_pause()
    controller.playback.seek(10)
    controller.playback.mark_in()
    controller.playback.seek(20)
    controller.playback.mark_out()
    assert (session.state().range_in, session.state().range_out) == (10, 20)
    controller.playback.seek(30)
    controller.playback.mark_in()
    assert (session.state().range_in, session.state().range_out) == (30, None)
    controller.playback.mark_in()
    assert session.state().range_in is None


def test_speed_and_loop(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.playback.set_speed(0.25)
    controller.playback.flip_loop()
    assert last(view.show_transport).speed == 0.25 and last(view.show_transport).loop


def test_camera_can_not_seek(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    controller.playback.seek(3)
    controller.playback.step(1)
    assert factory.made[-1].asked == [] and not last(view.show_transport).seekable


@pytest.mark.parametrize(
    "act",
    [
        lambda controller: controller.playback.step(1),
        lambda controller: controller.playback.seek_end(),
        lambda controller: controller.playback.mark_in(),
        lambda controller: controller.playback.flip_loop(),
        lambda controller: controller.playback.set_speed(2.0),
        lambda controller: controller.works.analyse_all(),
    ],
)
def test_what_needs_a_recording_says_so_of_a_camera(
    controller: Controller, view: Mock, act: Callable[[Controller], None]
) -> None:
    opened(controller, CAMERA)
    controller.playback.play_pause()
    assert last(view.show_banner) is None
    act(controller)
    assert "need a recording" in last(view.show_banner)
    opened(controller, VIDEO)
    act(controller)
    assert last(view.show_banner) is None


def test_slow_camera_is_told_once(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    assert last(view.show_banner) is None
    factory.made[-1].pause()
    factory.made[-1].change(position=200)
    controller.tick()
    assert any(item.tone == "warn" and "12 of 25" in item.text for item in last(view.show_status))
    assert "exposure" in last(view.show_banner)
    controller.dismiss()
    controller.tick()
    assert last(view.show_banner) is None


@pytest.fixture
def own_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of what ``CAMERA`` was calibrated to."""
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path))
    path = calibration_path(CAMERA.name, 320, 240)
    save_intrinsics(Intrinsics(K=np.diag([300.0, 300, 1]), size=(320, 240), camera_name=CAMERA.name), path)
    return path


def test_a_cameras_own_calibration_is_used_for_it_alone_and_is_no_lasting_choice(
    controller: Controller, own_calibration: Path
) -> None:
    opened(controller, CAMERA)
    assert controller.wish.config.intrinsics == own_calibration and controller.lasting.config.intrinsics is None
    controller.change_wish(Wish(config=SessionConfig(max_hands=1)))
    assert controller.wish.config.intrinsics == own_calibration
    opened(controller, VIDEO)
    assert controller.wish.config.intrinsics is None
    controller.change_wish(Wish(config=SessionConfig(max_hands=1)))
    assert controller.wish.config.intrinsics is None


@pytest.mark.parametrize("wanted_by", ["loading", "making"])
def test_intrinsics_that_were_forgotten_stay_so_until_others_are_given(
    controller: Controller, own_calibration: Path, wanted_by: str
) -> None:
    opened(controller, CAMERA)
    controller.forget_intrinsics()
    assert controller.wish.config.intrinsics is None
    for spec in (CAMERA, VIDEO, replace(CAMERA, fps=15.0)):
        opened(controller, spec)
        assert controller.wish.config.intrinsics is None
    controller.change_wish(Wish())
    assert controller.wish.config.intrinsics is None
    given = controller.load_intrinsics if wanted_by == "loading" else controller.use_calibration
    given(own_calibration)
    assert controller.wish.config.intrinsics == own_calibration
    controller.configure(intrinsics=None)
    opened(controller, CAMERA)
    assert controller.wish.config.intrinsics == own_calibration


def test_only_the_camera_that_is_open_forgets_its_calibration(controller: Controller, own_calibration: Path, view: Mock) -> None:
    other = SourceSpec(kind="camera", camera=1)
    for spec in (other, VIDEO):
        opened(controller, spec)
        controller.forget_intrinsics()
    controller.load_intrinsics(Path("gone.json"))
    assert "gone.json" in last(view.show_banner)
    opened(controller, CAMERA)
    assert controller.wish.config.intrinsics == own_calibration


def test_another_camera_of_the_same_number_gets_no_calibration(
    controller: Controller, own_calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "DEVICES", tmp_path)
    (tmp_path / "video0").mkdir()
    (tmp_path / "video0" / "name").write_text("Another Webcam\n")
    opened(controller, CAMERA)
    assert own_calibration.exists() and controller.wish.config.intrinsics is None


def test_a_calibration_that_was_just_made_is_its_cameras_alone(controller: Controller, own_calibration: Path) -> None:
    new = own_calibration.rename(own_calibration.with_name("new.json"))
    opened(controller, CAMERA)
    controller.use_calibration(new)
    assert controller.wish.config.intrinsics == new
    controller.close_source()
    assert controller.lasting.config.intrinsics is None


def test_chosen_intrinsics_last_over_a_cameras_own(controller: Controller, own_calibration: Path) -> None:
    mine = own_calibration.with_name("mine.json")
    mine.write_bytes(own_calibration.read_bytes())
    controller.configure(intrinsics=mine)
    opened(controller, CAMERA)
    assert controller.wish.config.intrinsics == controller.lasting.config.intrinsics == mine
    opened(controller, VIDEO)
    assert controller.wish.config.intrinsics == mine


def test_chosen_intrinsics_outlive_a_calibration_that_another_source_ends(controller: Controller, own_calibration: Path) -> None:
    mine = own_calibration.with_name("mine.json")
    mine.write_bytes(own_calibration.read_bytes())
    controller.configure(intrinsics=mine)
    opened(controller, CAMERA)
    controller.rest_intrinsics()
    assert controller.wish.config.intrinsics is None and controller.lasting.config.intrinsics == mine
    opened(controller, VIDEO)
    assert controller.wish.config.intrinsics == mine
    controller.take_intrinsics_back()
    assert controller.wish.config.intrinsics == mine


def test_a_field_of_view_that_was_said_goes_before_a_cameras_own_calibration(
    view: Mock, factory: Any, own_calibration: Path
) -> None:
    made = Controller(view, Wish(config=SessionConfig(fov_deg=70.0), own_calibration=False), factory, INSTALLED)
    made.start()
    try:
        opened(made, CAMERA)
        assert made.wish.config.intrinsics is None
    finally:
        made.stop()


def test_configure_updates_session_and_view(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, VIDEO)
    controller.configure(max_hands=1, smoothing=False)
    assert factory.made[-1].config.max_hands == 1
    assert not last(view.show_controls).config.smoothing


def test_wrong_choice_is_reported_and_undone(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.configure(intrinsics=Path("bad.json"))
    assert "no intrinsics here" in last(view.show_banner)
    assert controller.wish.config.intrinsics is None
    controller.dismiss()
    assert last(view.show_banner) is None


def test_choice_that_can_not_be_met_is_undone(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.configure(estimator="unmet")
    controller.tick()
    assert "weights" in last(view.show_banner)
    assert last(view.show_controls).config.estimator == SessionConfig().estimator
    controller.configure(max_hands=1)
    controller.tick()
    assert last(view.show_controls).config.max_hands == 1


def test_choice_made_while_opening_counts(controller: Controller, factory: Any) -> None:
    controller.open(VIDEO)
    controller.configure(max_hands=1)
    tick_until_result(controller)
    assert factory.made[-1].config.max_hands == 1 and controller.wish.config.max_hands == 1


def test_broken_source_is_reported(controller: Controller, view: Mock) -> None:
    controller.open(SourceSpec(kind="video", path=Path("broken.mp4")))
    deadline = time.monotonic() + 60
    while not (view.show_banner.called and last(view.show_banner)) and time.monotonic() < deadline:
        controller.tick()
    assert "no video" in last(view.show_banner)


BROKEN = SourceSpec(kind="video", path=Path("broken.mp4"))


def test_a_file_that_can_not_be_opened_leaves_all_as_it_was(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    controller.open(BROKEN)
    assert controller.result is not None and not factory.made[0].stopped
    tick_until(controller, lambda: last(view.show_banner) is not None)
    assert "no video" in last(view.show_banner)
    assert controller.session is factory.made[0] and not factory.made[0].stopped
    assert controller.wish.source == CAMERA == controller.lasting.source
    shown = controller.result
    tick_until(controller, lambda: controller.result is not shown)


def test_a_file_takes_over_once_it_is_open(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    controller.open(BROKEN)
    opened(controller, VIDEO)
    assert controller.wish.source == VIDEO and factory.made[0].stopped
    assert last(view.show_banner) is None and last(view.show_title) == "hand.mp4 — handviz"


def test_a_camera_that_does_not_open_is_not_opened_at_the_next_start(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, VIDEO)
    factory.broken = 2
    for camera in (1, 2):
        controller.open(SourceSpec(kind="camera", camera=camera))
        assert controller.session is None and last(view.show_message) == "Opening…"
    assert controller.wish.source is not None and controller.wish.source.camera == 2
    tick_until(controller, lambda: last(view.show_banner) is not None)
    assert factory.made[0].stopped and controller.wish.source == VIDEO


@pytest.mark.parametrize("spec", [CAMERA, BROKEN])
def test_what_is_still_being_opened_at_the_end_is_not_kept(controller: Controller, factory: Any, spec: SourceSpec) -> None:
    opened(controller, VIDEO)
    controller.open(spec)
    controller.stop()
    assert controller.lasting.source == VIDEO and all(session.stopped for session in factory.made if session.now is not None)


def test_a_file_that_takes_long_to_open_is_told(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    factory.gate = threading.Event()
    controller.open(VIDEO)
    tick_until(controller, lambda: last(view.show_notice) == "Opening hand.mp4…")
    assert controller.result is not None and not factory.made[0].stopped
    factory.gate.set()
    tick_until(controller, lambda: controller.wish.source == VIDEO)
    assert last(view.show_notice) is None


def test_missing_path_is_reported(controller: Controller, view: Mock) -> None:
    controller.open_text("/nowhere/at/all.mp4")
    assert "no such file" in last(view.show_banner)


def test_a_problem_that_comes_again_is_shown_again(controller: Controller, view: Mock) -> None:
    for _ in range(2):
        controller.report("no such file")
        assert last(view.show_banner) == "no such file"
        controller.dismiss()
        assert last(view.show_banner) is None


def test_session_error_shows_until_dismissed(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    factory.made[-1].error = "camera 0: no picture arrives"
    controller.tick()
    assert "no picture" in last(view.show_banner)
    controller.dismiss()
    controller.tick()
    assert last(view.show_banner) is None


def test_a_camera_that_is_unplugged_again_is_told_again(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    unplugged = "camera 0: no picture arrives"
    for _ in range(2):
        factory.made[-1].error = unplugged
        controller.tick()
        assert last(view.show_banner) == unplugged
        controller.dismiss()
        controller.tick()
        assert last(view.show_banner) is None
        factory.made[-1].error = None
        controller.tick()


def test_newer_request_wins(controller: Controller, factory: Any) -> None:
    controller.open(VIDEO)
    opened(controller, CAMERA)
    assert controller.result is not None
    controller.stop()
    assert all(session.stopped for session in factory.made)


def test_toggles_reach_the_view(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    view.reset_mock()
    controller.toggle("trails")
    assert view.show_options.call_args.args[0].trails and view.show_result.called
    controller.toggle("heatmaps")
    assert controller.wish.config.want_heatmaps


def test_the_analysis_makes_ready_what_is_viewed(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, VIDEO)
    assert factory.made[-1].prepare is view.preparation.return_value
    controller.toggle("mesh_overlay")
    assert last(view.preparation).mesh_overlay
    controller.change_wish(Wish())
    assert not last(view.preparation).mesh_overlay


@pytest.mark.parametrize(
    ("chosen", "useful"),
    [
        ("fit", {"mesh_3d", "mesh_overlay", "mask", "mesh_style"}),
        ("groups", {"group_colours", "heatmaps"}),
        ("mediapipe", set()),
    ],
)
def test_greyed_without_effect(controller: Controller, view: Mock, chosen: str, useful: set[str], factory: Any) -> None:
    """By what runs: the hand that would show it may be at the mouse."""
    opened(controller, VIDEO)
    controller.configure(estimator=chosen)
    controller.result = None
    controller.tick()
    shown = view.show_options.call_args.args[1]
    named = {"mesh_3d", "mesh_overlay", "mask", "mesh_style", "group_colours", "heatmaps", "side_by_side"}
    assert shown & named == useful and "skeleton" in shown
    controller.configure(compare_with="dense")
    controller.tick()
    assert view.show_options.call_args.args[1] & named == {*useful, "side_by_side"}


def test_next_estimator_goes_round(controller: Controller) -> None:
    seen = []
    for _ in range(3):
        controller.choices.next_estimator()
        seen.append(controller.wish.config.estimator)
    assert seen == ["fit", "groups", "dense"]


def test_next_estimator_after_auto_follows_the_one_that_runs(controller: Controller, factory: Any) -> None:
    opened(controller, VIDEO)
    factory.made[-1].running = lambda: RunningModel(estimator="groups", device="cpu")
    controller.tick()
    assert controller.wish.config.estimator == AUTO
    controller.choices.next_estimator()
    assert controller.wish.config.estimator == "dense"


def test_refinement_only_for_dense(controller: Controller, view: Mock) -> None:
    assert not last(view.show_controls).can_refine
    controller.configure(estimator="dense")
    assert last(view.show_controls).can_refine


def test_preset_keeps_the_source(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.change_wish(Wish(config=SessionConfig(max_hands=1), theme="light", source=CAMERA))
    assert controller.wish.source == VIDEO and controller.wish.config.max_hands == 1
    assert last(view.show_theme) == "light"


def test_a_preset_whose_intrinsics_are_gone_changes_nothing(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, VIDEO)
    before = controller.wish
    view.show_theme.reset_mock()
    heatmaps = SessionConfig(intrinsics=Path("gone.json"), want_heatmaps=True)
    controller.change_wish(Wish(config=heatmaps, view=replace(before.view, heatmaps=True), theme="light"))
    assert controller.wish == before and not view.show_theme.called
    assert not view.show_options.call_args.args[0].heatmaps and "gone.json" in last(view.show_banner)
    controller.toggle("heatmaps")
    assert controller.wish.config.want_heatmaps and factory.made[-1].config.want_heatmaps


def test_theme_switches(controller: Controller, view: Mock) -> None:
    controller.switch_theme()
    assert last(view.show_theme) == "light"


def test_csv(controller: Controller, tmp_path: Path, view: Mock) -> None:
    opened(controller, VIDEO)
    for _ in range(5):
        controller.tick()
    controller.tables.save_csv(tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0].startswith("t_s,track_id,thumb_bend_deg") and len(lines) == 7
    controller.tables.save_csv(tmp_path / "no" / "a.csv")
    assert "could not be written" in last(view.show_banner)


def test_an_estimator_is_not_compared_with_itself(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    controller.configure(estimator="fit")
    controller.choices.compare("groups")
    assert controller.wish.config.compare_with == "groups"
    controller.configure(estimator="groups")
    assert controller.wish.config.compare_with is None


def test_what_was_dismissed_stays_so_beside_another_problem(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    factory.made[-1].error = "camera 0: no picture arrives"
    controller.tick()
    controller.dismiss()
    controller.report("no such file")
    controller.dismiss()
    controller.tick()
    assert last(view.show_banner) is None


def test_a_source_that_is_closed_as_it_opens_is_not_awaited(controller: Controller, view: Mock) -> None:
    controller.open(VIDEO)
    assert last(view.show_message) == "Opening…"
    controller.close_source()
    assert "Open a camera" in last(view.show_message)
