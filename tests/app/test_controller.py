"""The controller against a mock with the window's shape: no Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from handviz.app.controller import REGULAR_TICKS, Controller
from handviz.app.state import Wish
from handviz.pipeline.config import AUTO, SessionConfig
from tests.app.controlling import CAMERA, VIDEO, last, opened, tick_until_result


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
    """It depends on what runs, not on results: the hand that would be in them may be at the mouse."""
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


def test_next_estimator_goes_round_and_by_auto(controller: Controller, view: Mock) -> None:
    opened(controller, VIDEO)
    assert controller.wish.config.estimator == AUTO
    seen = []
    for _ in range(5):
        controller.choices.next_estimator()
        controller.tick()
        seen.append(last(view.show_controls).config.estimator)
    assert seen == ["fit", "groups", "dense", AUTO, "fit"]


@pytest.mark.parametrize("estimator", [AUTO, "groups"])
def test_own_weights_are_named_as_the_network_that_runs_also_under_auto(
    controller: Controller, view: Mock, estimator: str
) -> None:
    controller.configure(estimator=estimator, groups_weights=Path("mine.safetensors"))
    assert last(view.show_controls).network == "mine"


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


def test_a_preset_whose_intrinsics_are_gone_is_told_of_without_a_source_too(controller: Controller, view: Mock) -> None:
    before = controller.wish
    controller.change_wish(Wish(config=SessionConfig(intrinsics=Path("gone.json"), max_hands=1), theme="light"))
    assert controller.wish == before and "gone.json" in last(view.show_banner)


@pytest.mark.parametrize("content", [None, "no JSON"])
def test_intrinsics_that_can_not_be_used_are_told_of_without_a_source_too(
    controller: Controller, view: Mock, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "lens.json"
    if content is not None:
        path.write_text(content)
    controller.lens.load(path)
    assert controller.wish.config.intrinsics is None and "lens.json" in last(view.show_banner)
    path.write_text('{"K": [[300, 0, 160], [0, 300, 120], [0, 0, 1]], "width": 320, "height": 240}')
    controller.lens.load(path)
    assert controller.wish.config.intrinsics == path and last(view.show_banner) is None
    opened(controller, VIDEO)
    assert controller.wish.config.intrinsics == path


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
